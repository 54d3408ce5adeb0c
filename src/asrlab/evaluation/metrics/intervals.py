"""How much one system's word error rate hangs on which utterances were chosen."""

from __future__ import annotations

from typing import TYPE_CHECKING

from asrlab.evaluation.metrics.comparison import LEAST_BLOCKS, Interval, Resampling, block_sums, percentile_interval

if TYPE_CHECKING:
    from collections.abc import Mapping

    from asrlab.evaluation.metrics.words import ErrorCounts

__all__ = ["wer_interval"]


def wer_interval(
    counts: Mapping[str, ErrorCounts],
    *,
    blocks: Mapping[str, str | None] | None = None,
    resampling: Resampling | None = None,
) -> Interval | None:
    """The percentile interval of a word error rate, by a bootstrap of blocks as in `compare_wer`.

    Two systems whose intervals overlap may still differ: that is a question for `compare_wer`, which draws the same
    utterances for both.

    Args:
        counts: By the utterance's id, its errors.
        blocks: As for `compare_wer`.
        resampling: As for `compare_wer`.

    Returns:
        None under six blocks, with which an interval means nothing.
    """
    from asrlab.evaluation.metrics.resampling import resampled_sums

    drawn = resampling or Resampling()
    rows = [(float(each.reference_length), float(each.errors)) for each in counts.values()]
    if len(rows) < LEAST_BLOCKS:
        return None
    columns = block_sums(list(counts), rows, blocks)
    if len(columns) < LEAST_BLOCKS or not columns[:, 0].all():
        return None
    sums = resampled_sums(columns, resamples=drawn.resamples, seed=drawn.seed)
    return percentile_interval(sums[:, 1] / sums[:, 0], drawn.confidence)
