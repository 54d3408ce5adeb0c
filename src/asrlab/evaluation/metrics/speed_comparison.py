"""Comparison of systems by speed on the same utterances."""

from __future__ import annotations

import math
from itertools import pairwise
from statistics import median
from typing import TYPE_CHECKING, Literal

import attrs
import numpy as np

from asrlab.errors import DatasetError
from asrlab.evaluation.metrics.alignment import match_ids
from asrlab.evaluation.metrics.resampling import (
    MIN_BLOCKS,
    Interval,
    Resampling,
    block_sums,
    flip_tests,
    percentile_interval,
    resampled_sums,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from numpy.typing import NDArray

SpeedVerdict = Literal["faster", "slower", "no difference shown", "too few to tell"]

MIN_PASSES = 3
"""With fewer passes, a difference cannot be told from the variation between passes."""


def _check_duration(instance: UtteranceTime, _attribute: attrs.Attribute[float], value: float) -> None:
    if not _is_positive(value):
        raise DatasetError(_no_time(instance, "duration", value))


def _check_seconds(
    instance: UtteranceTime, _attribute: attrs.Attribute[tuple[float, ...]], value: tuple[float, ...]
) -> None:
    if not value or not all(map(_is_positive, value)):
        raise DatasetError(_no_time(instance, "seconds", value[0] if len(value) == 1 else value))


def _is_positive(value: float) -> bool:
    return math.isfinite(value) and value > 0


def _no_time(instance: UtteranceTime, name: str, value: object) -> str:
    return f"utterance {instance.id!r} has {name} {value!r}; leave out utterances that were not transcribed"


def _each_pass(seconds: float | Iterable[float]) -> tuple[float, ...]:
    return (seconds,) if isinstance(seconds, int | float) else tuple(seconds)


@attrs.frozen(kw_only=True)
class UtteranceTime:
    """The time that one utterance took.

    Attributes:
        id: Id of the utterance.
        duration: Seconds of audio, above 0.
        seconds: Seconds from the call to the whole transcript (``Transcript.timings.total``), above 0, of each pass
            through the data set in order. A single number is one pass.

    Raises:
        DatasetError: If a time is 0, negative or not finite.
    """

    id: str
    duration: float = attrs.field(validator=_check_duration)
    seconds: tuple[float, ...] = attrs.field(validator=_check_seconds, converter=_each_pass)


@attrs.frozen(kw_only=True)
class SpeedRatio:
    """The ratio of two systems' speeds.

    Attributes:
        baseline: Name of the system to compare with.
        candidate: Name of the system that the verdict is about.
        ratio: The candidate's RTFx over the baseline's; above 1 if the candidate takes less time.
        interval: Interval of the ratio over the choice of utterances and, with several passes, of passes.
        improvement: Share of resamples in which the candidate takes less time; ties count half.
        p_value: Two-sided p-value of the sign-flip test that both systems take the same time.
        p_adjusted: The p-value adjusted by Holm's method for all pairs of systems.
        verdict: Verdict on the candidate. ``faster`` or ``slower`` only with three passes or more, if every pass of one
            system is faster than every pass of the other, the interval excludes 1 and *p_adjusted* is below
            1 - confidence; ``too few to tell`` under six blocks.
        reason: Reason for no verdict regardless of the figures, such as a single pass; empty otherwise.
    """

    baseline: str
    candidate: str
    ratio: float
    interval: Interval
    improvement: float
    p_value: float
    p_adjusted: float
    verdict: SpeedVerdict
    reason: str = ""


@attrs.frozen(kw_only=True)
class SpeedComparison:
    """A comparison of systems on the same utterances.

    Attributes:
        utterances: Number of utterances compared.
        blocks: Number of blocks resampled.
        systems: Each system's name and RTFx, in the order given: all audio over all time, the median of its passes.
        passes: Each system's name and the RTFx of its passes in order.
        ratios: The ratios of all pairs of systems.
        resampling: Settings of the bootstrap and test.
    """

    utterances: int
    blocks: int
    systems: tuple[tuple[str, float], ...]
    passes: tuple[tuple[str, tuple[float, ...]], ...]
    ratios: tuple[SpeedRatio, ...]
    resampling: Resampling


def compare_speed(
    systems: Mapping[str, Iterable[UtteranceTime]],
    *,
    blocks: Mapping[str, str | None] | None = None,
    resampling: Resampling | None = None,
    reasons: Mapping[tuple[str, str], str] | None = None,
) -> SpeedComparison:
    """Compare the speed of systems pairwise on the same utterances, by paired block bootstrap and sign-flip test.

    The bootstrap draws the same blocks of utterances and the same passes for both systems. Their passes should
    alternate, so that load on the machine slows both.

    Args:
        systems: At least two systems, each with its times; only utterances that all of them transcribed, in the same
            number of passes.
        blocks: As in `asrlab.evaluation.metrics.compare_wer`.
        resampling: Settings; by default 10,000 resamples, seed 0 and 95 %.
        reasons: Reasons for no verdict on two systems, by their names in the order given, such as a busy machine.

    Raises:
        DatasetError: If the systems have different utterances or numbers of passes, or there is no utterance.
        OptionError: If there are fewer than two systems.
    """
    matched = match_ids(systems)
    _check_durations(matched)
    settings = resampling or Resampling()
    times = list(zip(*matched.values(), strict=True))
    if not times:
        raise DatasetError("no utterance to compare the speed on; give those that every system transcribed")
    n_passes = _count_passes(matched)
    rows = [(row[0].duration, *(seconds for time in row for seconds in time.seconds)) for row in times]
    columns = block_sums([row[0].id for row in times], rows, blocks)
    audio, *seconds = columns.sum(axis=0)
    speeds = [
        tuple(float(audio / total) for total in seconds[start : start + n_passes])
        for start in range(0, len(seconds), n_passes)
    ]
    return SpeedComparison(
        utterances=len(times),
        blocks=len(columns),
        systems=tuple((name, median(values)) for name, values in zip(matched, speeds, strict=True)),
        passes=tuple(zip(matched, speeds, strict=True)),
        ratios=_ratios(dict(zip(matched, speeds, strict=True)), columns, settings, reasons or {}),
        resampling=settings,
    )


def _check_durations(matched: Mapping[str, Sequence[UtteranceTime]]) -> None:
    for first, second in pairwise(matched):
        for one, other in zip(matched[first], matched[second], strict=True):
            # engines may round durations, by less than one block of samples
            if abs(one.duration - other.duration) > 0.1:
                raise DatasetError(
                    f"not the same audio: utterance {one.id!r} has {one.duration:.2f} s in {first!r} and"
                    f" {other.duration:.2f} s in {second!r}; compare runs over the same data set"
                )


def _count_passes(matched: Mapping[str, Sequence[UtteranceTime]]) -> int:
    counts = {len(time.seconds): f"{time.id!r} in {name!r}" for name, times in matched.items() for time in times}
    if len(counts) > 1:
        (few, one), (many, other), *_ = sorted(counts.items())
        raise DatasetError(f"utterance {one} has {few} passes, and {other} has {many}; give as many for all")
    return next(iter(counts))


def _ratios(
    speeds: Mapping[str, tuple[float, ...]],
    columns: NDArray[np.float64],
    resampling: Resampling,
    reasons: Mapping[tuple[str, str], str],
) -> tuple[SpeedRatio, ...]:
    names = list(speeds)
    n_passes = len(speeds[names[0]])
    by_pass = columns[:, 1:].reshape(len(columns), len(names), n_passes)
    medians = np.concatenate((columns[:, :1], np.median(by_pass, axis=2)), axis=1)
    times = _resampled_times(columns, n_passes, resampling)
    compared = []
    for one, two, p_value, p_adjusted in flip_tests(medians, resampling):
        baseline, candidate = names[one - 1], names[two - 1]
        ratios = times[:, one - 1] / times[:, two - 1]
        interval = percentile_interval(ratios, resampling.confidence)
        reason = reasons.get((baseline, candidate), "") or _too_few_passes(n_passes)
        is_shown = (
            not reason
            and interval.excludes(1)
            and p_adjusted < 1 - resampling.confidence
            and _are_apart(speeds[baseline], speeds[candidate])
        )
        compared.append(
            SpeedRatio(
                baseline=baseline,
                candidate=candidate,
                ratio=median(speeds[candidate]) / median(speeds[baseline]),
                interval=interval,
                improvement=float((ratios > 1).mean() + (ratios == 1).mean() / 2),
                p_value=p_value,
                p_adjusted=p_adjusted,
                verdict=_verdict(interval, len(columns), is_shown=is_shown),
                reason=reason,
            )
        )
    return tuple(compared)


def _resampled_times(columns: NDArray[np.float64], n_passes: int, resampling: Resampling) -> NDArray[np.float64]:
    """Return each system's seconds in each resample: the median of passes drawn with replacement.

    Returns:
        float64, shape (resamples, systems).
    """
    sums = resampled_sums(columns, resampling)
    by_pass = sums[:, 1:].reshape(len(sums), -1, n_passes)
    if n_passes == 1:
        return by_pass[:, :, 0]
    picks = np.random.default_rng([resampling.seed, 2]).integers(0, n_passes, size=(len(sums), 1, n_passes))
    times: NDArray[np.float64] = np.median(np.take_along_axis(by_pass, picks, axis=2), axis=2)
    return times


def _too_few_passes(n_passes: int) -> str:
    if n_passes >= MIN_PASSES:
        return ""
    count = "a single pass" if n_passes == 1 else f"{n_passes} passes"
    return f"{count} of each; a verdict on speed needs the models in one run with --repeat {MIN_PASSES}"


def _are_apart(one: Sequence[float], other: Sequence[float]) -> bool:
    """Return True if every pass of one system is faster than every pass of the other."""
    return max(one) < min(other) or max(other) < min(one)


def _verdict(interval: Interval, blocks: int, *, is_shown: bool) -> SpeedVerdict:
    if blocks < MIN_BLOCKS:
        return "too few to tell"
    if not is_shown:
        return "no difference shown"
    return "faster" if interval.low > 1 else "slower"
