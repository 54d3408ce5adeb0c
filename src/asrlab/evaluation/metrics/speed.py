"""Latency percentiles and the real-time factor."""

from __future__ import annotations

import math
from collections.abc import Iterable
from fractions import Fraction
from typing import Any

import attrs

from asrlab.errors import DatasetError, OptionError

# Under 100 samples the nearest rank of p99 is the maximum, and p99 would claim more than was measured.
_MIN_P99_SAMPLES = 100


def _check_times(instance: UtteranceTime, attribute: attrs.Attribute[Any], value: float | tuple[float, ...]) -> None:
    times = value if isinstance(value, tuple) else (value,)
    if not times or not all(math.isfinite(time) and time > 0 for time in times):
        shown = times[0] if len(times) == 1 else times
        raise DatasetError(
            f"utterance {instance.id!r} has {attribute.name} {shown!r}; leave out utterances that were not transcribed"
        )


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
    duration: float = attrs.field(validator=_check_times)
    seconds: tuple[float, ...] = attrs.field(validator=_check_times, converter=_each_pass)


@attrs.frozen(kw_only=True)
class LatencySummary:
    """Latencies of utterances in seconds, from the call to the whole transcript.

    A latency is ``Transcript.timings.total``: decoding of the audio and inference, without loading of the model and
    without the caller's own work.

    Each percentile is a measured latency (nearest rank, not interpolated). p50, p90 and p95 describe the samples and
    claim nothing beyond them: under 10 samples p90, and under 20 samples p95, is the maximum. So show *samples* too.

    Attributes:
        samples: Number of latencies.
        p50: Latency that at least half do not exceed; None without samples.
        p90: Latency that at least 90 % do not exceed; None without samples.
        p95: Latency that at least 95 % do not exceed; None without samples.
        p99: Latency that at least 99 % do not exceed; None under 100 samples.
        maximum: Longest latency; None without samples.
    """

    samples: int
    p50: float | None
    p90: float | None
    p95: float | None
    p99: float | None
    maximum: float | None


def percentile(values: Iterable[float], q: float) -> float:
    """Return the nearest-rank percentile: of n sorted values the one with the rank ceil(q / 100 * n), from 1.

    The result is one of *values*: the smallest that at least q % of them do not exceed.

    Args:
        values: At least one finite number.
        q: Percentage in (0, 100], used as the decimal number that is written, so that 99.9 % of 1000 is rank 999.

    Raises:
        OptionError: If there is no value, a value is not finite, or *q* is out of range.

    Source: Hyndman and Fan, Sample Quantiles in Statistical Packages (1996), definition 1.
    """
    ordered = list(values)
    for index, value in enumerate(ordered):
        if not math.isfinite(value):
            # NaN has no order: sorted() would misplace it and the other values
            raise OptionError(f"value {index} is {value!r}; a percentile needs finite numbers", option="values")
    if not 0 < q <= 100:
        raise OptionError(f"percentile {q!r} is out of range; give one above 0 and up to 100", option="q")
    if not ordered:
        raise OptionError("no value to take a percentile of; give at least one", option="values")
    # exact: in floats 99.9 / 100 * 1000 is a little above 999, and the rank one too high
    rank = math.ceil(Fraction(str(q)) * len(ordered) / 100)
    return sorted(ordered)[rank - 1]


def latency_summary(values: Iterable[float]) -> LatencySummary:
    """Summarize latencies in seconds, one an utterance.

    Raises:
        OptionError: If a value is not finite.
    """
    seconds = list(values)
    p50, p90, p95, p99, maximum = [percentile(seconds, q) if seconds else None for q in (50, 90, 95, 99, 100)]
    return LatencySummary(
        samples=len(seconds),
        p50=p50,
        p90=p90,
        p95=p95,
        p99=p99 if len(seconds) >= _MIN_P99_SAMPLES else None,
        maximum=maximum,
    )


def rtfx(audio_seconds: float, seconds: float) -> float | None:
    """Return the seconds of audio transcribed in a second: total audio over total time; above 1 is faster than speech.

    The figure is a ratio of totals: a mean of ratios would give a one-second clip the weight of an hour.

    Args:
        audio_seconds: Sum of the durations of the transcribed utterances.
        seconds: Sum of the times of the same utterances, for decoding of the audio and inference
            (``Transcript.timings.total``); without loading of the model, time between calls and scoring. For utterances
            that ran in parallel, the wall-clock time of all of them.

    Returns:
        None if *seconds* is 0, since nothing was measured.

    Raises:
        OptionError: If a number is negative or not finite.

    Source: Open ASR Leaderboard, RTFx.
    """
    for name, value in (("audio_seconds", audio_seconds), ("seconds", seconds)):
        if not (math.isfinite(value) and value >= 0):
            raise OptionError(f"{name} {value!r} must be a finite number of seconds, 0 or more", option=name)
    return audio_seconds / seconds if seconds else None
