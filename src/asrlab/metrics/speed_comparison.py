"""Whether one system is faster than another on the same utterances."""

from __future__ import annotations

import math
from itertools import pairwise
from typing import TYPE_CHECKING, Literal

import attrs

from asrlab.errors import DatasetError
from asrlab.metrics.comparison import LEAST_BLOCKS, Interval, Resampling, block_sums, flip_tests, percentile_interval
from asrlab.metrics.pairing import same_ids

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    import numpy as np
    from numpy.typing import NDArray

__all__ = ["SpeedComparison", "SpeedRatio", "UtteranceTime", "compare_speed"]


def _seconds(instance: UtteranceTime, attribute: attrs.Attribute[float], value: float) -> None:
    if not (math.isfinite(value) and value > 0):
        raise DatasetError(
            f"utterance {instance.id!r} has {attribute.name} {value!r}; leave out utterances that were not transcribed"
        )


@attrs.frozen(kw_only=True)
class UtteranceTime:
    """How long one utterance took.

    Attributes:
        id: The utterance's id.
        duration: Seconds of audio, above 0.
        seconds: From handing it over to its whole transcript (``Transcript.timings.total``), above 0.

    Raises:
        DatasetError: A time is 0, negative or not finite.
    """

    id: str
    duration: float = attrs.field(validator=_seconds)
    seconds: float = attrs.field(validator=_seconds)


@attrs.frozen(kw_only=True)
class SpeedRatio:
    """Two systems' speeds.

    Attributes:
        baseline: The system that is compared with.
        candidate: The system that is judged.
        ratio: The candidate's RTFx over the baseline's; above 1 if the candidate takes less time.
        interval: Of the ratio. It tells how much hangs on which utterances were chosen, not what the machine would do
            on another day; for that, repeat the runs.
        improvement: The share of resamples in which the candidate takes less time; ties count half.
        p_value: Of the sign-flip test that both take the same time, two-sided.
        p_adjusted: The same by Holm for all pairs of systems compared.
        verdict: On the candidate. ``faster`` or ``slower`` only where the interval excludes 1 and *p_adjusted* is below
            1 - confidence; ``too few to tell`` under six blocks.
    """

    baseline: str
    candidate: str
    ratio: float
    interval: Interval
    improvement: float
    p_value: float
    p_adjusted: float
    verdict: Literal["faster", "slower", "no difference shown", "too few to tell"]


@attrs.frozen(kw_only=True)
class SpeedComparison:
    """Systems over the same utterances.

    Attributes:
        utterances: How many were compared.
        blocks: How many blocks were resampled.
        systems: By name, in the order given, each system's RTFx: all audio over all time.
        ratios: Every system with each that comes before it.
        resampling: How it was drawn.
    """

    utterances: int
    blocks: int
    systems: tuple[tuple[str, float], ...]
    ratios: tuple[SpeedRatio, ...]
    resampling: Resampling


def compare_speed(
    systems: Mapping[str, Iterable[UtteranceTime]],
    *,
    blocks: Mapping[str, str | None] | None = None,
    resampling: Resampling | None = None,
) -> SpeedComparison:
    """Compare the speed of systems pairwise on the same utterances, by paired block bootstrap and sign-flip test.

    Args:
        systems: At least two, each with its times; only utterances that all of them transcribed.
        blocks: As in `asrlab.metrics.compare_wer`.
        resampling: 10,000 resamples, seed 0 and 95 % where not given.

    Raises:
        DatasetError: The systems are not of the same utterances, or there are none.
        OptionError: There are fewer than two systems.
    """
    same = same_ids(systems)
    _check_durations(same)
    drawn = resampling or Resampling()
    times = list(zip(*same.values(), strict=True))
    if not times:
        raise DatasetError("no utterance to compare the speed on; give those that every system transcribed")
    rows = [(row[0].duration, *(time.seconds for time in row)) for row in times]
    columns = block_sums([row[0].id for row in times], rows, blocks)
    audio, *seconds = columns.sum(axis=0)
    return SpeedComparison(
        utterances=len(times),
        blocks=len(columns),
        systems=tuple((name, float(audio / total)) for name, total in zip(same, seconds, strict=True)),
        ratios=_ratios(tuple(same), columns, drawn),
        resampling=drawn,
    )


def _check_durations(same: Mapping[str, Sequence[UtteranceTime]]) -> None:
    for first, second in pairwise(same):
        for one, other in zip(same[first], same[second], strict=True):
            # engines may round what they were given, by less than one block of samples
            if abs(one.duration - other.duration) > 0.1:
                raise DatasetError(
                    f"not the same audio: utterance {one.id!r} has {one.duration:.2f} s in {first!r} and"
                    f" {other.duration:.2f} s in {second!r}; compare runs over the same data set"
                )


def _ratios(names: Sequence[str], columns: NDArray[np.float64], resampling: Resampling) -> tuple[SpeedRatio, ...]:
    from asrlab.metrics.resampling import resampled_sums

    sums = resampled_sums(columns, resamples=resampling.resamples, seed=resampling.seed)
    totals = columns.sum(axis=0)
    found = []
    for one, two, p_value, p_adjusted in flip_tests(columns, resampling):
        ratios = sums[:, one] / sums[:, two]
        interval = percentile_interval(ratios, resampling.confidence)
        shown = interval.excludes(1) and p_adjusted < 1 - resampling.confidence
        found.append(
            SpeedRatio(
                baseline=names[one - 1],
                candidate=names[two - 1],
                ratio=float(totals[one] / totals[two]),
                interval=interval,
                improvement=float((ratios > 1).mean() + (ratios == 1).mean() / 2),
                p_value=p_value,
                p_adjusted=p_adjusted,
                verdict=_verdict(interval, len(columns), shown=shown),
            )
        )
    return tuple(found)


def _verdict(
    interval: Interval, blocks: int, *, shown: bool
) -> Literal["faster", "slower", "no difference shown", "too few to tell"]:
    if blocks < LEAST_BLOCKS:
        return "too few to tell"
    if not shown:
        return "no difference shown"
    return "faster" if interval.low > 1 else "slower"
