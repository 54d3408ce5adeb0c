"""Opening of any audio source with the decoder that reads it completely, and decoders of arrays and uncompressed files.

libsndfile reads WAV, AIFF, CAF, AU, NIST SPHERE and other uncompressed audio sample-exactly. Its compressed formats
(seen with 1.2.2) go to FFmpeg's libraries, because libsndfile loses audio without a warning:

- MP3: without a Xing header, the length comes from the first frame's bit rate and decoding stops there; of two files in
  one only the first is read; and messages go to the standard error.
- Ogg: of a chain of recordings only the first is read.
- FLAC: a file that declares no length (written to a pipe) loses its last block, and a damaged file a whole block.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any

import attrs

from asrlab._lazy import np
from asrlab.audio.headers import aiff_frames, declared_ratio, is_mpeg, nist_duration
from asrlab.audio.integrity import sample_dump_fault
from asrlab.audio.pyav_decoder import open_with_pyav
from asrlab.audio.samples import BLOCK_SAMPLES, AudioBlock, Decoder, check_format, to_float32, undecodable_error
from asrlab.audio.stream import ByteStream, open_stream
from asrlab.audio.types import Audio, AudioFile, AudioSource, check_track
from asrlab.errors import AsrlabError, AudioError, OptionError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from asrlab.audio.types import AudioWarning

_MAX_COLUMNS = 32
_INTEGERS = ("int8", "uint8", "int16", "int32")
_LEFT_TO_FFMPEG = frozenset({"FLAC", "MP3", "OGG"})


class _ArrayDecoder(Decoder):
    """Decoder of the samples of an `Audio`, called *source* in messages."""

    name = "array"
    tolerance = 0.0

    def __init__(self, audio: Audio, *, source: str) -> None:
        self._samples = _check_samples(audio.samples, source=source)
        self._sample_rate = audio.sample_rate
        self._warnings = audio.warnings
        self.track = audio.track
        self.declared = self.available = audio.duration

    def blocks(self, *, offset: float) -> Iterator[AudioBlock]:
        step = BLOCK_SAMPLES // self._samples.shape[1]
        for start in range(round(offset * self._sample_rate), len(self._samples), step):
            yield AudioBlock(to_float32(self._samples[start : start + step]), self._sample_rate)

    def warnings(self, *, start: float, end: float) -> tuple[AudioWarning, ...]:  # noqa: ARG002 - see Decoder
        return self._warnings


def _check_samples(samples: Any, *, source: str) -> NDArray[Any]:
    """Return *samples* with shape (n, channels).

    More columns than rows, or more than 32, are never channels: 10 ms at 8 kHz has 80 rows.
    """
    if not isinstance(samples, np.ndarray):
        message = f"{source!r} is a {type(samples).__name__}, not a numpy array; convert it first"
    elif samples.dtype.kind != "f" and samples.dtype.name not in _INTEGERS:
        message = (
            f"{source!r} has samples of type {samples.dtype}, whose scale is not known; give floats in [-1, 1], or "
            f"{', '.join(_INTEGERS[:-1])} or {_INTEGERS[-1]}"
        )
    else:
        rows, columns = samples.shape if samples.ndim == 2 else (len(samples) if samples.ndim else 0, 1)
        if samples.ndim in (1, 2) and (not rows or 1 <= columns <= min(rows, _MAX_COLUMNS)):
            return samples.reshape(rows, columns or 1)
        advice = "give shape (n,) or (n, channels)"
        if samples.ndim == 2 and columns > rows and rows <= _MAX_COLUMNS:
            advice = "it looks like (channels, n): transpose it with samples.T"
        message = f"{source!r} has shape {samples.shape}, not one row per sample; {advice}"
    raise AudioError(message, source=source, reason="bad-shape")


def open_with_soundfile(stream: ByteStream) -> Decoder | None:
    """Return a decoder for *stream*; None if libsndfile does not know the format or might lose audio."""
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
    return _SoundfileDecoder(file, stream)


class _SoundfileDecoder(Decoder):
    """Decoder of an open ``soundfile.SoundFile``."""

    name = "soundfile"

    def __init__(self, file: Any, stream: ByteStream) -> None:
        self._file = file
        self.available = file.frames / file.samplerate
        frames = file.frames  # ALAC's packet table counts frames, whatever is left of the data
        if not file.subtype.startswith("ALAC"):
            frames = max(frames * declared_ratio(stream), aiff_frames(stream))
        self.declared = nist_duration(stream) or frames / file.samplerate

    def blocks(self, *, offset: float) -> Iterator[AudioBlock]:
        import soundfile

        skip = round(offset * self._file.samplerate)
        frames = BLOCK_SAMPLES // self._file.channels
        try:
            if self._file.seekable():  # GSM 6.10 is not
                skip -= self._file.seek(min(skip, self._file.frames))
            while len(samples := self._file.read(frames, dtype="float32", always_2d=True)):
                if skip < len(samples):
                    yield AudioBlock(samples[skip:], self._file.samplerate)
                skip = max(0, skip - len(samples))
        except soundfile.LibsndfileError as error:
            self.failure = f"libsndfile: {str(error).rstrip('.')}"

    def close(self) -> None:
        self._file.close()


@attrs.frozen(kw_only=True)
class OpenedSource:
    """Open source, called *label* in messages, and the part of it that the caller asked for, in seconds."""

    label: str
    decoder: Decoder
    stream: ByteStream | None = None
    offset: float = 0.0
    duration: float | None = None

    def close(self) -> None:
        """Close the decoder and the stream."""
        self.decoder.close()
        if self.stream is not None:
            self.stream.close()


def open_source(source: AudioSource, *, sample_rate: int | None, track: int | None) -> OpenedSource:
    """Open *source*; the arguments and errors are those of `asrlab.audio.open_audio`."""
    check_track(track)
    label = "<Audio>"
    if isinstance(source, np.ndarray):
        if sample_rate is None:
            raise OptionError("a numpy array needs its sample_rate= in Hz, such as 16000", option="sample_rate")
        source, label = Audio(samples=source, sample_rate=sample_rate), "<array>"
    elif sample_rate is not None:
        kind = type(source).__name__
        message = f"sample_rate= is for a numpy array; an object of type {kind} states its own, so leave it out"
        raise OptionError(message, option="sample_rate")
    if isinstance(source, Audio):
        decoder: Decoder = _ArrayDecoder(source, source=label)
        _check_only_track(track, source=label)
        return OpenedSource(label=label, decoder=decoder)
    offset, duration = 0.0, None
    if isinstance(source, AudioFile):
        offset, duration, track = source.offset, source.duration, track if source.track is None else source.track
        source = source.path
    with ExitStack() as cleanup:
        stream = open_stream(source)
        cleanup.callback(stream.close)
        try:
            with only_audio_errors(stream.label):
                decoder = _open_decoder(stream, track)
        finally:
            stream.raise_error()  # the file's own exception explains more than the decoder's
        cleanup.pop_all()
    return OpenedSource(label=stream.label, decoder=decoder, stream=stream, offset=offset, duration=duration)


def _open_decoder(stream: ByteStream, track: int | None) -> Decoder:
    """Return libsndfile's decoder if it reads *stream* completely, and FFmpeg's otherwise."""
    if not stream.size:
        raise empty_error(stream.label, size=0, offset=0.0)
    decoder = open_with_soundfile(stream)
    if decoder is None:
        return open_with_pyav(stream, track=track)
    try:
        _check_only_track(track, source=stream.label)
    except AudioError:
        decoder.close()
        raise
    if decoder.available != 0:
        return decoder
    # libsndfile finds no samples in a WAV streamed with a length of 0 in its header; FFmpeg reads that to the end.
    decoder.close()
    try:
        return open_with_pyav(stream)
    except AudioError as error:
        raise empty_error(stream.label, size=stream.size, offset=0.0) from error


@contextmanager
def only_audio_errors(label: str) -> Iterator[None]:
    """Convert the exceptions of a decoder for a damaged file to an `AudioError`, except a lack of memory."""
    try:
        yield
    except (AsrlabError, MemoryError):
        raise
    except Exception as error:
        raise undecodable_error(label, failure=f"{type(error).__name__}: {error}") from error


def _check_only_track(track: int | None, *, source: str) -> None:
    """Raise an error unless *track* is None or 1, for a *source* that cannot have several tracks."""
    if track not in (None, 1):
        problem = f"there is no audio track {track} in {source!r}, which has a single one"
        raise AudioError(f"{problem}; leave out track=N (--track N)", source=source, reason="no-track")


def empty_error(source: str, *, size: int | None, offset: float) -> AudioError:
    """Return the error for *source*, which gave no sample from second *offset* on; *size* is in bytes, for a file."""
    if size == 0:
        message = f"{source!r} is empty (0 bytes); record or copy it again"
    elif offset:
        message = f"{source!r} has no audio from second {offset:.2f} on; check the offset"
    elif size is None:
        message = f"{source!r} has no samples; give an array that is not empty"
    else:
        message = f"{source!r} has no samples ({size} bytes, all header); record or copy it again"
    return AudioError(message, source=source, reason="empty")
