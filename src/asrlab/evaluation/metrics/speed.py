"""Latency percentiles and the real-time factor, each with its boundary."""

from __future__ import annotations

import math
from fractions import Fraction
from typing import TYPE_CHECKING

import attrs

from asrlab.errors import OptionError

if TYPE_CHECKING:
    from collections.abc import Iterable


# Under 100 samples the nearest rank of p99 is the maximum, and the figure would promise more than was measured.
_P99_SAMPLES = 100


@attrs.frozen(kw_only=True)
class LatencySummary:
    """How long utterances took, in seconds: from handing one over to having its whole transcript.

    That is ``Transcript.timings.total``: decoding the audio and inference. Loading the model and the caller's own
    work are not in it.

    Each percentile is a latency that was measured (nearest rank, nothing interpolated). p50, p90 and p95 are given from
    one sample on, since they describe these samples and claim nothing beyond them: under 10 samples p90, and under 20
    samples p95, is the maximum, so *samples* belongs beside them.

    Attributes:
        samples: How many latencies were measured.
        p50: At least half took no longer; None without samples.
        p90: At least 90 % took no longer; None without samples.
        p95: At least 95 % took no longer; None without samples.
        p99: At least 99 % took no longer; None under 100 samples.
        maximum: The longest; None without samples.
    """

    samples: int
    p50: float | None
    p90: float | None
    p95: float | None
    p99: float | None
    maximum: float | None


def percentile(values: Iterable[float], q: float) -> float:
    """The nearest-rank percentile: of the n values in order, the one at place ceil(q / 100 * n), counted from 1.

    It is always one of *values*: the smallest that at least q % of them do not exceed.

    Args:
        values: At least one, finite.
        q: In (0, 100], taken as the decimal number it is written as, so that 99.9 % of 1000 is place 999.

    Raises:
        OptionError: There is no value, one is not finite, or *q* is out of range.

    Source: Hyndman and Fan, Sample Quantiles in Statistical Packages (1996), definition 1.
    """
    ordered = _ordered(values)
    if not 0 < q <= 100:
        raise OptionError(f"percentile {q!r} is out of range; give one above 0 and up to 100", option="q")
    if not ordered:
        raise OptionError("no value to take a percentile of; give at least one", option="values")
    return _at(ordered, q)


def latency_summary(values: Iterable[float]) -> LatencySummary:
    """The percentiles of *values*, latencies in seconds, one an utterance.

    Raises:
        OptionError: A value is not finite.
    """
    ordered = _ordered(values)
    if not ordered:
        return LatencySummary(samples=0, p50=None, p90=None, p95=None, p99=None, maximum=None)
    return LatencySummary(
        samples=len(ordered),
        p50=_at(ordered, 50),
        p90=_at(ordered, 90),
        p95=_at(ordered, 95),
        p99=_at(ordered, 99) if len(ordered) >= _P99_SAMPLES else None,
        maximum=ordered[-1],
    )


def rtfx(audio_seconds: float, seconds: float) -> float | None:
    """How many seconds of audio were transcribed in a second: total audio over total time, above 1 faster than speech.

    Totals, never a mean of ratios: a mean would give a one-second clip the weight of an hour.

    Args:
        audio_seconds: Sum of the durations of the utterances that were transcribed.
        seconds: Sum of the times of the same utterances, decoding of the audio and inference together
            (``Transcript.timings.total``); without loading the model, without the time between calls, without scoring.
            Where utterances ran side by side, the wall-clock time of all of them instead.

    Returns:
        None if *seconds* is 0: nothing was measured.

    Raises:
        OptionError: One of them is negative or not finite.

    Source: Open ASR Leaderboard, RTFx.
    """
    for name, value in (("audio_seconds", audio_seconds), ("seconds", seconds)):
        if not (math.isfinite(value) and value >= 0):
            raise OptionError(f"{name} {value!r} must be a finite number of seconds, 0 or more", option=name)
    return audio_seconds / seconds if seconds else None


def _ordered(values: Iterable[float]) -> list[float]:
    ordered = list(values)
    for place, value in enumerate(ordered):
        if not math.isfinite(value):
            # NaN has no place in an order: sorted() would put it anywhere and the others with it
            raise OptionError(f"value {place} is {value!r}; a percentile needs finite numbers", option="values")
    return sorted(ordered)


def _at(ordered: list[float], q: float) -> float:
    # exact: in floats 99.9 / 100 * 1000 is a little above 999, and the rank one too high
    rank = math.ceil(Fraction(str(q)) * len(ordered) / 100)
    return ordered[rank - 1]
