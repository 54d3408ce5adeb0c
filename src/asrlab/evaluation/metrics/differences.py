"""Words that systems recognize differently, and references that several systems contradict."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from typing import NamedTuple

import attrs

from asrlab.errors import OptionError
from asrlab.evaluation.metrics.alignment import AlignedUtterance, Alignment, align_systems
from asrlab.evaluation.metrics.normalizers import Normalizer
from asrlab.evaluation.metrics.wer import ErrorCounts, TextPair

_MAX_IDS = 5


@attrs.frozen(kw_only=True)
class Confusion:
    """A mistake that one system makes and the other does not.

    Attributes:
        reference: Normalized word of the reference; None for an insertion.
        hypothesis: Normalized word of the hypothesis; None for a deletion.
        count: Number of occurrences.
        ids: Ids of the first utterances with the mistake, at most five.
    """

    reference: str | None
    hypothesis: str | None
    count: int
    ids: tuple[str, ...]


@attrs.frozen(kw_only=True)
class WordDifferences:
    """The words of a corpus by which of two systems recognized them.

    Attributes:
        baseline: Name of the first system.
        candidate: Name of the second system.
        normalizer: Name of the normalizer.
        normalizer_version: The normalizer's rules, with their version.
        both_right: Number of reference words that both systems recognized.
        baseline_only: Number of reference words that only the first system recognized.
        candidate_only: Number of reference words that only the second system recognized.
        neither: Number of reference words that neither system recognized.
        baseline_mistakes: The first system's errors on words that the second recognized, and the words that only the
            first inserted; the most frequent first.
        candidate_mistakes: The same for the second system.
    """

    baseline: str
    candidate: str
    normalizer: str
    normalizer_version: str
    both_right: int
    baseline_only: int
    candidate_only: int
    neither: int
    baseline_mistakes: tuple[Confusion, ...]
    candidate_mistakes: tuple[Confusion, ...]


type _Mistake = tuple[str | None, str | None]  # the words of the reference and the hypothesis


def word_differences(
    systems: Mapping[str, Iterable[TextPair]], *, normalizer: Normalizer, top: int = 20
) -> WordDifferences:
    """Count the words that only one of two systems recognized, with the other system's errors on them.

    Args:
        systems: Two systems, each with its pairs, of the same utterances.
        normalizer: Rule that normalizes all texts.
        top: Maximum number of mistakes to return for each system.

    Raises:
        DatasetError: If the systems have different utterances.
        OptionError: If there are not two systems.
    """
    if len(systems) != 2:
        raise OptionError(f"{len(systems)} systems given; give the two to compare", option="systems")
    baseline, candidate = systems
    tallies: Counter[tuple[bool, bool]] = Counter()
    mistakes: dict[str, dict[_Mistake, list[str]]] = {name: defaultdict(list) for name in systems}
    for utterance in align_systems(systems, normalizer=normalizer):
        one, other = utterance.alignments[baseline], utterance.alignments[candidate]
        tallies.update((one.is_correct(index), other.is_correct(index)) for index in range(len(utterance.reference)))
        for name, own, rival in ((baseline, one, other), (candidate, other, one)):
            for mistake in _own_mistakes(own, rival):
                mistakes[name][mistake].append(utterance.id)
    return WordDifferences(
        baseline=baseline,
        candidate=candidate,
        normalizer=normalizer.name,
        normalizer_version=normalizer.version,
        both_right=tallies[True, True],
        baseline_only=tallies[True, False],
        candidate_only=tallies[False, True],
        neither=tallies[False, False],
        baseline_mistakes=_most_frequent(mistakes[baseline], top),
        candidate_mistakes=_most_frequent(mistakes[candidate], top),
    )


def _own_mistakes(alignment: Alignment, other: Alignment) -> Iterator[_Mistake]:
    """Yield the mistakes of *alignment* that *other* does not have."""
    for index, word in enumerate(alignment.reference):
        if other.is_correct(index) and not alignment.is_correct(index):
            yield word, alignment.recognized(index)
    other_insertions = other.inserted()
    for index, words in alignment.inserted().items():
        for word in (Counter(words) - Counter(other_insertions.get(index, ()))).elements():
            yield None, word


def _most_frequent(mistakes: Mapping[_Mistake, list[str]], top: int) -> tuple[Confusion, ...]:
    """Return the first *top* mistakes, given the ids of the utterances with each."""
    ordered = sorted(mistakes.items(), key=lambda item: (-len(item[1]), item[0][0] or "", item[0][1] or ""))
    return tuple(
        Confusion(reference=reference, hypothesis=hypothesis, count=len(ids), ids=tuple(dict.fromkeys(ids))[:_MAX_IDS])
        for (reference, hypothesis), ids in ordered[:top]
    )


@attrs.frozen(kw_only=True)
class SuspectReference:
    """A place in a reference that may be wrong.

    Attributes:
        id: Id of the utterance.
        word: Index of the first suspect word in the normalized reference, from 0.
        reference: Normalized words of the reference; empty if the systems have additional words.
        instead: Words that the systems agree on; empty if they have fewer words.
        agreeing: Names of the systems that agree.
        others: Names of all other systems, with their words.
    """

    id: str
    word: int
    reference: str
    instead: str
    agreeing: tuple[str, ...]
    others: tuple[tuple[str, str], ...]


@attrs.frozen(kw_only=True)
class WithoutSuspects:
    """One system's errors with and without the suspect references.

    Attributes:
        system: Name of the system.
        words: Errors over all words.
        without: Errors without the suspect words of the references and the words recognized there.
    """

    system: str
    words: ErrorCounts
    without: ErrorCounts


@attrs.frozen(kw_only=True)
class SuspectReport:
    """The suspect references of a corpus.

    Attributes:
        normalizer: Name of the normalizer.
        normalizer_version: The normalizer's rules, with their version.
        min_agreement: Number of independent systems that had to agree.
        suspects: The suspect references in the order of the utterances.
        systems: Each system's errors with and without them, in the order given.
    """

    normalizer: str
    normalizer_version: str
    min_agreement: int
    suspects: tuple[SuspectReference, ...]
    systems: tuple[WithoutSuspects, ...]


def suspect_references(
    systems: Mapping[str, Iterable[TextPair]],
    *,
    normalizer: Normalizer,
    min_agreement: int = 2,
    shared: Mapping[str, str] | None = None,
) -> SuspectReport:
    """Find references that at least *min_agreement* independent systems change in the same way, after normalization.

    The report lists places to listen to; it does not prove errors: systems trained on the same data make the same
    mistakes. An agreement can be missed if the systems' alignments differ. An empty hypothesis is not counted.

    Args:
        systems: Each system's pairs, of the same utterances.
        normalizer: Rule that normalizes all texts.
        min_agreement: Number of independent systems that must agree, at least 2.
        shared: Something that a system shares with others, such as its weights, by the system's name. Systems with the
            same value count as one, since they repeat each other's mistakes. A system without a value is independent.

    Raises:
        DatasetError: If the systems have different utterances.
        OptionError: If *min_agreement* is under 2, or there are fewer than two systems.
    """
    if min_agreement < 2:
        problem = f"min_agreement is {min_agreement}; one system against the reference proves nothing, give 2"
        raise OptionError(problem, option="min_agreement")
    suspects: list[SuspectReference] = []
    totals: dict[str, list[ErrorCounts]] = {}
    for utterance in align_systems(systems, normalizer=normalizer):
        edits = _agreed_edits(utterance, min_agreement, shared or {})
        suspects += _suspects(utterance, edits)
        for system, alignment in utterance.alignments.items():
            total = totals.setdefault(system, [ErrorCounts(), ErrorCounts()])
            counts = alignment.counts()
            total[:] = total[0] + counts, total[1] + _counts_without(alignment, edits, counts)
    return SuspectReport(
        normalizer=normalizer.name,
        normalizer_version=normalizer.version,
        min_agreement=min_agreement,
        suspects=tuple(suspects),
        systems=tuple(
            WithoutSuspects(system=name, words=words, without=without) for name, (words, without) in totals.items()
        ),
    )


class _Edit(NamedTuple):
    """A change to the reference: the word at *position* replaced or deleted, or words inserted before it."""

    position: int
    is_replacement: bool
    words: tuple[str, ...]


def _words_at(alignment: Alignment, edit: _Edit) -> tuple[str, ...]:
    """Return the words of *alignment* at the place of *edit*."""
    if not edit.is_replacement:
        return alignment.inserted().get(edit.position, ())
    recognized = alignment.recognized(edit.position)
    return () if recognized is None else (recognized,)


def _agreed_edits(
    utterance: AlignedUtterance, min_agreement: int, shared: Mapping[str, str]
) -> dict[_Edit, tuple[str, ...]]:
    """Return the edits that enough independent systems make, with their systems, in the order of the words."""
    systems: dict[_Edit, list[str]] = defaultdict(list)
    for system, alignment in utterance.alignments.items():
        if not alignment.hypothesis:
            continue
        for index, words in alignment.inserted().items():
            systems[_Edit(index, is_replacement=False, words=words)].append(system)
        for index in range(len(alignment.reference)):
            if not alignment.is_correct(index):
                edit = _Edit(index, is_replacement=True, words=())
                systems[edit._replace(words=_words_at(alignment, edit))].append(system)
    return {
        edit: tuple(names)
        for edit, names in sorted(systems.items())
        if len({shared.get(name, f"\0{name}") for name in names}) >= min_agreement
    }


def _suspects(utterance: AlignedUtterance, edits: Mapping[_Edit, tuple[str, ...]]) -> Iterator[SuspectReference]:
    """Yield the suspect references; join adjacent edits of the same systems."""
    runs: list[list[_Edit]] = []
    for edit in edits:
        last = runs[-1][-1] if runs else None
        if last and edits[last] == edits[edit] and edit.position == last.position + last.is_replacement:
            runs[-1].append(edit)
        else:
            runs.append([edit])
    for run in runs:
        agreeing = edits[run[0]]
        others = {
            name: [word for edit in run for word in _words_at(alignment, edit)]
            for name, alignment in utterance.alignments.items()
            if name not in agreeing
        }
        yield SuspectReference(
            id=utterance.id,
            word=run[0].position,
            reference=" ".join(utterance.reference[edit.position] for edit in run if edit.is_replacement),
            instead=" ".join(word for edit in run for word in edit.words),
            agreeing=agreeing,
            others=tuple((name, " ".join(words)) for name, words in others.items()),
        )


def _counts_without(alignment: Alignment, edits: Iterable[_Edit], counts: ErrorCounts) -> ErrorCounts:
    """Return the counts without the words at the places of *edits*."""
    for edit in {(edit.position, edit.is_replacement): edit for edit in edits}.values():
        words = _words_at(alignment, edit)
        kind, number = "insertions", len(words)
        if edit.is_replacement:
            kind = "hits" if alignment.is_correct(edit.position) else "substitutions" if words else "deletions"
            number = 1
        counts = attrs.evolve(counts, **{kind: getattr(counts, kind) - number})
    return counts
