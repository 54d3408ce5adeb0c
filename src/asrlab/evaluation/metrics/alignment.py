"""Which word of the hypothesis stands for which word of the reference."""

from __future__ import annotations

from itertools import zip_longest
from typing import TYPE_CHECKING, Literal, cast

import attrs

if TYPE_CHECKING:
    from collections.abc import Iterator

    from jiwer import AlignmentChunk

    from asrlab.evaluation.metrics.normalizers import Normalizer

__all__ = ["AlignedWord", "Kind", "align"]

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
