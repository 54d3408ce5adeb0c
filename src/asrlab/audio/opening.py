"""Opening of any audio source with the decoder that reads it completely."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import attrs

from asrlab.audio.checks import check_format, check_only_track, empty_error, undecodable_error
from asrlab.audio.decoder import ArrayDecoder, Decoder, open_with_soundfile
from asrlab.audio.pyav_decoder import open_with_pyav
from asrlab.audio.samples import AudioBlock
from asrlab.audio.stream import ByteStream, open_stream
from asrlab.audio.types import Audio, AudioFile, AudioSource, check_track
from asrlab.errors import AsrlabError, AudioError, OptionError


@attrs.frozen(kw_only=True)
class OpenedSource:
    """Open source and the part of it that the caller asked for.

    Attributes:
        label: Name of the source in messages.
        decoder: Decoder that has not started yet.
        stream: Underlying bytes; None for an array.
        offset: Start of the part, in seconds.
        duration: Length of the part in seconds; None means to the end.
    """

    label: str
    decoder: Decoder
    stream: ByteStream | None = None
    offset: float = 0.0
    duration: float | None = None

    def blocks(self, *, offset: float) -> Iterator[AudioBlock]:
        """Yield the decoder's blocks of all channels from second *offset* on.

        Raises:
            AudioError: If the decoder failed, or the sample rate changed to one out of range.
        """
        with _only_audio_errors(self.label):
            for block in self.decoder.blocks(offset=offset):
                check_format(self.label, sample_rate=block.sample_rate, channels=block.samples.shape[1])
                yield block

    def close(self) -> None:
        """Close the decoder and the stream."""
        self.decoder.close()
        if self.stream is not None:
            self.stream.close()


def open_source(source: AudioSource, *, sample_rate: int | None, track: int | None = None) -> OpenedSource:
    """Open *source*; *sample_rate*, in Hz, is required for a numpy array and refused for other sources.

    The track of an `AudioFile` takes precedence over *track*.

    Raises:
        OptionError: If *sample_rate* is missing for an array, given for another source, or not a rate, or *track* is
            not the number of a track.
        AudioError: If the source cannot be read or decoded, or has no such track.
    """
    import numpy as np

    check_track(track)
    if isinstance(source, np.ndarray):
        if sample_rate is None:
            raise OptionError("a numpy array needs its sample_rate= in Hz, such as 16000", option="sample_rate")
        return _open_array(Audio(samples=source, sample_rate=sample_rate), label="<array>", track=track)
    if sample_rate is not None:
        kind = type(source).__name__
        message = f"sample_rate= is for a numpy array; an object of type {kind} states its own, so leave it out"
        raise OptionError(message, option="sample_rate")
    if isinstance(source, Audio):
        return _open_array(source, label="<Audio>", track=track)
    if isinstance(source, AudioFile):
        return _open_file(source.path, source, track=track if source.track is None else source.track)
    return _open_file(source, track=track)


def _open_array(audio: Audio, *, label: str, track: int | None) -> OpenedSource:
    decoder = ArrayDecoder(audio, source=label)
    check_only_track(track, source=label)
    return OpenedSource(label=label, decoder=decoder)


def _open_file(source: object, part: AudioFile | None = None, *, track: int | None) -> OpenedSource:
    offset, duration = (0.0, None) if part is None else (part.offset, part.duration)
    with ExitStack() as cleanup:
        stream = open_stream(source)
        cleanup.callback(stream.close)
        try:
            with _only_audio_errors(stream.label):
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
        check_only_track(track, source=stream.label)
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
def _only_audio_errors(label: str) -> Iterator[None]:
    """Convert the exceptions of a decoder for a damaged file to an `AudioError`, except a lack of memory."""
    try:
        yield
    except (AsrlabError, MemoryError):
        raise
    except Exception as error:
        raise undecodable_error(label, failure=f"{type(error).__name__}: {error}") from error
