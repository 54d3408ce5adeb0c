"""Audio decoding with upstream's signature, by asrlab's own decoders and checks."""

from __future__ import annotations

from os import PathLike
from typing import TYPE_CHECKING, Any, BinaryIO

from asrlab.audio import SAMPLE_RATE, Audio, load_audio, load_samples, log_warnings
from asrlab.compat.delegation import delegate_missing
from asrlab.errors import OptionError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = ["decode_audio"]


def decode_audio(
    input_file: str | PathLike[str] | BinaryIO,
    sampling_rate: int = SAMPLE_RATE,
    split_stereo: bool = False,  # noqa: FBT001, FBT002 - upstream's signature
) -> NDArray[np.float32]:
    """Return the samples of a file: float32, shape (n,), in [-1, 1], at 16 kHz.

    Raises:
        AudioError: If the file cannot be read, is truncated, empty or not finite.
        OptionError: If another rate than 16 kHz, or two channels, are requested.
    """
    if sampling_rate != SAMPLE_RATE or split_stereo:
        requested = "split_stereo=True" if split_stereo else f"sampling_rate={sampling_rate}"
        raise OptionError(
            f"asrlab decodes to one channel at {SAMPLE_RATE} Hz, not with {requested}; use faster_whisper.decode_audio",
            option="split_stereo" if split_stereo else "sampling_rate",
        )
    return load_samples(input_file)


def load_input(audio: Any) -> Audio:
    """Load an argument of upstream's ``transcribe``: an array at 16 kHz, or a source that `decode_audio` accepts.

    Raises:
        AudioError: If the audio cannot be read, is truncated, empty or not finite.
    """
    import numpy as np

    loaded = load_audio(audio, sample_rate=SAMPLE_RATE if isinstance(audio, np.ndarray) else None)
    log_warnings(loaded)
    return loaded


__getattr__ = delegate_missing(__name__)
