"""Reading of recordings into chunks, and grouping of chunks into batches by their order and lengths alone."""

from __future__ import annotations

import math
import time
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from itertools import chain, pairwise
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any

from asrlab.audio import SAMPLE_RATE, AudioFile, AudioSource, open_audio
from asrlab.batching.contract import BatchBackend, BatchRequest, Chunk, ChunkFeatures, Recording
from asrlab.vad import Chunker, SkippedSilence, VoiceActivityDetector

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

BATCHES_PER_BLOCK = 6
"""Batches' worth of chunks among which those of similar length are grouped."""


def is_readable_ahead(source: AudioSource) -> bool:
    """Return whether *source* may be read before its turn, and again if necessary.

    False for a stream, whose position others may share, and for a pipe or device, which would block all later items.
    """
    path = source.path if isinstance(source, AudioFile) else source
    if not isinstance(path, str | PathLike):
        return not hasattr(path, "read")
    try:
        return Path(path).is_file()
    except OSError:
        return False  # the full path reports the error


def read_chunks(
    recording: Recording,
    request: BatchRequest,
    backend: BatchBackend[Any, Any],
    load_vad: Callable[[], VoiceActivityDetector],
) -> Generator[Chunk]:
    """Read *recording* and yield its chunks with their features; set ``is_read`` with the last.

    *load_vad* is called only for a long recording, which is split at silence.

    Raises:
        AudioError: If the audio cannot be decoded to its end.
    """
    options = request.options
    with open_audio(
        recording.audio,
        sample_rate=request.sample_rate,
        allow_truncated=options.allow_truncated,
        track=options.track,
    ) as recording.reader:
        blocks = recording.reader.blocks(backend.max_chunk_s)
        first, second = next(blocks), next(blocks, None)
        if second is None:
            recording.is_read = True
            yield _to_chunk(recording, first, backend, start=None)
            return
        chunker = Chunker(vad=load_vad(), max_chunk_s=backend.max_chunk_s)
        skipped = SkippedSilence(vad_name=str(chunker.vad.info))
        for part in chunker.split(chain((first, second), blocks)):
            if part.should_transcribe:
                yield _to_chunk(recording, part.samples, backend, start=part.start)
            else:
                skipped.add(part)
        recording.skipped_warnings = tuple(skipped.warnings())
        recording.is_read = True


def _to_chunk(
    recording: Recording, samples: NDArray[np.float32], backend: BatchBackend[Any, Any], *, start: float | None
) -> Chunk:
    """Compute the features of a chunk that begins at *start* seconds; None for a whole recording."""
    started = time.monotonic()
    features = ChunkFeatures(features=backend.compute_features(samples), duration=len(samples) / SAMPLE_RATE)
    chunk = Chunk(
        recording=recording,
        samples=samples,
        start=start or 0.0,
        features=features,
        is_whole=start is None,
        busy_s=time.monotonic() - started,
    )
    recording.chunks.append(chunk)
    return chunk


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
        if chunk is not None and detects and chunk.detects_language:
            yield [chunk]
        elif chunk is not None:
            filling = [*_unfinished(filling), chunk]
        is_full = sum(chunk.weight for chunk in filling) >= size * BATCHES_PER_BLOCK
        if is_full or (chunk is None and filling and should_flush()):
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
    for batch in bucket_by_length([chunk.duration for chunk in chunks], size=size, workers=workers):
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
    batches = min(count, math.ceil(count / (size * workers)) * workers)
    order = sorted(range(count), key=lambda index: -durations[index])
    edges = [round(number * count / batches) for number in range(batches + 1)] if batches else []
    return [order[start:end] for start, end in pairwise(edges)]
