"""Types of audio that callers pass in: samples in memory, files, and parts of files."""

from __future__ import annotations

import math
import operator
from os import PathLike
from typing import TYPE_CHECKING, Any, BinaryIO, SupportsIndex

import attrs

from asrlab.errors import OptionError

if TYPE_CHECKING:
    from numpy.typing import NDArray


SAMPLE_RATE = 16_000
"""Sample rate in Hz of the audio that every engine receives."""

MIN_HZ = 1_000
MAX_HZ = 1_000_000


def checked_sample_rate(rate: object) -> int:
    """Return *rate* in Hz as an integer.

    Raises:
        OptionError: If *rate* is not a whole number from 1,000 to 1,000,000.
    """
    if isinstance(rate, float) and rate.is_integer():
        rate = int(rate)
    if not isinstance(rate, SupportsIndex):
        message = f"sample_rate must be a whole number in Hz, not {rate!r}; 16 kHz is 16000"
        raise OptionError(message, option="sample_rate")
    hertz = operator.index(rate)
    if not MIN_HZ <= hertz <= MAX_HZ:
        message = f"sample_rate {hertz} is outside {MIN_HZ} to {MAX_HZ}; it is in Hz, so 16 kHz is 16000"
        raise OptionError(message, option="sample_rate")
    return hertz


@attrs.frozen(kw_only=True)
class AudioWarning:
    """Warning about a problem in the audio that still could be read.

    Attributes:
        code: ``truncated``, ``damaged`` or ``silent``; ``gap`` if audio is missing for a while; ``timestamps`` if
            time stamps are wrong; ``opposite-phase`` if channels cancel each other out; ``tracks`` if the file has
            several audio tracks and the caller chose none; ``joined`` if a second recording after the first is not
            read.
        message: Description for people.
    """

    code: str
    message: str

    def __str__(self) -> str:
        return self.message


@attrs.frozen(kw_only=True)
class AudioTrack:
    """One audio track of a file that has several.

    Attributes:
        number: Number of the track among the audio tracks of the file, from 1.
        count: Number of audio tracks in the file.
        language: The language tag in the file, such as ``eng``; None if there is none.
        title: The title in the file; None if there is none.
    """

    number: int
    count: int
    language: str | None = None
    title: str | None = None

    def __str__(self) -> str:
        facts = ", ".join(filter(None, (self.language, self.title and repr(self.title))))
        return f"track {self.number} of {self.count}{facts and f' ({facts})'}"


@attrs.frozen(kw_only=True, eq=False)
class Audio:
    """Audio samples in memory.

    Attributes:
        samples: Shape (n,) or (n, channels), at most 32 channels. Floats in [-1, 1], or int8, uint8, int16 or int32,
            which are scaled by their type. The samples are checked when the audio is opened.
        sample_rate: Sample rate in Hz.
        warnings: Warnings of `load_audio` about the source file; transcripts repeat them.
        track: Audio track that `load_audio` read, if the file has several; None otherwise.

    Raises:
        OptionError: If *sample_rate* is not a whole number from 1,000 to 1,000,000.
    """

    samples: NDArray[Any]
    sample_rate: int = attrs.field(converter=checked_sample_rate)
    warnings: tuple[AudioWarning, ...] = ()
    track: AudioTrack | None = None

    @property
    def duration(self) -> float:
        """Duration in seconds."""
        return len(self.samples) / self.sample_rate


def check_track(number: object) -> None:
    """Raise an `OptionError` unless *number* is None or a valid number of an audio track: a whole one, at least 1."""
    if number is not None and (not isinstance(number, int) or isinstance(number, bool) or number < 1):
        message = f"track {number!r} must be a whole number; audio tracks are counted from 1, without video tracks"
        raise OptionError(message, option="track")


@attrs.frozen(kw_only=True)
class AudioFile:
    """Audio file, or a part of a file, or one audio track of a file.

    Attributes:
        path: Path of the file.
        offset: Start of the part, in seconds from the start of the file as a player shows them.
        duration: Length of the part in seconds; None reads to the end of the file.
        track: Number of the audio track, from 1; None chooses the track that the file marks as its default, or else
            the first.

    Raises:
        OptionError: If *offset* is negative, *duration* is not positive, one of them is not finite, or *track* is not a
            whole number of at least 1.
    """

    path: str | PathLike[str]
    offset: float = 0.0
    duration: float | None = None
    track: int | None = None

    def __attrs_post_init__(self) -> None:
        if not (math.isfinite(self.offset) and self.offset >= 0):
            raise OptionError(f"offset must be 0 or more seconds, not {self.offset!r}", option="offset")
        if self.duration is not None and not (math.isfinite(self.duration) and self.duration > 0):
            message = f"duration must be more than 0 seconds, not {self.duration!r}; None means to the end"
            raise OptionError(message, option="duration")
        check_track(self.track)


type AudioSource = str | PathLike[str] | bytes | BinaryIO | NDArray[Any] | Audio | AudioFile
"""Sources that can be opened: a path, bytes, a binary file object, a numpy array, an `Audio` or an `AudioFile`."""
