"""Reading of recordings into chunks."""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Iterator
from itertools import chain
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any

from asrlab.audio import SAMPLE_RATE, AudioFile, AudioSource, open_audio
from asrlab.batching.backend import BatchBackend, ChunkFeatures
from asrlab.batching.request import BatchRequest, Chunk, Recording
from asrlab.vad import Chunker, SkippedSilence, VoiceActivityDetector

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


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

    Args:
        recording: The recording; its chunks, reader and warnings are set.
        request: Sample rate and options of the audio.
        backend: Computes the features.
        load_vad: Returns the voice activity detector that splits long recordings.

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
            yield _to_chunk(recording, first, backend, is_whole=True)
        else:
            for start, samples in _split(recording, chain((first, second), blocks), backend, load_vad):
                yield _to_chunk(recording, samples, backend, start=start)
            recording.is_read = True


def _split(
    recording: Recording,
    blocks: Iterator[NDArray[np.float32]],
    backend: BatchBackend[Any, Any],
    load_vad: Callable[[], VoiceActivityDetector],
) -> Iterator[tuple[float, NDArray[np.float32]]]:
    chunker = Chunker(vad=load_vad(), max_chunk_s=backend.max_chunk_s)
    skipped = SkippedSilence(vad_name=str(chunker.vad.info))
    for chunk in chunker.split(blocks):
        if chunk.should_transcribe:
            yield chunk.start, chunk.samples
        else:
            skipped.add(chunk)
    recording.skipped_warnings = tuple(skipped.warnings())


def _to_chunk(
    recording: Recording,
    samples: NDArray[np.float32],
    backend: BatchBackend[Any, Any],
    *,
    start: float = 0.0,
    is_whole: bool = False,
) -> Chunk:
    started = time.monotonic()
    features = ChunkFeatures(features=backend.compute_features(samples), duration=len(samples) / SAMPLE_RATE)
    chunk = Chunk(
        recording=recording,
        samples=samples,
        start=start,
        features=features,
        is_whole=is_whole,
        busy_s=time.monotonic() - started,
    )
    recording.chunks.append(chunk)
    return chunk
