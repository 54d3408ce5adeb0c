"""The paired bootstrap and the sign-flip test, vectorised and with bounded memory. Importing this loads numpy."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray


# how many numbers are drawn at a time: 2 MiB of them, which stay in the processor's cache
_CELLS = 1 << 18
# up to so many differing blocks all 2^n ways to swap are tried, none drawn
_EXACT = 13
# of how many sizes differences may be before they are rounded
_SIZES = 256


def resampled_sums(columns: NDArray[np.float64], *, resamples: int, seed: int) -> NDArray[np.float64]:
    """Column sums of rows drawn with replacement, as many as there are, time after time.

    Where most rows repeat, as the counts of short utterances do, it is drawn how often each distinct row comes up,
    which has the same distribution and takes a fraction of the time.

    Args:
        columns: float64, shape (n, c); one row a block.
        resamples: How many times.
        seed: Of the generator; the same seed and rows give the same sums with the same version of numpy.

    Returns:
        float64, shape (resamples, c).
    """
    generator = np.random.default_rng([seed, 0])
    rows, counts = np.unique(columns, axis=0, return_counts=True)
    size = len(columns)
    if 8 * len(rows) <= size:
        draws = (
            generator.multinomial(size, counts / size, size=batch).astype(np.float64) @ rows
            for batch in _batches(resamples, len(rows))
        )
    else:
        draws = (_gathered(columns, generator, batch) for batch in _batches(resamples, size))
    return np.concatenate(list(draws))


def flip_p_value(differences: NDArray[np.float64], *, resamples: int, seed: int) -> float:
    """Two-sided: how often the sum is at least as far from zero if within each block the systems are swapped at random.

    Exact up to 13 blocks that differ; beyond, (1 + k) / (1 + resamples), so that it is never 0. Differences of more
    than 256 sizes, as times are, are rounded to 1/64 of their mean: blocks of one size are swapped in one draw.

    Args:
        differences: float64, shape (n,); one a block, the one system's figure less the other's.
        resamples: How many times signs are drawn.
        seed: Of the generator.

    Source: Phipson and Smyth, Permutation P-values Should Never Be Zero (2010).
    """
    differences = _rounded(differences[differences != 0])
    sizes = np.abs(differences)
    # sums of the same numbers in another order differ in their last bits
    least = abs(float(differences.sum())) - 1e-9 * float(sizes.sum())
    if len(sizes) <= _EXACT:
        ways = np.arange(2 ** len(sizes))[:, None] >> np.arange(len(sizes)) & 1
        return float(np.mean(np.abs((2 * ways - 1) @ sizes) >= least))
    generator = np.random.default_rng([seed, 1])
    values, counts = np.unique(sizes, return_counts=True)
    extreme = 0
    for batch in _batches(resamples, len(values)):
        positive = generator.binomial(counts, 0.5, size=(batch, len(values)))
        extreme += int(np.count_nonzero(np.abs((2 * positive - counts) @ values) >= least))
    return (1 + extreme) / (1 + resamples)


def holm(p_values: Sequence[float]) -> tuple[float, ...]:
    """The p-values adjusted for being several, in the order given.

    Source: Holm, A Simple Sequentially Rejective Multiple Test Procedure (1979).
    """
    order = sorted(range(len(p_values)), key=lambda place: p_values[place])
    adjusted = [0.0] * len(p_values)
    highest = 0.0
    for rank, place in enumerate(order):
        highest = max(highest, min(1.0, (len(p_values) - rank) * p_values[place]))
        adjusted[place] = highest
    return tuple(adjusted)


def _batches(total: int, width: int) -> Iterator[int]:
    step = max(1, _CELLS // max(1, width))
    for start in range(0, total, step):
        yield min(step, total - start)


def _rounded(differences: NDArray[np.float64]) -> NDArray[np.float64]:
    if len(np.unique(np.abs(differences))) <= _SIZES:
        return differences
    step = np.abs(differences).mean() / 64
    return np.round(differences / step)


def _gathered(columns: NDArray[np.float64], generator: np.random.Generator, batch: int) -> NDArray[np.float64]:
    # int64 takes longer to draw than int32 and is what take() needs, which converts anything else
    picks = generator.integers(0, len(columns), size=(batch, len(columns)), dtype=np.int64)
    return np.stack([np.take(column, picks).sum(axis=1) for column in np.ascontiguousarray(columns.T)], axis=1)
