"""Comparison of systems by word error rate, with intervals and tests of significance."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import attrs
import numpy as np

from asrlab.errors import DatasetError
from asrlab.evaluation.metrics.alignment import match_utterances
from asrlab.evaluation.metrics.resampling import (
    MIN_BLOCKS,
    Interval,
    Resampling,
    block_sums,
    flip_tests,
    percentile_interval,
    resampled_sums,
)
from asrlab.evaluation.metrics.wer import ErrorCounts, count_word_errors

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from numpy.typing import NDArray

    from asrlab.evaluation.metrics.normalizers import Normalizer
    from asrlab.evaluation.metrics.wer import TextPair

WerVerdict = Literal["better", "worse", "no difference shown", "too few to tell"]


@attrs.frozen(kw_only=True)
class WerDifference:
    """The difference of two systems' word error rates.

    Attributes:
        baseline: Name of the system to compare with.
        candidate: Name of the system that the verdict is about.
        difference: The candidate's WER minus the baseline's, as a fraction; negative if the candidate makes fewer
            errors.
        interval: Interval of the difference.
        improvement: Probability of improvement: the share of resamples in which the candidate makes fewer errors; ties
            count half.
        p_value: Two-sided p-value of the sign-flip test that both systems are equal.
        p_adjusted: The p-value adjusted by Holm's method for all pairs of systems; *p_value* for two systems.
        verdict: Verdict on the candidate. ``better`` or ``worse`` only if the interval excludes zero and *p_adjusted*
            is below 1 - confidence; ``too few to tell`` under six blocks.
    """

    baseline: str
    candidate: str
    difference: float
    interval: Interval
    improvement: float
    p_value: float
    p_adjusted: float
    verdict: WerVerdict


@attrs.frozen(kw_only=True)
class WerComparison:
    """A comparison of systems on the same utterances.

    Attributes:
        normalizer: Name of the normalizer.
        normalizer_version: The normalizer's rules, with their version.
        utterances: Number of utterances compared.
        empty_references: Number of utterances left out because their reference is empty after normalization.
        blocks: Number of blocks resampled.
        systems: Each system's name and errors, in the order given.
        differences: The differences between all pairs of systems.
        resampling: Settings of the bootstrap and test.
    """

    normalizer: str
    normalizer_version: str
    utterances: int
    empty_references: int
    blocks: int
    systems: tuple[tuple[str, ErrorCounts], ...]
    differences: tuple[WerDifference, ...]
    resampling: Resampling


def compare_wer(
    systems: Mapping[str, Iterable[TextPair]],
    *,
    normalizer: Normalizer,
    blocks: Mapping[str, str | None] | None = None,
    resampling: Resampling | None = None,
) -> WerComparison:
    """Compare systems pairwise on the same utterances by paired block bootstrap, sign-flip test and Holm's method.

    Blocks are drawn with replacement, as many as there are, and both systems are scored on the same draw. The interval
    is the percentile interval. With few blocks its coverage is lower than stated: in a simulation 84 % with 6 speakers,
    87 % with 10, 93 % with 20, 94 % with 50; a bias-corrected interval (BCa) covered no more. The sign-flip test keeps
    its level with few blocks, so a verdict needs both.

    Args:
        systems: At least two systems, each with its pairs; the first is the baseline of the others.
        normalizer: Rule that normalizes all texts.
        blocks: Each utterance's block by its id, such as its speaker or recording, since mistakes of one speaker are
            correlated. An utterance that is absent or has None is drawn alone, as all are without *blocks*.
        resampling: Settings; by default 10,000 resamples, seed 0 and 95 %.

    Raises:
        DatasetError: If the systems have different utterances, or no utterance has a reference.
        OptionError: If there are fewer than two systems.

    Source: Bisani and Ney, Bootstrap Estimates for Confidence Intervals in ASR Performance Evaluation (ICASSP 2004);
        Liu and Peng, Statistical Testing on ASR Performance via Blockwise Bootstrap (Interspeech 2020).
    """
    matched = match_utterances(systems)
    settings = resampling or Resampling()
    table = _count_errors(matched, normalizer)
    columns = block_sums(table.ids, table.rows, blocks)
    lengths = block_sums(table.ids, table.lengths, blocks)
    return WerComparison(
        normalizer=normalizer.name,
        normalizer_version=normalizer.version,
        utterances=len(table.ids),
        empty_references=table.empty,
        blocks=len(columns),
        systems=tuple(table.totals.items()),
        differences=_differences(tuple(matched), columns, lengths, settings),
        resampling=settings,
    )


@attrs.define
class _ErrorRows:
    ids: list[str] = attrs.field(factory=list)
    rows: list[tuple[float, ...]] = attrs.field(factory=list)  # words of the reference, then each system's errors
    lengths: list[tuple[float, ...]] = attrs.field(factory=list)  # words of each system's reading of the reference
    totals: dict[str, ErrorCounts] = attrs.field(factory=dict)
    empty: int = 0


def _count_errors(systems: Mapping[str, Sequence[TextPair]], normalizer: Normalizer) -> _ErrorRows:
    table = _ErrorRows(totals=dict.fromkeys(systems, ErrorCounts()))
    for pairs in zip(*systems.values(), strict=True):
        references = [normalizer(pair.reference) for pair in pairs]
        if not any(references):
            table.empty += 1
            continue
        counts = [
            count_word_errors(reference, normalizer(pair.hypothesis))
            for reference, pair in zip(references, pairs, strict=True)
        ]
        for name, count in zip(systems, counts, strict=True):
            table.totals[name] += count
        table.ids.append(pairs[0].id)
        lengths = tuple(count.reference_length for count in counts)
        table.lengths.append(lengths)
        table.rows.append((lengths[0], *(count.errors for count in counts)))
    if not table.ids:
        raise DatasetError("no utterance has a reference, so there is no error rate to compare; give references")
    return table


def _differences(
    names: Sequence[str], columns: NDArray[np.float64], lengths: NDArray[np.float64], resampling: Resampling
) -> tuple[WerDifference, ...]:
    """Return the differences between all pairs of systems.

    Args:
        names: Names of the systems.
        columns: float64, shape (n, 1 + systems): words of the reference and each system's errors, one row a block.
        lengths: float64, shape (n, systems): words of the reading of the reference that each system is scored against.
        resampling: Settings of the bootstrap and test.
    """
    sums = resampled_sums(columns, resampling)
    words, *errors = columns.sum(axis=0)
    # Rates have different denominators only if the readings differ; else the difference is divided once.
    has_readings = bool((lengths != columns[:, :1]).any())
    length_sums = resampled_sums(lengths, resampling) if has_readings else None
    rates = np.asarray(errors) / lengths.sum(axis=0)
    differences = []
    for one, two, p_value, p_adjusted in flip_tests(columns, resampling):
        if length_sums is None:
            more = sums[:, two] - sums[:, one]
            shares, difference = more / sums[:, 0], (errors[two - 1] - errors[one - 1]) / words
        else:
            more = shares = sums[:, two] / length_sums[:, two - 1] - sums[:, one] / length_sums[:, one - 1]
            difference = rates[two - 1] - rates[one - 1]
        interval = percentile_interval(shares, resampling.confidence)
        is_shown = interval.excludes(0) and p_adjusted < 1 - resampling.confidence
        differences.append(
            WerDifference(
                baseline=names[one - 1],
                candidate=names[two - 1],
                difference=float(difference),
                interval=interval,
                improvement=float((more < 0).mean() + (more == 0).mean() / 2),
                p_value=p_value,
                p_adjusted=p_adjusted,
                verdict=_verdict(interval, len(columns), is_shown=is_shown),
            )
        )
    return tuple(differences)


def _verdict(interval: Interval, blocks: int, *, is_shown: bool) -> WerVerdict:
    if blocks < MIN_BLOCKS:
        return "too few to tell"
    if not is_shown:
        return "no difference shown"
    return "better" if interval.high < 0 else "worse"


def wer_interval(
    counts: Mapping[str, ErrorCounts],
    *,
    blocks: Mapping[str, str | None] | None = None,
    resampling: Resampling | None = None,
) -> Interval | None:
    """Return the percentile interval of one word error rate, by a block bootstrap as in `compare_wer`.

    Two systems whose intervals overlap may still differ: only `compare_wer` draws the same utterances for both.

    Args:
        counts: Each utterance's errors by its id.
        blocks: As for `compare_wer`.
        resampling: As for `compare_wer`.

    Returns:
        None under six blocks, with which an interval is meaningless.
    """
    settings = resampling or Resampling()
    rows = [(float(count.reference_length), float(count.errors)) for count in counts.values()]
    if len(rows) < MIN_BLOCKS:
        return None
    columns = block_sums(list(counts), rows, blocks)
    if len(columns) < MIN_BLOCKS or not columns[:, 0].all():
        return None
    sums = resampled_sums(columns, settings)
    return percentile_interval(sums[:, 1] / sums[:, 0], settings.confidence)
