"""The search space: the dimensions of the settings, and the candidates on each, from little to much."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import attrs

from asrlab.options import Batching

BATCH_SIZES = (4, 8, 16, 32)
ACCELERATOR_WORKERS = (1, 2, 4)
FULL_WINDOW_PADDING_S = 30.0
"""Padding that gives Whisper its full window."""


@attrs.frozen(kw_only=True)
class SearchSpace:
    """The settings to choose from.

    Attributes:
        default: The engine's own settings; the engine does not use those that are None.
        cores: Cores to share among the workers.
        is_cpu: True if the workers compute on the cores, not on an accelerator.
    """

    default: Batching
    cores: int
    is_cpu: bool

    def candidates(self, dimension: str, current: Batching) -> list[Batching]:
        """Return *current* with each value of *dimension*, itself among them, in ascending order."""
        return sorted({*DIMENSIONS[dimension](self, current), current}, key=_sort_key)


def _workers(space: SearchSpace, current: Batching) -> list[Batching]:
    """Return counts of workers: on the CPU with threads that fill the cores, on an accelerator a few."""
    if space.default.workers is None:
        return []
    if not space.is_cpu:
        return [attrs.evolve(current, workers=workers) for workers in ACCELERATOR_WORKERS]
    counts = {2**power for power in range(space.cores.bit_length())} | {space.cores}
    threads = {} if space.default.threads is None else {workers: space.cores // workers for workers in counts}
    return [attrs.evolve(current, workers=workers, threads=threads.get(workers)) for workers in counts]


def _batch_sizes(space: SearchSpace, current: Batching) -> list[Batching]:
    return [] if space.default.batch_size is None else [attrs.evolve(current, batch_size=size) for size in BATCH_SIZES]


def _encoders(space: SearchSpace, current: Batching) -> list[Batching]:
    if space.default.batch_encoder is None:
        return []
    return [attrs.evolve(current, batch_encoder=batched) for batched in (False, True)]


def _windows(space: SearchSpace, current: Batching) -> list[Batching]:
    """Return the engine's padding and the full window. A shorter one is faster but loses words, which no time shows."""
    default = space.default.padding_s
    if default is None or default >= FULL_WINDOW_PADDING_S:
        return []
    return [attrs.evolve(current, padding_s=padding_s) for padding_s in (default, FULL_WINDOW_PADDING_S)]


def _sort_key(batching: Batching) -> tuple[Any, ...]:
    return tuple(value or 0 for value in attrs.astuple(batching))


DIMENSIONS: dict[str, Callable[[SearchSpace, Batching], list[Batching]]] = {
    "workers": _workers,
    "batch size": _batch_sizes,
    "encoder": _encoders,
    "window": _windows,
}
"""The dimensions in the order they are searched, each with a function that returns its candidates."""
