"""Grouping of chunks into batches of similar length; it depends on their order and lengths alone."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import pairwise

from asrlab.batching.request import Chunk

BATCHES_PER_BLOCK = 6
"""Batches' worth of chunks among which those of similar length are grouped."""


def bucket_chunks(
    chunks: Iterable[Chunk | None], *, size: int, workers: int, detects: bool, should_flush: Callable[[], bool]
) -> Iterator[list[Chunk] | None]:
    """Collect chunks in blocks, in the order they come, and yield each block as batches of similar length.

    The first chunk of a long recording whose language must be detected is a batch of its own, and the block with the
    recording's other chunks waits for its language.

    Args:
        chunks: Chunks as they are read; None if the next one is not available yet.
        size: Maximum number of chunks in a batch.
        workers: Number of batches that are decoded at once.
        detects: True if languages must be detected.
        should_flush: Asked when no chunk is available: whether to yield a block that is not full.

    Yields:
        Batches; None if the next one is not available yet.
    """
    filling: list[Chunk] = []
    full: deque[list[Chunk]] = deque()
    for chunk in chunks:
        if chunk is None:
            if filling and should_flush():
                full.append(filling)
                filling = []
        elif detects and chunk.detects_language:
            yield [chunk]
        else:
            filling = [*_unfinished(filling), chunk]
            if sum(chunk.weight for chunk in filling) >= size * BATCHES_PER_BLOCK:
                full.append(filling)
                filling = []
        while full and (not detects or _languages_known(full[0])):
            yield from _split_block(full.popleft(), size=size, workers=workers)
        if chunk is None:
            yield None
    full.append(filling)
    while full:
        if detects and not _languages_known(full[0]):
            yield None
        else:
            yield from _split_block(full.popleft(), size=size, workers=workers)


def _unfinished(chunks: Iterable[Chunk]) -> list[Chunk]:
    """Return the chunks whose recording has not failed."""
    return [chunk for chunk in chunks if chunk.recording.result is None]


def _languages_known(block: Iterable[Chunk]) -> bool:
    return all(chunk.is_whole or chunk.recording.language is not None for chunk in _unfinished(block))


def _split_block(block: list[Chunk], *, size: int, workers: int) -> Iterator[list[Chunk]]:
    chunks = _unfinished(block)
    durations = [chunk.duration for chunk in chunks]
    for batch in bucket_by_length(durations, size=size, workers=workers):
        yield [chunks[index] for index in batch]


def bucket_by_length(durations: Sequence[float], *, size: int, workers: int) -> list[list[int]]:
    """Return the indices of *durations* in batches of similar length and equal size, the longest first.

    The number of batches is such that all workers finish at about the same time.

    Args:
        durations: In seconds.
        size: Maximum number in a batch.
        workers: Number of batches that are decoded at once.
    """
    count = len(durations)
    rounds = math.ceil(count / (size * workers))
    batches = min(count, rounds * workers)
    order = sorted(range(count), key=lambda index: -durations[index])
    edges = [round(number * count / batches) for number in range(batches + 1)] if batches else []
    return [order[start:end] for start, end in pairwise(edges)]
