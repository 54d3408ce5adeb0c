"""Suspect references: words at which systems agree with each other and not with the reference."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

import attrs

from asrlab.errors import OptionError
from asrlab.evaluation.metrics.matching import align_systems
from asrlab.evaluation.metrics.wer import ErrorCounts

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from asrlab.evaluation.metrics.alignment import Alignment
    from asrlab.evaluation.metrics.matching import AlignedUtterance
    from asrlab.evaluation.metrics.normalizers import Normalizer
    from asrlab.evaluation.metrics.wer import TextPair


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


@attrs.frozen(kw_only=True)
class _Edit:
    """A change to the reference: words inserted before word *index*, or word *index* replaced or deleted."""

    index: int
    is_insertion: bool
    words: tuple[str, ...]


def suspect_references(
    systems: Mapping[str, Iterable[TextPair]],
    *,
    normalizer: Normalizer,
    min_agreement: int = 2,
    shared: Mapping[str, str] | None = None,
) -> SuspectReport:
    """Find references that at least *min_agreement* independent systems change in the same way, after normalization.

    The report lists places to listen to; it does not prove errors: systems trained on the same data make the same
    mistakes. Changes are compared word by word along each system's alignment with the fewest errors. If the alignments
    differ, an agreement can be missed. A system with an empty hypothesis is not counted.

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
        raise OptionError(
            f"min_agreement is {min_agreement}; one system against the reference proves nothing, give 2",
            option="min_agreement",
        )
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


def _edits(alignment: Alignment) -> Iterator[_Edit]:
    for index, words in alignment.inserted().items():
        yield _Edit(index=index, is_insertion=True, words=words)
    for index in range(len(alignment.reference)):
        if not alignment.is_correct(index):
            yield _Edit(index=index, is_insertion=False, words=_words_at(alignment, index, is_insertion=False))


def _words_at(alignment: Alignment, index: int, *, is_insertion: bool) -> tuple[str, ...]:
    if is_insertion:
        return alignment.inserted().get(index, ())
    recognized = alignment.recognized(index)
    return () if recognized is None else (recognized,)


def _agreed_edits(
    utterance: AlignedUtterance, min_agreement: int, shared: Mapping[str, str]
) -> dict[_Edit, tuple[str, ...]]:
    """Return the edits that enough independent systems make, with their systems, in the order of the words."""
    systems: dict[_Edit, list[str]] = defaultdict(list)
    for system, alignment in utterance.alignments.items():
        if alignment.hypothesis:
            for edit in _edits(alignment):
                systems[edit].append(system)
    agreed = {
        edit: tuple(names)
        for edit, names in systems.items()
        if len({shared.get(name, f"\0{name}") for name in names}) >= min_agreement
    }
    return dict(sorted(agreed.items(), key=lambda item: (item[0].index, not item[0].is_insertion, item[0].words)))


def _suspects(utterance: AlignedUtterance, edits: Mapping[_Edit, tuple[str, ...]]) -> Iterator[SuspectReference]:
    """Yield the suspect references; join adjacent edits of the same systems."""
    run: list[_Edit] = []
    for edit in edits:
        if run and (edits[run[-1]] != edits[edit] or edit.index != run[-1].index + (not run[-1].is_insertion)):
            yield _suspect(utterance, run, edits[run[0]])
            run = []
        run.append(edit)
    if run:
        yield _suspect(utterance, run, edits[run[0]])


def _suspect(utterance: AlignedUtterance, run: list[_Edit], agreeing: tuple[str, ...]) -> SuspectReference:
    others = {name: alignment for name, alignment in utterance.alignments.items() if name not in agreeing}
    return SuspectReference(
        id=utterance.id,
        word=run[0].index,
        reference=" ".join(utterance.reference[edit.index] for edit in run if not edit.is_insertion),
        instead=" ".join(word for edit in run for word in edit.words),
        agreeing=agreeing,
        others=tuple(
            (
                name,
                " ".join(
                    word for edit in run for word in _words_at(alignment, edit.index, is_insertion=edit.is_insertion)
                ),
            )
            for name, alignment in others.items()
        ),
    )


def _counts_without(alignment: Alignment, edits: Iterable[_Edit], counts: ErrorCounts) -> ErrorCounts:
    """Return the counts without the words at the places of *edits*."""
    for index, is_insertion in {(edit.index, edit.is_insertion) for edit in edits}:
        words = _words_at(alignment, index, is_insertion=is_insertion)
        is_correct = not is_insertion and alignment.is_correct(index)
        counts = attrs.evolve(
            counts,
            hits=counts.hits - is_correct,
            substitutions=counts.substitutions - (not is_insertion and bool(words) and not is_correct),
            deletions=counts.deletions - (not is_insertion and not words),
            insertions=counts.insertions - (len(words) if is_insertion else 0),
        )
    return counts
