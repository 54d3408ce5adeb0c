"""Comparison of error rates."""

from __future__ import annotations

import itertools
import time

import numpy as np
import pytest

from asrlab.errors import DatasetError, OptionError
from asrlab.evaluation.metrics import ErrorCounts, Resampling, TextPair, WerComparison, compare_wer, get_normalizer
from asrlab.evaluation.metrics.resampling import flip_p_value, holm, resampled_sums

NONE = get_normalizer("none")
GENERATOR = np.random.default_rng(11)


def corpus(errors: list[int], words: int = 10) -> list[TextPair]:
    """Utterances of *words* words, with so many of them wrong."""
    said = [f"w{n}" for n in range(words)]
    return [
        TextPair(id=str(n), reference=" ".join(said), hypothesis=" ".join(["x"] * wrong + said[wrong:]))
        for n, wrong in enumerate(errors)
    ]


def compare(*errors: list[int], blocks: dict[str, str | None] | None = None, **options: float) -> WerComparison:
    """Systems called a, b, c, by their errors in each utterance."""
    systems = {name: corpus(counts) for name, counts in zip("abc", errors, strict=False)}
    return compare_wer(systems, normalizer=NONE, blocks=blocks, resampling=Resampling(**options))


def test_difference_is_the_candidates_rate_less_the_baselines():
    """20 errors against 10 in 100 words is ten points less."""
    [found] = compare([2] * 10, [1] * 10).differences

    assert (found.baseline, found.candidate) == ("a", "b")
    assert found.difference == pytest.approx(-0.1)
    assert (found.interval.low, found.interval.high) == pytest.approx((-0.1, -0.1))
    assert found.improvement == 1
    assert found.verdict == "better"


def test_comparison_has_counts_and_settings():
    """The comparison has every system's counts, the normalizer and the settings of the resampling."""
    found = compare([1, 0, 2], [0, 0, 0], seed=7)

    assert found.systems == (("a", ErrorCounts(hits=27, substitutions=3)), ("b", ErrorCounts(hits=30)))
    assert (found.utterances, found.blocks, found.empty_references) == (3, 3, 0)
    assert found.normalizer == "none"
    assert found.resampling == Resampling(resamples=10_000, seed=7, confidence=0.95)


@pytest.mark.parametrize(
    ("a", "b", "verdict"),
    [
        ([2] * 20, [1] * 20, "better"),
        ([1] * 20, [2] * 20, "worse"),
        ([1, 2] * 10, [2, 1] * 10, "no difference shown"),
        ([1] * 20, [1] * 20, "no difference shown"),
        ([5] + [1] * 19, [0] + [1] * 19, "no difference shown"),
        ([2] * 5, [1] * 5, "too few to tell"),
    ],
)
def test_verdict_needs_an_interval_without_zero(a: list[int], b: list[int], verdict: str):
    """A system is better only if the interval excludes zero, and never with fewer than six blocks."""
    [found] = compare(a, b).differences

    assert found.verdict == verdict
    assert found.interval.excludes(0) == (verdict in ("better", "worse", "too few to tell"))


def test_verdict_needs_the_sign_flip_test_too():
    """With few blocks the interval is too narrow, so the sign-flip test must agree."""
    [found] = compare([3, 3, 3, 3, 1, 1, 0], [1, 1, 1, 1, 1, 1, 1]).differences

    assert found.interval.high < 0
    assert found.p_value > 0.05
    assert found.verdict == "no difference shown"


def test_same_system_twice_is_even():
    """A system compared with itself has no difference, an even chance and a p of one."""
    errors = [0, 1, 5, 2, 0, 3, 1, 1]
    [found] = compare(errors, errors).differences

    assert (found.difference, found.improvement, found.p_value) == (0, 0.5, 1)


def test_seed_gives_the_same_figures_again():
    """The same seed repeats every figure, another one does not."""
    a, b = GENERATOR.integers(0, 4, size=(2, 40)).tolist()

    assert compare(a, b, seed=1) == compare(a, b, seed=1)
    assert compare(a, b, seed=1).differences[0].interval != compare(a, b, seed=2).differences[0].interval


def test_interval_is_scipys_percentile_interval():
    """The interval agrees with scipy's paired percentile bootstrap to the accuracy of both draws."""
    stats = pytest.importorskip("scipy.stats", reason="scipy is not installed")
    a, b = GENERATOR.integers(0, 6, size=(2, 60))
    [found] = compare(a.tolist(), b.tolist()).differences

    def difference(one: np.ndarray, two: np.ndarray, axis: int) -> np.ndarray:
        return (two - one).sum(axis=axis) / (10 * one.shape[axis])

    theirs = stats.bootstrap(
        (a, b), difference, paired=True, vectorized=True, n_resamples=10_000, method="percentile", rng=3
    )
    low, high = theirs.confidence_interval
    width = high - low
    assert found.interval.low == pytest.approx(low, abs=0.04 * width)
    assert found.interval.high == pytest.approx(high, abs=0.04 * width)
    assert found.improvement == pytest.approx(float((theirs.bootstrap_distribution < 0).mean()), abs=0.03)


