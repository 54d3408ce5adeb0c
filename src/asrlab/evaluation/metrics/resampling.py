"""Paired bootstrap and sign-flip test, vectorized and with bounded memory. The import loads numpy."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import combinations

import attrs
import numpy as np
from numpy.typing import NDArray

from asrlab.errors import OptionError

MIN_BLOCKS = 6
"""With five blocks, p cannot be under 0.05 even for a system that wins all of them: 2 / 2^5 is 0.0625."""
# numbers drawn at a time: 2 MiB, which fit the processor's cache
_CELLS = 1 << 18
# up to this many differing blocks, all 2^n sign flips are evaluated
_MAX_EXACT_BLOCKS = 13
# more distinct differences than this are rounded
_MAX_SIZES = 256


@attrs.frozen(kw_only=True)
class Resampling:
    """Settings of the bootstrap and the permutation test.

    Attributes:
        resamples: Number of resamples of the bootstrap, and of the permutation test unless that is exact.
        seed: Seed of the generator, 0 or more. The same seed and version of numpy give the same figures.
        confidence: Confidence of the intervals, in (0, 1).
    """

    resamples: int = 10_000
    seed: int = 0
    confidence: float = 0.95

    def __attrs_post_init__(self) -> None:
        for name, value, minimum in (("resamples", self.resamples, 1), ("seed", self.seed, 0)):
            if value < minimum:
                raise OptionError(f"{name} is {value}; give at least {minimum}", option=name)
        if not 0 < self.confidence < 1:
            raise OptionError(f"confidence is {self.confidence!r}; give one between 0 and 1", option="confidence")


@attrs.frozen(kw_only=True)
class Interval:
    """A percentile interval: the middle *confidence* of the resampled figures."""

    low: float
    high: float
    confidence: float

    def excludes(self, value: float) -> bool:
        """Return True if *value* is outside the interval."""
        return not self.low <= value <= self.high


def percentile_interval(values: NDArray[np.float64], confidence: float) -> Interval:
    """Return the interval of the middle *confidence* of *values*."""
    tail = (1 - confidence) / 2
    low, high = np.quantile(values, [tail, 1 - tail])
    return Interval(low=float(low), high=float(high), confidence=confidence)


def block_sums(
    ids: Sequence[str], rows: Sequence[Sequence[float]], blocks: Mapping[str, str | None] | None
) -> NDArray[np.float64]:
    """Sum the rows of *ids* by block, in the order of the blocks' first rows: float64, shape (blocks, figures).

    An utterance without a block is a block of its own, as are all without *blocks*.
    """
    values = np.asarray(rows, dtype=np.float64)
    if not blocks:
        return values
    positions: dict[tuple[str | None, str], int] = {}
    keys = [(blocks.get(utterance), utterance) for utterance in ids]
    index = [positions.setdefault(key if key[0] is None else (key[0], ""), len(positions)) for key in keys]
    sums = np.zeros((len(positions), values.shape[1]))
    np.add.at(sums, index, values)
    return sums


def resampled_sums(columns: NDArray[np.float64], resampling: Resampling) -> NDArray[np.float64]:
    """Return column sums of rows drawn with replacement, as many rows as there are, for each resample.

    If most rows repeat, as the counts of short utterances do, the number of draws of each distinct row is drawn
    instead, which has the same distribution and takes a fraction of the time. The shapes are (blocks, figures) and
    (resamples, figures).
    """
    generator = np.random.default_rng([resampling.seed, 0])
    rows, counts = np.unique(columns, axis=0, return_counts=True)
    size = len(columns)
    if 8 * len(rows) <= size:
        draws = (
            generator.multinomial(size, counts / size, size=batch).astype(np.float64) @ rows
            for batch in _batches(resampling.resamples, len(rows))
        )
    else:
        by_column = np.ascontiguousarray(columns.T)
        # int64 takes longer to draw than int32, but take() needs it and would convert any other type
        picks = (
            generator.integers(0, size, size=(n, size), dtype=np.int64) for n in _batches(resampling.resamples, size)
        )
        draws = (np.stack([np.take(column, pick).sum(axis=1) for column in by_column], axis=1) for pick in picks)
    return np.concatenate(list(draws))


def flip_tests(columns: NDArray[np.float64], resampling: Resampling) -> list[tuple[int, int, float, float]]:
    """Run the sign-flip test on every pair of columns after the first.

    Each pair has its column indices, its p-value, and the p-value adjusted by Holm's method.
    """
    pairs = list(combinations(range(1, columns.shape[1]), 2))
    p_values = [flip_p_value(columns[:, two] - columns[:, one], resampling) for one, two in pairs]
    return [(*pair, p, p_holm) for pair, p, p_holm in zip(pairs, p_values, holm(p_values), strict=True)]


def flip_p_value(differences: NDArray[np.float64], resampling: Resampling) -> float:
    """Return the two-sided p-value of the sign-flip (randomization) test on each block's difference of two systems.

    The test is exact up to 13 blocks that differ. Beyond, p is (1 + k) / (1 + resamples), which is never 0. Differences
    with more than 256 distinct values, such as times, are rounded to 1/64 of their mean, since blocks of equal size are
    drawn at once.

    Source: Phipson and Smyth, Permutation P-values Should Never Be Zero (2010).
    """
    differences = differences[differences != 0]
    sizes = np.abs(differences)
    if len(np.unique(sizes)) > _MAX_SIZES:
        differences = np.round(differences / (sizes.mean() / 64))
        sizes = np.abs(differences)
    # sums of the same numbers in another order differ in their last bits
    minimum = abs(float(differences.sum())) - 1e-9 * float(sizes.sum())
    if len(sizes) <= _MAX_EXACT_BLOCKS:
        signs = 2 * (np.arange(2 ** len(sizes))[:, None] >> np.arange(len(sizes)) & 1) - 1
        return float(np.mean(np.abs(signs @ sizes) >= minimum))
    generator = np.random.default_rng([resampling.seed, 1])
    values, counts = np.unique(sizes, return_counts=True)
    extreme = 0
    for batch in _batches(resampling.resamples, len(values)):
        positive = generator.binomial(counts, 0.5, size=(batch, len(values)))
        extreme += int(np.count_nonzero(np.abs((2 * positive - counts) @ values) >= minimum))
    return (1 + extreme) / (1 + resampling.resamples)


def holm(p_values: Sequence[float]) -> tuple[float, ...]:
    """Adjust p-values for multiple tests; return them in the order given.

    Source: Holm, A Simple Sequentially Rejective Multiple Test Procedure (1979).
    """
    order = sorted(range(len(p_values)), key=lambda index: p_values[index])
    adjusted = [0.0] * len(p_values)
    highest = 0.0
    for rank, index in enumerate(order):
        highest = max(highest, min(1.0, (len(p_values) - rank) * p_values[index]))
        adjusted[index] = highest
    return tuple(adjusted)


def _batches(total: int, width: int) -> Iterator[int]:
    step = max(1, _CELLS // max(1, width))
    return (min(step, total - start) for start in range(0, total, step))
