"""Latency and real-time factor."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

from asrlab.errors import OptionError
from asrlab.evaluation.metrics import LatencySummary, latency_summary, percentile, rtfx

# a busy machine may take its time, the first example all the more, since it imports
UNTIMED = settings(deadline=None)

FINITE = st.floats(min_value=0, max_value=1e6, allow_nan=False)


@pytest.mark.parametrize(
    ("q", "expected"),
    [(5, 15), (30, 20), (40, 20), (50, 35), (100, 50)],
)
def test_nearest_rank_by_hand(q: float, expected: float):
    """The textbook example: five values, each percentile one of them."""
    assert percentile([50, 15, 40, 20, 35], q) == expected


def test_rank_is_exact_for_decimal_percentiles():
    """99.9 % of 1000 values is rank 999, which floating point would make 1000."""
    assert math.ceil(99.9 / 100 * 1000) == 1000
    assert percentile(range(1, 1001), 99.9) == 999


@UNTIMED
@given(st.lists(FINITE, min_size=1, max_size=60), st.integers(min_value=1, max_value=100))
def test_percentile_is_numpys_inverted_cdf(values: list[float], q: int):
    """The nearest rank is the inverse of the empirical distribution function, as numpy computes it."""
    assert percentile(values, q) == np.percentile(values, q, method="inverted_cdf")


@UNTIMED
@given(st.lists(FINITE, min_size=1, max_size=60), st.floats(min_value=0.01, max_value=100))
def test_percentile_is_the_smallest_that_enough_do_not_exceed(values: list[float], q: float):
    """At least q % of the values do not exceed the percentile, which is true of no smaller value."""
    found = percentile(values, q)

    def share(limit: float) -> float:
        return 100 * sum(value <= limit for value in values) / len(values)

    assert found in values
    assert share(found) >= q - 1e-9
    assert all(share(value) < q + 1e-9 for value in values if value < found)


@pytest.mark.parametrize("q", [0, -1, 100.1, math.nan])
def test_percentile_out_of_range_is_refused(q: float):
    """A percentile is above 0 and at most 100."""
    with pytest.raises(OptionError, match="out of range"):
        percentile([1.0], q)


def test_percentile_of_nothing_is_refused():
    """Without a value there is no percentile."""
    with pytest.raises(OptionError, match="at least one"):
        percentile([], 50)


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_latency_that_is_not_finite_is_refused(value: float):
    """A value that is not finite has no order, so it is refused with its index."""
    with pytest.raises(OptionError, match="value 1 is"):
        latency_summary([1.0, value, 2.0])


def test_summary_of_a_hundred():
    """With 100 samples each percentile is the value of its rank, p99 among them."""
    assert latency_summary(range(100, 0, -1)) == LatencySummary(
        samples=100, p50=50, p90=90, p95=95, p99=99, maximum=100
    )


def test_p99_needs_a_hundred_samples():
    """Under 100 samples p99 would be the maximum, and is not given."""
    summary = latency_summary(range(1, 100))

    assert summary.p99 is None
    assert (summary.p95, summary.maximum) == (95, 99)


def test_few_samples_have_the_maximum_for_a_tail():
    """With the five utterances of a small bench p50 is the third and p95 the longest, beside the number of samples."""
    assert latency_summary([0.5, 0.1, 0.4, 0.2, 0.3]) == LatencySummary(
        samples=5, p50=0.3, p90=0.5, p95=0.5, p99=None, maximum=0.5
    )


def test_summary_of_nothing_has_no_figures():
    """If every utterance failed there are no figures, and no error either."""
    assert latency_summary([]) == LatencySummary(samples=0, p50=None, p90=None, p95=None, p99=None, maximum=None)


def test_rtfx_is_audio_over_time():
    """An hour transcribed in six minutes is ten times as fast as speech."""
    assert rtfx(3600, 360) == 10


def test_rtfx_without_time_is_none():
    """Without measured time there is no factor, and no division by zero."""
    assert rtfx(0, 0) is None
    assert rtfx(1, 0) is None
    assert rtfx(0, 1) == 0


@pytest.mark.parametrize(("audio", "seconds"), [(-1, 1), (1, -1), (math.nan, 1), (1, math.inf)])
def test_rtfx_of_impossible_seconds_is_refused(audio: float, seconds: float):
    """Seconds are finite and not negative."""
    with pytest.raises(OptionError, match="finite number of seconds"):
        rtfx(audio, seconds)
