"""Places where engines agree with each other and not with the reference, which may be what is wrong."""

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
    """A place where the reference may be wrong.

    Attributes:
        id: The utterance's id.
        word: Index of the first word concerned, in the normalized reference, counted from 0.
        reference: What the reference says there, normalized; empty if the engines have words more.
        instead: What the engines agree on; empty if they have words less.
        agreeing: The engines that do.
        others: What every other engine wrote there.
    """

    id: str
    word: int
    reference: str
    instead: str
    agreeing: tuple[str, ...]
    others: tuple[tuple[str, str], ...]


@attrs.frozen(kw_only=True)
class WithoutSuspects:
    """One system's errors, with the suspect places and without.

    Attributes:
        system: Its name.
        words: Over everything.
        without: Without the words of the references at suspect places, and without the words written there.
    """

    system: str
    words: ErrorCounts
    without: ErrorCounts


@attrs.frozen(kw_only=True)
class SuspectReport:
    """The suspect places of a corpus.

    Attributes:
        normalizer: The normalizer's name.
        normalizer_version: What it was, with its version.
        agree: How many witnesses had to agree.
        suspects: The places, in the order of the utterances.
        systems: With and without them, in the order given.
    """

    normalizer: str
    normalizer_version: str
    agree: int
    suspects: tuple[SuspectReference, ...]
    systems: tuple[WithoutSuspects, ...]


@attrs.frozen(kw_only=True)
class _Edit:
    """A change to the reference: words inserted before *place*, or reference word *place* replaced or left out."""

    place: int
    insertion: bool
    words: tuple[str, ...]


def suspect_references(
    systems: Mapping[str, Iterable[TextPair]],
    *,
    normalizer: Normalizer,
    agree: int = 2,
    shared: Mapping[str, str] | None = None,
) -> SuspectReport:
    """Find where at least *agree* engines make the same change to the reference, word for word after normalization.

    It is a list to listen to, not a verdict: engines trained on the same data make the same mistakes. Changes are
    compared word by word along each engine's alignment with the fewest errors; where two engines' alignments
    differ, an agreement can be missed. An engine that wrote nothing at all is no witness.

    Args:
        systems: Each engine's pairs, of the same utterances.
        normalizer: Brings all texts into one spelling.
        agree: How many witnesses it takes, at least 2.
        shared: By the system's name, what it shares with others, such as the name of its weights: systems with the same
            entry are one witness, since they repeat each other's mistakes. A system without entry is its own.

    Raises:
        DatasetError: The systems are not of the same utterances.
        OptionError: *agree* is under 2, or there are fewer than two systems.
    """
    if agree < 2:
        raise OptionError(f"agree is {agree}; one engine against the reference proves nothing, give 2", option="agree")
    witnesses = shared or {}
    suspects: list[SuspectReference] = []
    totals: dict[str, list[ErrorCounts]] = {}
    for utterance in align_systems(systems, normalizer=normalizer):
        claims = _agreed(utterance, agree, witnesses)
        suspects += _places(utterance, claims)
        for system, edits in utterance.edits.items():
            total = totals.setdefault(system, [ErrorCounts(), ErrorCounts()])
            counts = edits.counts()
            total[:] = total[0] + counts, total[1] + _without(edits, claims, counts)
    return SuspectReport(
        normalizer=normalizer.name,
        normalizer_version=normalizer.version,
        agree=agree,
        suspects=tuple(suspects),
        systems=tuple(WithoutSuspects(system=name, words=one, without=two) for name, (one, two) in totals.items()),
    )


def _claims(edits: Alignment) -> Iterator[_Edit]:
    for place, words in edits.inserted().items():
        yield _Edit(place=place, insertion=True, words=words)
    for place in range(len(edits.reference)):
        if not edits.right(place):
            yield _Edit(place=place, insertion=False, words=_at(edits, place, insertion=False))


def _at(edits: Alignment, place: int, *, insertion: bool) -> tuple[str, ...]:
    if insertion:
        return edits.inserted().get(place, ())
    written = edits.written(place)
    return () if written is None else (written,)


def _agreed(utterance: AlignedUtterance, agree: int, shared: Mapping[str, str]) -> dict[_Edit, tuple[str, ...]]:
    """The changes that enough witnesses make, with the systems that make them, in the order of the words."""
    systems: dict[_Edit, list[str]] = defaultdict(list)
    for system, edits in utterance.edits.items():
        if edits.hypothesis:
            for claim in _claims(edits):
                systems[claim].append(system)
    enough = {
        claim: tuple(names)
        for claim, names in systems.items()
        if len({shared.get(name, f"\0{name}") for name in names}) >= agree
    }
    return dict(sorted(enough.items(), key=lambda item: (item[0].place, not item[0].insertion, item[0].words)))


def _places(utterance: AlignedUtterance, claims: Mapping[_Edit, tuple[str, ...]]) -> Iterator[SuspectReference]:
    """Neighbouring changes by the same systems are one place."""
    run: list[_Edit] = []
    for claim in claims:
        if run and (claims[run[-1]] != claims[claim] or claim.place != run[-1].place + (not run[-1].insertion)):
            yield _suspect(utterance, run, claims[run[0]])
            run = []
        run.append(claim)
    if run:
        yield _suspect(utterance, run, claims[run[0]])


def _suspect(utterance: AlignedUtterance, run: list[_Edit], agreeing: tuple[str, ...]) -> SuspectReference:
    others = {name: edits for name, edits in utterance.edits.items() if name not in agreeing}
    return SuspectReference(
        id=utterance.id,
        word=run[0].place,
        reference=" ".join(utterance.reference[claim.place] for claim in run if not claim.insertion),
        instead=" ".join(word for claim in run for word in claim.words),
        agreeing=agreeing,
        others=tuple(
            (name, " ".join(word for claim in run for word in _at(edits, claim.place, insertion=claim.insertion)))
            for name, edits in others.items()
        ),
    )


def _without(edits: Alignment, claims: Iterable[_Edit], counts: ErrorCounts) -> ErrorCounts:
    """The counts less what stands at the places of *claims*."""
    for place, insertion in {(claim.place, claim.insertion) for claim in claims}:
        written = _at(edits, place, insertion=insertion)
        right = not insertion and edits.right(place)
        counts = attrs.evolve(
            counts,
            hits=counts.hits - right,
            substitutions=counts.substitutions - (not insertion and bool(written) and not right),
            deletions=counts.deletions - (not insertion and not written),
            insertions=counts.insertions - (len(written) if insertion else 0),
        )
    return counts
