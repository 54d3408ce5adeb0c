"""Items as they come in: read ahead where that is safe, left to the full path where it is not."""

from __future__ import annotations

import time
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any

import attrs

from asrlab.audio import AudioFile, AudioReader, AudioSource, open_audio
from asrlab.batching.steps import Piece, Steps

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = ["Clip", "read_ahead"]


@attrs.frozen(kw_only=True, eq=False)
class Clip:
    """A recording that was read whole.

    Attributes:
        reader: Read to its end; it knows the duration, the warnings and the time it took.
        samples: float32, shape (n,), at 16 kHz.
        piece: All of it, ready to be encoded.
        busy: Seconds that the features took.
    """

    reader: AudioReader
    samples: NDArray[np.float32]
    piece: Piece[Any]
    busy: float


def read_ahead(
    source: AudioSource, steps: Steps[Any, Any], *, sample_rate: int | None, allow_truncated: bool
) -> Clip | None:
    """The recording, or None if it is for the full path: too long for one window, or not to be read before its turn.

    Raises what ``open_audio`` and reading raise.
    """
    if not _readable_twice(source):
        return None
    with open_audio(source, sample_rate=sample_rate, allow_truncated=allow_truncated) as reader:
        if (reader.declared_duration or 0.0) > steps.longest:
            return None
        blocks = reader.blocks(steps.longest)
        samples = next(blocks)
        if next(blocks, None) is not None:
            return None
    started = time.monotonic()
    features = steps.features(samples)
    piece = Piece(features=features, duration=reader.duration)
    return Clip(reader=reader, samples=samples, piece=piece, busy=time.monotonic() - started)


def _readable_twice(source: AudioSource) -> bool:
    """Not a stream, whose place others may share; nor a pipe or a device, which would block all that comes after it."""
    path = source.path if isinstance(source, AudioFile) else source
    if not isinstance(path, str | PathLike):
        return not hasattr(path, "read")
    try:
        return Path(path).is_file()
    except OSError:
        return False  # the full path says what is wrong with it
