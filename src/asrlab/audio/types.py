"""What callers hand in: samples they have, files, and parts of files."""

from __future__ import annotations

import math
import operator
from os import PathLike
from typing import TYPE_CHECKING, Any, BinaryIO, SupportsIndex

import attrs

from asrlab.errors import OptionError

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["SAMPLE_RATE", "Audio", "AudioFile", "AudioSource", "checked_sample_rate"]

SAMPLE_RATE = 16_000
"""Hz. What every engine is given."""

_LOWEST_HZ = 1_000
_HIGHEST_HZ = 1_000_000


def checked_sample_rate(rate: object) -> int:
    """*rate* in Hz as an integer.

    Raises:
        OptionError: It is not a whole number from 1,000 to 1,000,000.
    """
    if isinstance(rate, float) and rate.is_integer():
        rate = int(rate)
    if not isinstance(rate, SupportsIndex):
        message = f"sample_rate must be a whole number of Hz, not {rate!r}; 16 kHz is 16000"
        raise OptionError(message, option="sample_rate")
    hertz = operator.index(rate)
    if not _LOWEST_HZ <= hertz <= _HIGHEST_HZ:
        raise OptionError(
            f"sample_rate {hertz} is outside {_LOWEST_HZ} to {_HIGHEST_HZ}; it is in Hz, so 16 kHz is 16000",
            option="sample_rate",
        )
    return hertz


@attrs.frozen(kw_only=True, eq=False)
class Audio:
    """Samples that the caller has in memory.

    Attributes:
        samples: Shape (n,) or (n, channels), at most 32 channels. Floats in [-1, 1], or int8, uint8, int16 or int32,
            which are scaled by their type. Checked when the audio is opened.
        sample_rate: Hz.

    Raises:
        OptionError: *sample_rate* is not a whole number from 1,000 to 1,000,000.
    """

    samples: NDArray[Any]
    sample_rate: int = attrs.field(converter=checked_sample_rate)

    @property
    def duration(self) -> float:
        """Seconds."""
        return len(self.samples) / self.sample_rate


def _check_offset(_file: AudioFile, _field: attrs.Attribute[float], seconds: float) -> None:
    if not (math.isfinite(seconds) and seconds >= 0):
        raise OptionError(f"offset must be 0 or more seconds, not {seconds!r}", option="offset")


def _check_duration(_file: AudioFile, _field: attrs.Attribute[float | None], seconds: float | None) -> None:
    if seconds is not None and not (math.isfinite(seconds) and seconds > 0):
        raise OptionError(
            f"duration must be more than 0 seconds, not {seconds!r}; None means to the end", option="duration"
        )


@attrs.frozen(kw_only=True)
class AudioFile:
    """A file, or a part of one.

    Attributes:
        path: Where it is.
        offset: Seconds from the start of the file at which the part starts.
        duration: Seconds that the part lasts; None means to the end of the file.

    Raises:
        OptionError: *offset* is negative, *duration* is not positive, or one of them is not finite.
    """

    path: str | PathLike[str]
    offset: float = attrs.field(default=0.0, validator=_check_offset)
    duration: float | None = attrs.field(default=None, validator=_check_duration)


type AudioSource = str | PathLike[str] | bytes | BinaryIO | NDArray[Any] | Audio | AudioFile
"""What can be opened: a path, a file's bytes, a binary file object, a numpy array, an `Audio` or an `AudioFile`."""
