"""Comparison of speed."""

from __future__ import annotations

import numpy as np
import pytest

from asrlab.errors import DatasetError
from asrlab.evaluation.metrics import SpeedComparison, UtteranceTime, compare_speed


def times(seconds: list[float], duration: float = 10.0, passes: tuple[float, ...] = (1.0,)) -> list[UtteranceTime]:
    """Return one system's times; each pass multiplies *seconds* by a factor."""
    return [
        UtteranceTime(id=str(n), duration=duration, seconds=[value * factor for factor in passes])
        for n, value in enumerate(seconds)
    ]


def compare(
    a: list[float], b: list[float], passes: tuple[float, ...] = (1.0, 1.0, 1.0), others: tuple[float, ...] = ()
) -> SpeedComparison:
    """Two systems called a and b; *others* are the passes of b where they differ from those of a."""
    return compare_speed({"a": times(a, passes=passes), "b": times(b, passes=others or passes)})


def test_ratio_is_of_totals():
    """The ratio is the baseline's total time over the candidate's, with each system's RTFx."""
    found = compare([2.0] * 5 + [4.0] * 5, [1.0] * 5 + [2.0] * 5)
    [ratio] = found.ratios

    assert found.systems == (("a", pytest.approx(100 / 30)), ("b", pytest.approx(100 / 15)))
    assert ratio.ratio == pytest.approx(2)
    assert (ratio.interval.low, ratio.interval.high) == pytest.approx((2, 2))
    assert ratio.improvement == 1


@pytest.mark.parametrize(
    ("a", "b", "verdict"),
    [
        ([2.0] * 10, [1.0] * 10, "faster"),
        ([1.0] * 10, [2.0] * 10, "slower"),
        ([1.0, 2.0] * 10, [2.0, 1.0] * 10, "no difference shown"),
        ([1.0] * 10, [1.0] * 10, "no difference shown"),
        ([2.0] * 5, [1.0] * 5, "too few to tell"),
        ([30.0] + [1.0] * 9, [1.0] + [1.0] * 9, "no difference shown"),
    ],
)
def test_faster_needs_an_interval_without_one(a: list[float], b: list[float], verdict: str):
    """A system is faster only if the interval excludes 1."""
    assert compare(a, b).ratios[0].verdict == verdict


@pytest.mark.parametrize(
    ("passes", "others", "verdict"),
    [
        ((1.0, 1.1, 0.9), (1.0, 1.1, 0.9), "faster"),
        ((1.0, 3.0, 1.0), (1.0, 3.0, 1.0), "no difference shown"),  # a slow pass of b is slower than one of a
        ((1.0, 1.0, 0.4), (1.0, 1.0, 1.0), "no difference shown"),  # one pass of a is faster than any of b
        ((2.0, 2.0, 2.0), (1.0, 1.0, 1.0), "faster"),
    ],
    ids=["drift of both", "drift beyond the difference", "one pass", "steady"],
)
def test_faster_needs_every_pass_to_be_faster(passes: tuple[float, ...], others: tuple[float, ...], verdict: str):
    """Half the time in most passes gives no verdict while one pass of the other system is as fast."""
    assert compare([2.0] * 10, [1.0] * 10, passes, others).ratios[0].verdict == verdict


@pytest.mark.parametrize(("passes", "taken"), [((1.0,), "a single pass of each"), ((1.0, 1.0), "2 passes of each")])
def test_fewer_than_three_passes_are_no_verdict(passes: tuple[float, ...], taken: str):
    """One or two passes give no verdict whatever the figures are, and the reason says what is needed."""
    [ratio] = compare([2.0] * 40, [1.0] * 40, passes).ratios
    assert (ratio.verdict, ratio.ratio) == ("no difference shown", 2)
    assert ratio.reason == f"{taken}; a verdict on speed needs the models in one run with --repeat 3"


def test_a_reason_of_the_caller_withholds_the_verdict():
    """A pair with a reason has its figures and no verdict."""
    systems = {"a": times([2.0] * 10, passes=(1.0,) * 3), "b": times([1.0] * 10, passes=(1.0,) * 3)}
    [ratio] = compare_speed(systems, reasons={("a", "b"): "the machine was busy"}).ratios
    assert (ratio.verdict, ratio.reason) == ("no difference shown", "the machine was busy")


def test_the_interval_includes_variation_between_passes():
    """Different passes widen the interval, even if all utterances are alike."""
    [steady] = compare([2.0] * 10, [1.0] * 10).ratios
    [drifting] = compare([2.0] * 10, [1.0] * 10, (1.0, 1.0, 1.0), (1.0, 0.8, 1.3)).ratios
    assert (steady.interval.low, steady.interval.high) == pytest.approx((2, 2))
    assert (drifting.interval.low, drifting.interval.high) == pytest.approx((2 / 1.3, 2 / 0.8))
    assert drifting.ratio == pytest.approx(2)


def test_all_systems_need_the_same_number_of_passes():
    """A system with another number of passes is refused with the first difference."""
    with pytest.raises(DatasetError, match="utterance '1' in 'b' has 1 passes, and '1' in 'a' has 3"):
        compare([1.0, 1.0], [1.0, 1.0], (1.0, 1.0, 1.0), (1.0,))


def test_faster_needs_the_sign_flip_test_too():
    """With few blocks the interval is too narrow, so the sign-flip test must agree."""
    [ratio] = compare([4.0, 4.0, 4.0, 4.0, 2.0, 2.0, 1.0], [2.0] * 7).ratios

    assert ratio.interval.low > 1
    assert ratio.p_value > 0.05
    assert ratio.verdict == "no difference shown"


def test_interval_is_scipys_percentile_interval():
    """The interval of a ratio of totals agrees with scipy's paired percentile bootstrap."""
    stats = pytest.importorskip("scipy.stats", reason="scipy is not installed")
    generator = np.random.default_rng(4)
    a, b = generator.gamma(4, 0.3, size=(2, 50)) + 0.1

    def ratio(one: np.ndarray, two: np.ndarray, axis: int) -> np.ndarray:
        return one.sum(axis=axis) / two.sum(axis=axis)

    low, high = stats.bootstrap(
        (a, b), ratio, paired=True, vectorized=True, n_resamples=10_000, method="percentile", rng=3
    ).confidence_interval
    interval = compare(a.tolist(), b.tolist()).ratios[0].interval
    assert (interval.low, interval.high) == pytest.approx((low, high), abs=0.04 * (high - low))


def test_other_utterances_are_refused():
    """Times of other utterances, or of other audio under the same ids, are refused with the first difference."""
    with pytest.raises(DatasetError, match=r"'1' is in 'a' \(2 utterances\) and not in 'b' \(1\)"):
        compare_speed({"a": times([1.0, 1.0]), "b": times([1.0])})
    with pytest.raises(DatasetError, match=r"utterance '0' has 10.00 s in 'a' and 12.00 s in 'b'"):
        compare_speed({"a": times([1.0]), "b": times([1.0], duration=12.0)})


def test_no_utterances_are_refused():
    """Without an utterance that all systems transcribed there is no ratio."""
    with pytest.raises(DatasetError, match="no utterance to compare the speed on"):
        compare_speed({"a": [], "b": []})


@pytest.mark.parametrize("seconds", [0.0, -1.0, float("nan"), float("inf")])
def test_invalid_time_is_refused(seconds: float):
    """A failed utterance has no time and must not count as a fast one."""
    with pytest.raises(DatasetError, match="utterance 'x' has seconds"):
        UtteranceTime(id="x", duration=1.0, seconds=seconds)
