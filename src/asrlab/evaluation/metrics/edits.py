"""What each word of a reference became in a hypothesis, by position."""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs

if TYPE_CHECKING:
    from collections.abc import Sequence

    from asrlab.evaluation.metrics.words import ErrorCounts

__all__ = ["Edits", "edits_of"]


@attrs.frozen(kw_only=True)
class Edits:
    """An alignment with the fewest errors, as positions.

    Attributes:
        reference: The words said, in order.
        hypothesis: The words written, in order.
        counterparts: For each word of the reference the index of the word written in its place; None where none was.
    """

    reference: tuple[str, ...]
    hypothesis: tuple[str, ...]
    counterparts: tuple[int | None, ...]

    def written(self, place: int) -> str | None:
        """The word in place of reference word *place*; None where it was left out."""
        counterpart = self.counterparts[place]
        return None if counterpart is None else self.hypothesis[counterpart]

    def right(self, place: int) -> bool:
        """Whether reference word *place* was written as said."""
        return self.written(place) == self.reference[place]

    def inserted(self) -> dict[int, tuple[str, ...]]:
        """The words without counterpart, by the index of the reference word before which they stand.

        Those after the last one have the length of the reference as their index.
        """
        found: dict[int, tuple[str, ...]] = {}
        before = {at: place for place, at in enumerate(self.counterparts) if at is not None}
        place = len(self.reference)
        for at in reversed(range(len(self.hypothesis))):
            if at in before:
                place = before[at]
            else:
                found[place] = (self.hypothesis[at], *found.get(place, ()))
        return found

    def counts(self) -> ErrorCounts:
        """The errors, as `asrlab.evaluation.metrics.score` counts them."""
        from asrlab.evaluation.metrics.words import ErrorCounts

        hits = sum(self.right(place) for place in range(len(self.reference)))
        deletions = self.counterparts.count(None)
        return ErrorCounts(
            hits=hits,
            substitutions=len(self.reference) - hits - deletions,
            deletions=deletions,
            insertions=len(self.hypothesis) - len(self.reference) + deletions,
        )


def edits_of(reference: Sequence[str], hypothesis: Sequence[str]) -> Edits:
    """Align two sequences of words, each without spaces in it, by the alignment that jiwer finds."""
    import jiwer

    output = jiwer.process_words(" ".join(reference), " ".join(hypothesis))
    counterparts: list[int | None] = [None] * len(reference)
    for chunk in output.alignments[0]:
        if chunk.type in ("equal", "substitute"):
            span = range(chunk.hyp_start_idx, chunk.hyp_end_idx)
            counterparts[chunk.ref_start_idx : chunk.ref_end_idx] = span
    return Edits(reference=tuple(reference), hypothesis=tuple(hypothesis), counterparts=tuple(counterparts))
