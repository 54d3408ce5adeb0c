"""Which word of the hypothesis stands for which word of the reference."""

from __future__ import annotations

from itertools import zip_longest
from typing import TYPE_CHECKING, Literal, cast

import attrs

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from jiwer import AlignmentChunk

    from asrlab.evaluation.metrics.normalizers import Normalizer
    from asrlab.evaluation.metrics.wer import ErrorCounts

Kind = Literal["equal", "substitute", "delete", "insert"]


@attrs.frozen(kw_only=True)
class AlignedWord:
    """A word of the reference beside its counterpart in the hypothesis.

    Attributes:
        kind: ``equal``, ``substitute``, ``delete`` (only in the reference) or ``insert`` (only in the hypothesis).
        reference: The word, normalized; None for ``insert``.
        hypothesis: The word, normalized; None for ``delete``.
    """

    kind: Kind
    reference: str | None
    hypothesis: str | None


def align(reference: str, hypothesis: str, *, normalizer: Normalizer) -> tuple[AlignedWord, ...]:
    """The words of both texts side by side, by the alignment whose errors `asrlab.evaluation.metrics.score` counts.

    Where several alignments have the fewest errors, it is the one that jiwer finds.

    Args:
        reference: What was said; may be empty.
        hypothesis: What the transcriber wrote.
        normalizer: Brings both into one spelling; the words given back are normalized.
    """
    import jiwer

    output = jiwer.process_words(normalizer(reference), normalizer(hypothesis))
    [chunks], [said], [written] = output.alignments, output.references, output.hypotheses
    return tuple(word for chunk in chunks for word in _words(chunk, said=said, written=written))


def _words(chunk: AlignmentChunk, *, said: list[str], written: list[str]) -> Iterator[AlignedWord]:
    pairs = zip_longest(
        said[chunk.ref_start_idx : chunk.ref_end_idx],
        written[chunk.hyp_start_idx : chunk.hyp_end_idx],
    )
    for reference, hypothesis in pairs:
        yield AlignedWord(kind=cast(Kind, chunk.type), reference=reference, hypothesis=hypothesis)


@attrs.frozen(kw_only=True)
class Alignment:
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
        from asrlab.evaluation.metrics.wer import ErrorCounts

        hits = sum(self.right(place) for place in range(len(self.reference)))
        deletions = self.counterparts.count(None)
        return ErrorCounts(
            hits=hits,
            substitutions=len(self.reference) - hits - deletions,
            deletions=deletions,
            insertions=len(self.hypothesis) - len(self.reference) + deletions,
        )


def align_words(reference: Sequence[str], hypothesis: Sequence[str]) -> Alignment:
    """Align two sequences of words, each without spaces in it, by the alignment that jiwer finds."""
    import jiwer

    output = jiwer.process_words(" ".join(reference), " ".join(hypothesis))
    counterparts: list[int | None] = [None] * len(reference)
    for chunk in output.alignments[0]:
        if chunk.type in ("equal", "substitute"):
            span = range(chunk.hyp_start_idx, chunk.hyp_end_idx)
            counterparts[chunk.ref_start_idx : chunk.ref_end_idx] = span
    return Alignment(reference=tuple(reference), hypothesis=tuple(hypothesis), counterparts=tuple(counterparts))
