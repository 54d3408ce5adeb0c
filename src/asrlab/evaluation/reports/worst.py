"""The utterances with the most errors, and how their words differ."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import groupby

import attrs

from asrlab.evaluation.metrics import AlignedWord
from asrlab.evaluation.reports.scored_system import ScoredSystem, ScoredUtterance


@attrs.frozen(kw_only=True)
class AlignedSpan:
    """Words that come one after the other and are all right, or all not.

    Attributes:
        is_equal: Whether they are the same in both texts.
        reference: The words of the reference.
        hypothesis: The words of the hypothesis; *reference* where they are the same.
    """

    is_equal: bool
    reference: str
    hypothesis: str


@attrs.frozen(kw_only=True)
class WorstUtterance:
    """An utterance with many errors.

    Attributes:
        id: The utterance's id.
        outcomes: By system, in its order.
        errors: Over all systems.
    """

    id: str
    outcomes: tuple[tuple[str, ScoredUtterance], ...]
    errors: int

    @property
    def first(self) -> ScoredUtterance:
        """What the first system made of it, which has the facts of the utterance, too."""
        return self.outcomes[0][1]


def worst_utterances(systems: Sequence[ScoredSystem], *, most: int) -> tuple[WorstUtterance, ...]:
    """Those with the most errors over all systems; of the same number the shorter, then in the data set's order.

    They are what the error rates are made of. Utterances without any error are not among them.

    Args:
        systems: Over the same utterances in the same order.
        most: How many at most.
    """
    rows = list(zip(*(system.utterances for system in systems), strict=True))
    errors = [sum(each.errors for each in row) for row in rows]
    lengths = [row[0].counts.reference_length if row[0].counts else 0 for row in rows]
    ranked = sorted((place for place in range(len(rows)) if errors[place]), key=lambda at: (-errors[at], lengths[at]))
    names = [system.name for system in systems]
    return tuple(
        WorstUtterance(id=rows[at][0].result.id, outcomes=tuple(zip(names, rows[at], strict=True)), errors=errors[at])
        for at in ranked[:most]
    )


def alignment_spans(words: Sequence[AlignedWord]) -> Iterator[AlignedSpan]:
    """The words of an alignment, those of the same sort together."""
    for same, run in groupby(words, key=lambda word: word.kind == "equal"):
        part = list(run)
        yield AlignedSpan(
            is_equal=same,
            reference=" ".join(word.reference for word in part if word.reference is not None),
            hypothesis=" ".join(word.hypothesis for word in part if word.hypothesis is not None),
        )
