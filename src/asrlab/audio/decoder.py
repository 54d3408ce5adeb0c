"""Decoders of numpy arrays and of the files that libsndfile reads, and the interface of all decoders.

libsndfile reads WAV, AIFF, CAF, AU, NIST SPHERE and other uncompressed audio sample-exactly. Its compressed formats
(seen with 1.2.2) go to FFmpeg's libraries, because libsndfile loses audio without a warning:

- MP3: without a Xing header, the length comes from the first frame's bit rate and decoding stops there; of two files in
  one only the first is read; and messages go to the standard error.
- Ogg: of a chain of recordings only the first is read.
- FLAC: a file that declares no length (written to a pipe) loses its last block, and a damaged file a whole block.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any

from asrlab.audio.checks import check_format, undecodable_error
from asrlab.audio.headers import aiff_frames, declared_ratio, nist_duration
from asrlab.audio.integrity import sample_dump_fault
from asrlab.audio.samples import BLOCK_SAMPLES, AudioBlock, to_float32
from asrlab.audio.sniff import is_mpeg
from asrlab.errors import AudioError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from numpy.typing import NDArray

    from asrlab.audio.stream import ByteStream
    from asrlab.audio.types import Audio, AudioTrack, AudioWarning

_MAX_CHANNELS = 32
_INTEGERS = ("int8", "uint8", "int16", "int32")
_LEFT_TO_FFMPEG = frozenset({"FLAC", "MP3", "OGG"})


class Decoder(ABC):
    """Decoder of an open source, which decodes once, from front to back.

    Attributes:
        name: ``soundfile``, ``pyav`` or ``array``.
        declared: Seconds that the source declares; None if it declares no length.
        available: Seconds that are known to be present before decoding; None if only decoding can tell.
        tolerance: Seconds by which *declared* may exceed the decoded length of a whole file.
        failure: Reason for which decoding ended too early, in words; empty if it did not.
        lost: Seconds of damaged packets so far.
        track: Audio track that is decoded, of a source that has several; None otherwise.
    """

    name: str
    declared: float | None = None
    available: float | None = None
    tolerance: float = 0.01
    failure: str = ""
    lost: float = 0.0
    track: AudioTrack | None = None

    @abstractmethod
    def blocks(self, *, offset: float) -> Iterator[AudioBlock]:
        """Yield blocks of all channels from second *offset* on."""

    def warnings(self, *, start: float, end: float) -> Iterable[AudioWarning]:  # noqa: ARG002 - for decoders with times
        """Return the warnings about the seconds from *start* to *end*, which have been decoded."""
        return ()

    @abstractmethod
    def close(self) -> None:
        """Release the resources of the decoder; the underlying stream stays open."""


class ArrayDecoder(Decoder):
    """Decoder of the samples of an `Audio`, called *source* in messages.

    Raises:
        AudioError: If the samples are not an array of shape (n,) or (n, channels), or of a type with a known scale.
    """

    name = "array"
    tolerance = 0.0

    def __init__(self, audio: Audio, *, source: str) -> None:
        self._samples = _check_samples(audio.samples, source=source)
        self._sample_rate = audio.sample_rate
        self._warnings = audio.warnings
        self.track = audio.track
        self.declared = self.available = audio.duration

    def blocks(self, *, offset: float) -> Iterator[AudioBlock]:
        """Yield blocks of all channels from second *offset* on."""
        step = BLOCK_SAMPLES // self._samples.shape[1]
        for start in range(round(offset * self._sample_rate), len(self._samples), step):
            yield AudioBlock(to_float32(self._samples[start : start + step]), self._sample_rate)

    def warnings(self, *, start: float, end: float) -> tuple[AudioWarning, ...]:  # noqa: ARG002 - see Decoder
        """Return the warnings of the load that the samples come from."""
        return self._warnings

    def close(self) -> None:
        """Do nothing: the array belongs to the caller."""


def _check_samples(samples: Any, *, source: str) -> NDArray[Any]:
    """Return *samples* with shape (n, channels).

    More columns than rows, or more than 32, are never channels: 10 ms at 8 kHz has 80 rows.
    """
    import numpy as np

    advice = "give shape (n,) or (n, channels)"
    if not isinstance(samples, np.ndarray):
        message = f"{source!r} is a {type(samples).__name__}, not a numpy array; convert it first"
        raise AudioError(message, source=source, reason="bad-shape")
    if samples.dtype.kind != "f" and samples.dtype.name not in _INTEGERS:
        message = (
            f"{source!r} has samples of type {samples.dtype}, whose scale is not known; give floats in [-1, 1], or "
            f"{', '.join(_INTEGERS[:-1])} or {_INTEGERS[-1]}"
        )
        raise AudioError(message, source=source, reason="bad-shape")
    if samples.ndim == 1:
        return samples[:, None]
    if samples.ndim == 2:
        rows, columns = samples.shape
        if not rows or 1 <= columns <= min(rows, _MAX_CHANNELS):
            return samples.reshape(rows, columns or 1)
        if columns > rows and rows <= _MAX_CHANNELS:
            advice = "it looks like (channels, n): transpose it with samples.T"
    message = f"{source!r} has shape {samples.shape}, not one row per sample; {advice}"
    raise AudioError(message, source=source, reason="bad-shape")


def open_with_soundfile(stream: ByteStream) -> SoundfileDecoder | None:
    """Return a decoder for *stream*; None if libsndfile does not know the format or might lose audio.

    Raises:
        AudioError: If the header declares a sample rate or a number of channels that is out of range, or a MIDI Sample
            Dump is damaged.
    """
    import soundfile  # type: ignore[import-untyped, unused-ignore]

    if is_mpeg(stream):  # libsndfile prints messages as soon as it opens MP3s
        return None
    if fault := sample_dump_fault(stream):
        raise undecodable_error(stream.label, failure=fault)
    stream.seek(0)
    try:
        file = soundfile.SoundFile(stream)
    except soundfile.LibsndfileError:
        return None
    if file.format in _LEFT_TO_FFMPEG or file.subtype.startswith("MPEG"):
        file.close()
        return None
    try:
        check_format(stream.label, sample_rate=file.samplerate, channels=file.channels)
    except AudioError:
        file.close()
        raise
    return SoundfileDecoder(file, stream)


class SoundfileDecoder(Decoder):
    """Decoder of an open ``soundfile.SoundFile``."""

    name = "soundfile"

    def __init__(self, file: Any, stream: ByteStream) -> None:
        self._file = file
        self.available = file.frames / file.samplerate
        self.declared = nist_duration(stream) or self._declared(stream)

    def _declared(self, stream: ByteStream) -> float:
        """Return the seconds that the header declares, but at least those that libsndfile reports."""
        if self._file.subtype.startswith("ALAC"):  # the packet table counts frames, whatever is left of the data
            return float(self._file.frames / self._file.samplerate)
        frames = max(self._file.frames * declared_ratio(stream), aiff_frames(stream))
        return float(frames / self._file.samplerate)

    def blocks(self, *, offset: float) -> Iterator[AudioBlock]:
        """Yield blocks of all channels from second *offset* on."""
        import soundfile

        try:
            yield from self._read_from(round(offset * self._file.samplerate))
        except soundfile.LibsndfileError as error:
            self.failure = f"libsndfile: {str(error).rstrip('.')}"

    def _read_from(self, position: int) -> Iterator[AudioBlock]:
        skip = position
        if self._file.seekable():  # GSM 6.10 is not
            skip -= self._file.seek(min(position, self._file.frames))
        frames = BLOCK_SAMPLES // self._file.channels
        while len(samples := self._file.read(frames, dtype="float32", always_2d=True)):
            if skip < len(samples):
                yield AudioBlock(samples[skip:], self._file.samplerate)
            skip = max(0, skip - len(samples))

    def close(self) -> None:
        """Close the sound file; the underlying stream stays open."""
        self._file.close()
