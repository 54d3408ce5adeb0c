"""Decoding, by asrlab's own decoders and with their checks."""

from __future__ import annotations

from os import PathLike
from typing import TYPE_CHECKING, Any, BinaryIO

from asrlab.audio import SAMPLE_RATE, Audio, load_audio, load_samples, log_warnings
from asrlab.errors import OptionError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = ["decode_audio", "loaded"]


def decode_audio(
    input_file: str | PathLike[str] | BinaryIO,
    sampling_rate: int = SAMPLE_RATE,
    split_stereo: bool = False,  # noqa: FBT001, FBT002 - upstream's signature
) -> NDArray[np.float32]:
    """The samples of a file: float32, shape (n,), in [-1, 1], at 16 kHz.

    Raises:
        AudioError: The file cannot be read, is truncated, empty or not finite.
        OptionError: Another rate than 16 kHz, or two channels, were asked for.
    """
    if sampling_rate != SAMPLE_RATE or split_stereo:
        asked = "split_stereo=True" if split_stereo else f"sampling_rate={sampling_rate}"
        raise OptionError(
            f"asrlab decodes to one channel at {SAMPLE_RATE} Hz, not with {asked}; faster_whisper.decode_audio does",
            option="split_stereo" if split_stereo else "sampling_rate",
        )
    return load_samples(input_file)


def loaded(audio: Any) -> Audio:
    """What upstream's ``transcribe`` takes: an array at 16 kHz, or whatever `decode_audio` takes.

    Raises:
        AudioError: As `decode_audio` does.
    """
    import numpy as np

    result = load_audio(audio, sample_rate=SAMPLE_RATE if isinstance(audio, np.ndarray) else None)
    log_warnings(result)
    return result
