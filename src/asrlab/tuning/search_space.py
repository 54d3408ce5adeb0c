"""What may be chosen, one thing at a time, each as a ladder from little to much."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import attrs

from asrlab.options import Batching

BATCH_SIZES = (4, 8, 16, 32)
ACCELERATOR_WORKERS = (1, 2, 4)
FULL_MARGIN = 30.0
"""Seconds that make Whisper's window the full one."""


@attrs.frozen(kw_only=True)
class SearchSpace:
    """What there is to choose from.

    Attributes:
        default: The engine's own choice; what is None in it, the engine has no use for.
        cores: Those to share out among the workers.
        cpu: Whether the workers compute on them, and not on an accelerator.
    """

    default: Batching
    cores: int
    cpu: bool


def _workers(room: SearchSpace, present: Batching) -> list[Batching]:
    """Workers by threads: on the CPU such as fill the cores, in powers of two; elsewhere a few workers."""
    if room.default.workers is None:
        return []
    if not room.cpu:
        return [attrs.evolve(present, workers=workers) for workers in ACCELERATOR_WORKERS]
    counts = {2**power for power in range(room.cores.bit_length())} | {room.cores}
    threads = {} if room.default.threads is None else {workers: room.cores // workers for workers in counts}
    return [attrs.evolve(present, workers=workers, threads=threads.get(workers)) for workers in counts]


def _batch_sizes(room: SearchSpace, present: Batching) -> list[Batching]:
    return [] if room.default.batch_size is None else [attrs.evolve(present, batch_size=size) for size in BATCH_SIZES]


def _encoders(room: SearchSpace, present: Batching) -> list[Batching]:
    if room.default.batch_encoder is None:
        return []
    return [attrs.evolve(present, batch_encoder=together) for together in (False, True)]


def _windows(room: SearchSpace, present: Batching) -> list[Batching]:
    """The engine's own margin, and the full window. A shorter one is faster and costs words, which no clock sees."""
    least = room.default.padding_s
    if least is None or least >= FULL_MARGIN:
        return []
    return [attrs.evolve(present, padding_s=margin) for margin in (least, FULL_MARGIN)]


def _ladder(
    rungs: Callable[[SearchSpace, Batching], list[Batching]],
) -> Callable[[SearchSpace, Batching], list[Batching]]:
    def ladder(room: SearchSpace, present: Batching) -> list[Batching]:
        return sorted({*rungs(room, present), present}, key=_amount)

    return ladder


def _amount(batching: Batching) -> tuple[Any, ...]:
    return tuple(value or 0 for value in attrs.astuple(batching))


DIMENSIONS: tuple[tuple[str, Callable[[SearchSpace, Batching], list[Batching]]], ...] = (
    ("workers", _ladder(_workers)),
    ("batch size", _ladder(_batch_sizes)),
    ("encoder", _ladder(_encoders)),
    ("window", _ladder(_windows)),
)
"""The steps in their order: a name, and what gives the rungs, with the present choice among them."""
