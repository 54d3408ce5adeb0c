"""Recordings as they come in: read piece by piece where that is safe, left to the full path where it is not."""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Iterator
from functools import partial
from itertools import chain
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any

import attrs

from asrlab.audio import SAMPLE_RATE, AudioFile, AudioReader, AudioSource, open_audio
from asrlab.batching.backend import BatchBackend, ChunkFeatures
from asrlab.vad import Chunker, SkippedSilence, VoiceActivityDetector

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


@attrs.frozen(kw_only=True, eq=False)
class Clip:
    """A recording, or a part of a long one.

    Attributes:
        samples: float32, shape (n,), at 16 kHz.
        start: Seconds from the start of the recording.
        piece: All of it, ready to be encoded.
        busy: Seconds that the features took.
        whole: Whether it is all of the recording.
    """

    samples: NDArray[np.float32]
    start: float
    piece: ChunkFeatures[Any]
    busy: float
    whole: bool


class ChunkReader:
    """One recording on its way in. One thread at a time may call it.

    Args:
        source: What to read; see `readable_ahead`.
        steps: They make the features, and know how long a piece may be.
        vad: Gives the detector that long recordings are cut with.
        sample_rate: As for ``open_audio``.
        allow_truncated: As for ``open_audio``.
        track: As for ``open_audio``.

    Attributes:
        reader: None before the first clip was asked for. At the end it knows the duration, the warnings and the time.
        skipped: What was left out of a long recording; None for a short one.
        over: Whether there is no other clip.
    """

    def __init__(
        self,
        source: AudioSource,
        steps: BatchBackend[Any, Any],
        *,
        vad: Callable[[], VoiceActivityDetector],
        sample_rate: int | None,
        allow_truncated: bool,
        track: int | None,
    ) -> None:
        self._open = partial(open_audio, source, sample_rate=sample_rate, allow_truncated=allow_truncated, track=track)
        self._steps, self._vad = steps, vad
        self._clips = self._read()
        self.reader: AudioReader | None = None
        self.skipped: SkippedSilence | None = None
        self.over = False

    def next_clip(self) -> Clip | None:
        """The next clip; None if there was no other. Raises what ``open_audio`` and reading raise."""
        clip = next(self._clips, None)
        self.over = self.over or clip is None
        return clip

    def close(self) -> None:
        """Let go of the audio."""
        self._clips.close()

    def _read(self) -> Generator[Clip]:
        with self._open() as self.reader:
            blocks = self.reader.blocks(self._steps.longest)
            first = next(blocks)
            second = next(blocks, None)
            if second is None:
                self.over = True
                yield self._clip(first, start=0.0, whole=True)
            else:
                yield from self._cut(chain((first, second), blocks))

    def _cut(self, blocks: Iterator[NDArray[np.float32]]) -> Iterator[Clip]:
        chunker = Chunker(vad=self._vad(), max_chunk_s=self._steps.longest)
        self.skipped = SkippedSilence(vad_name=str(chunker.vad.info))
        for chunk in chunker.split(blocks):
            if chunk.should_transcribe:
                yield self._clip(chunk.samples, start=chunk.start, whole=False)
            else:
                self.skipped.add(chunk)

    def _clip(self, samples: NDArray[np.float32], *, start: float, whole: bool) -> Clip:
        started = time.monotonic()
        features = self._steps.features(samples)
        piece = ChunkFeatures(features=features, duration=len(samples) / SAMPLE_RATE)
        return Clip(samples=samples, start=start, piece=piece, busy=time.monotonic() - started, whole=whole)


def readable_ahead(source: AudioSource) -> bool:
    """Whether *source* may be read before its turn, and again if need be.

    Not a stream, whose place others may share; nor a pipe or a device, which would block all that comes after it.
    """
    path = source.path if isinstance(source, AudioFile) else source
    if not isinstance(path, str | PathLike):
        return not hasattr(path, "read")
    try:
        return Path(path).is_file()
    except OSError:
        return False  # the full path says what is wrong with it