@pytest.mark.parametrize("size", [8, 60])
def test_p_value_is_scipys(size: int):
    """The sign-flip test is scipy's permutation test of paired samples: exactly with few blocks, nearly with many."""
    stats = pytest.importorskip("scipy.stats", reason="scipy is not installed")
    a, b = GENERATOR.integers(0, 6, size=(2, size)) + np.array([[0], [0.0]])
    b[: size // 4] += 1

    def difference(one: np.ndarray, two: np.ndarray, axis: int) -> np.ndarray:
        return (two - one).sum(axis=axis)

    theirs = stats.permutation_test(
        (a, b), difference, permutation_type="samples", vectorized=True, n_resamples=20_000, rng=3
    ).pvalue
    [found] = compare(a.astype(int).tolist(), b.astype(int).tolist()).differences
    assert found.p_value == pytest.approx(theirs, abs=1e-12 if size == 8 else 0.02)


def test_p_value_of_a_hand_computed_example():
    """Of six blocks won by one, only all-plus and all-minus are as extreme: 2 of 64."""
    assert compare([1] * 6, [0] * 6).differences[0].p_value == 2 / 64
    assert flip_p_value(np.array([1.0, 1.0, -1.0]), Resampling(resamples=1)) == 1
    assert flip_p_value(np.array([3.0, 1.0, 1.0, 1.0]), Resampling(resamples=1)) == 2 / 16


def test_drawn_p_value_is_never_zero():
    """A difference that no draw reaches has the smallest p that the draws can show."""
    assert flip_p_value(np.ones(1000), Resampling(resamples=99)) == 0.01


def test_times_of_many_sizes_are_rounded_without_harm():
    """Above 256 sizes, where differences are rounded, the p-value stays that of all of them swapped one by one."""
    differences = GENERATOR.gamma(2, 1, 400) - 1.85
    signs = GENERATOR.choice([-1.0, 1.0], size=(20_000, 400))
    expected = np.mean(np.abs(signs @ np.abs(differences)) >= abs(differences.sum()))

    assert flip_p_value(differences, Resampling(resamples=10_000)) == pytest.approx(expected, abs=0.02)


def test_holm_of_a_hand_computed_example():
    """Holm's steps multiply by the remaining number, never fall and stay at most one, in the order given."""
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx((0.03, 0.06, 0.06, 0.02))
    assert holm([0.6, 0.5]) == (1, 1)
    assert holm([]) == ()


def test_more_than_two_systems_are_adjusted():
    """Three systems make three pairs, and a verdict uses the adjusted p-value."""
    flips = [1] * 6
    found = compare([0] * 6, flips, flips).differences

    assert [(one.baseline, one.candidate) for one in found] == [("a", "b"), ("a", "c"), ("b", "c")]
    assert [one.p_value for one in found] == [2 / 64, 2 / 64, 1]
    assert [one.p_adjusted for one in found] == [6 / 64, 6 / 64, 1]
    assert [one.interval.excludes(0) for one in found] == [True, True, False]
    assert {one.verdict for one in found} == {"no difference shown"}
    assert compare([0] * 6, flips).differences[0].verdict == "worse"


def test_blocks_widen_the_interval():
    """Mistakes correlated by speaker make the interval wider than independent utterances."""
    errors = [5, 3] * 5 + [0] * 10 + [5, 3] * 5 + [0] * 10 + [2] * 40
    blocks: dict[str, str | None] = {str(n): f"speaker {n // 10}" for n in range(80)}
    alone, together = compare(errors, [1] * 80), compare(errors, [1] * 80, blocks=blocks)
    widths = [one.differences[0].interval.high - one.differences[0].interval.low for one in (alone, together)]

    assert (alone.blocks, together.blocks) == (80, 8)
    assert alone.differences[0].difference == together.differences[0].difference
    assert widths[1] > 2 * widths[0]


def test_utterances_without_block_are_independent():
    """Utterances of unknown speakers are blocks of their own, whatever their ids."""
    assert compare([1] * 6, [0] * 6, blocks={"0": "4", "1": "4", "2": None}).blocks == 5


def test_one_block_shows_nothing():
    """If all utterances are one speaker's, the interval has no width and there is no verdict."""
    assert compare([2] * 50, [1] * 50, blocks={str(n): "s" for n in range(50)}).differences[0].verdict == (
        "too few to tell"
    )


@pytest.mark.parametrize("repeats", [1, 20])
def test_both_ways_to_draw_have_the_same_distribution(repeats: int):
    """Rows drawn one by one and counts of equal rows drawn at once have the mean and variance of the bootstrap."""
    rows = np.repeat(GENERATOR.normal(size=(30, 2)), repeats, axis=0)
    sums = resampled_sums(rows, Resampling(resamples=20_000))

    assert sums.shape == (20_000, 2)
    deviation = rows.std(axis=0) * np.sqrt(len(rows))
    assert sums.mean(axis=0) == pytest.approx(rows.sum(axis=0), abs=float(4 * deviation.max() / np.sqrt(20_000)))
    assert sums.std(axis=0) == pytest.approx(deviation, rel=0.03)


def test_three_thousand_utterances_take_under_a_second():
    """Bootstrap and test of 3,000 utterances, 10,000 resamples, by this process's own clock, once in three tries."""
    words = GENERATOR.integers(3, 45, 3000)
    columns = np.stack([words, GENERATOR.binomial(words, 0.1), GENERATOR.binomial(words, 0.09)], axis=1).astype(float)

    def elapsed_s() -> float:
        start = time.process_time()
        resampled_sums(columns, Resampling(resamples=10_000))
        flip_p_value(columns[:, 2] - columns[:, 1], Resampling(resamples=10_000))
        return time.process_time() - start

    assert any(elapsed_s() < 1 for _ in range(3))


def test_empty_references_are_left_out_and_counted():
    """Utterances with an empty reference have no error rate and are in no figure."""
    silent = [TextPair(id="s", reference="", hypothesis="noise")]
    found = compare_wer({"a": corpus([1] * 6) + silent, "b": corpus([0] * 6) + silent}, normalizer=NONE)

    assert (found.utterances, found.empty_references) == (6, 1)
    assert found.differences[0].difference == pytest.approx(-0.1)


def test_order_of_the_utterances_does_not_matter():
    """Pairs are matched by id."""
    a, b = corpus([1, 2, 3, 4, 5, 6]), corpus([0, 3, 3, 2, 5, 5])

    assert compare_wer({"a": a, "b": b[::-1]}, normalizer=NONE) == compare_wer({"a": a, "b": b}, normalizer=NONE)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda pairs: pairs[:-1], r"'2' is in 'a' \(3 utterances\) and not in 'b' \(2\); compare runs over the same"),
        (
            lambda pairs: [*pairs, TextPair(id="new", reference="", hypothesis="")],
            r"'new' is in 'b' \(4 .* not in 'a' \(3",
        ),
        (lambda pairs: [*pairs, pairs[1]], "'b' has utterance '1' twice"),
        (
            lambda pairs: [TextPair(id=pair.id, reference=f"Q{pair.reference}", hypothesis="") for pair in pairs],
            "utterance '0' is 'w0 w1.*' in 'a' and 'Qw0 w1.*' in 'b'",
        ),
    ],
)
def test_other_utterances_are_refused(change, message: str):  # noqa: ANN001 - a function of pairs
    """Runs over different utterances are refused with the first difference."""
    with pytest.raises(DatasetError, match=message):
        compare_wer({"a": corpus([0, 1, 2]), "b": change(corpus([0, 1, 2]))}, normalizer=NONE)


