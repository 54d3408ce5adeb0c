"""Alignments of the words of a reference and a hypothesis."""

from __future__ import annotations

from itertools import zip_longest
from typing import TYPE_CHECKING, Literal, cast

import attrs

from asrlab.evaluation.metrics.wer import ErrorCounts

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from jiwer import AlignmentChunk

    from asrlab.evaluation.metrics.normalizers import Normalizer

AlignmentKind = Literal["equal", "substitute", "delete", "insert"]


@attrs.frozen(kw_only=True)
class AlignedWord:
    """A word of the reference beside the aligned word of the hypothesis.

    Attributes:
        kind: ``equal``, ``substitute``, ``delete`` (only in the reference) or ``insert`` (only in the hypothesis).
        reference: Normalized word of the reference; None for ``insert``.
        hypothesis: Normalized word of the hypothesis; None for ``delete``.
    """

    kind: AlignmentKind
    reference: str | None
    hypothesis: str | None


def align(reference: str, hypothesis: str, *, normalizer: Normalizer) -> tuple[AlignedWord, ...]:
    """Align the words of two texts as `asrlab.evaluation.metrics.score` does to count errors.

    If several alignments have the fewest errors, jiwer's choice is returned.

    Args:
        reference: The reference; may be empty.
        hypothesis: The recognized text.
        normalizer: Rule that normalizes both texts. The returned words are normalized.
    """
    import jiwer

    output = jiwer.process_words(normalizer(reference), normalizer(hypothesis))
    [chunks], [reference_words], [hypothesis_words] = output.alignments, output.references, output.hypotheses
    return tuple(word for chunk in chunks for word in _aligned_words(chunk, reference_words, hypothesis_words))


def _aligned_words(
    chunk: AlignmentChunk, reference_words: list[str], hypothesis_words: list[str]
) -> Iterator[AlignedWord]:
    pairs = zip_longest(
        reference_words[chunk.ref_start_idx : chunk.ref_end_idx],
        hypothesis_words[chunk.hyp_start_idx : chunk.hyp_end_idx],
    )
    for reference, hypothesis in pairs:
        yield AlignedWord(kind=cast(AlignmentKind, chunk.type), reference=reference, hypothesis=hypothesis)


@attrs.frozen(kw_only=True)
class Alignment:
    """An alignment with the fewest errors, as indices.

    Attributes:
        reference: Words of the reference, in order.
        hypothesis: Words of the hypothesis, in order.
        hypothesis_index: For each word of the reference the index of its word in the hypothesis; None if deleted.
    """

    reference: tuple[str, ...]
    hypothesis: tuple[str, ...]
    hypothesis_index: tuple[int | None, ...]

    def recognized(self, index: int) -> str | None:
        """Return the hypothesis word aligned with reference word *index*; None if it was deleted."""
        counterpart = self.hypothesis_index[index]
        return None if counterpart is None else self.hypothesis[counterpart]

    def is_correct(self, index: int) -> bool:
        """Return True if reference word *index* was recognized."""
        return self.recognized(index) == self.reference[index]

    def inserted(self) -> dict[int, tuple[str, ...]]:
        """Return the inserted words by the index of the reference word that follows them.

        Words inserted at the end have the length of the reference as their index.
        """
        insertions: dict[int, tuple[str, ...]] = {}
        reference_index = {at: index for index, at in enumerate(self.hypothesis_index) if at is not None}
        following = len(self.reference)
        for at in reversed(range(len(self.hypothesis))):
            if at in reference_index:
                following = reference_index[at]
            else:
                insertions[following] = (self.hypothesis[at], *insertions.get(following, ()))
        return insertions

    def counts(self) -> ErrorCounts:
        """Count the errors as `asrlab.evaluation.metrics.score` does."""
        hits = sum(self.is_correct(index) for index in range(len(self.reference)))
        deletions = self.hypothesis_index.count(None)
        return ErrorCounts(
            hits=hits,
            substitutions=len(self.reference) - hits - deletions,
            deletions=deletions,
            insertions=len(self.hypothesis) - len(self.reference) + deletions,
        )


def align_words(reference: Sequence[str], hypothesis: Sequence[str]) -> Alignment:
    """Align two sequences of words, none of which holds a space, as jiwer does."""
    import jiwer

    output = jiwer.process_words(" ".join(reference), " ".join(hypothesis))
    hypothesis_index: list[int | None] = [None] * len(reference)
    for chunk in output.alignments[0]:
        if chunk.type in ("equal", "substitute"):
            span = range(chunk.hyp_start_idx, chunk.hyp_end_idx)
            hypothesis_index[chunk.ref_start_idx : chunk.ref_end_idx] = span
    return Alignment(reference=tuple(reference), hypothesis=tuple(hypothesis), hypothesis_index=tuple(hypothesis_index))
