"""Which of the pieces that wait are decoded together next."""

from __future__ import annotations

import math
from collections.abc import Sequence

__all__ = ["next_group"]


def next_group(durations: Sequence[float], *, size: int, workers: int, last: bool) -> list[int]:
    """Indices of the pieces to decode together, of like length.

    The pieces are cut into groups from the longest down, and the group with the first piece is taken, so that none
    waits for ever. Where no more pieces come, the groups are made even, so that all workers end at about the same time,
    and the longest goes first.

    Args:
        durations: Seconds of each piece that waits, the first come first; at least one.
        size: The most pieces in a group.
        workers: How many groups are decoded at once.
        last: Whether no more pieces will come.
    """
    order = sorted(range(len(durations)), key=lambda index: -durations[index])
    if last:
        return order[: _even(len(order), size=size, workers=workers)]
    start = order.index(0) // size * size
    return order[start : start + size]


def _even(count: int, *, size: int, workers: int) -> int:
    rounds = math.ceil(count / (size * workers))
    return math.ceil(count / (rounds * workers))