def test_one_system_is_refused():
    """A comparison needs two systems."""
    with pytest.raises(OptionError, match="1 system given"):
        compare_wer({"a": corpus([1])}, normalizer=NONE)


def test_corpus_without_references_is_refused():
    """A corpus without any reference is an error."""
    silent = [TextPair(id="s", reference="", hypothesis="noise")]
    with pytest.raises(DatasetError, match="no utterance has a reference"):
        compare_wer({"a": silent, "b": silent}, normalizer=NONE)


@pytest.mark.parametrize(("option", "value"), [("resamples", 0), ("seed", -1), ("confidence", 1.0), ("confidence", 0)])
def test_resampling_out_of_range_is_refused(option: str, value: float):
    """An option out of range is refused by name."""
    with pytest.raises(OptionError, match=option):
        Resampling(**{option: value})


def test_verdicts_are_rarely_wrong_where_nothing_differs():
    """Of two systems with the same error rate, with eight speakers each, few are called better or worse."""
    verdicts = []
    for seed in itertools.islice(itertools.count(), 60):
        a, b = np.random.default_rng(seed).binomial(10, 0.2, size=(2, 24)).tolist()
        blocks: dict[str, str | None] = {str(n): str(n // 3) for n in range(24)}
        verdicts.append(compare(a, b, blocks=blocks, resamples=500).differences[0].verdict)

    assert sum(verdict != "no difference shown" for verdict in verdicts) <= 6
