"""From whatever the caller hands in to a decoder that is ready to run."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import attrs

from asrlab.audio.checks import check_format, check_only_track, empty_error, undecodable_error
from asrlab.audio.decoder import Decoder, open_array
from asrlab.audio.pyav_decoder import open_with_pyav
from asrlab.audio.samples import Chunk
from asrlab.audio.soundfile_decoder import open_with_soundfile
from asrlab.audio.stream import ByteStream, open_stream
from asrlab.audio.types import Audio, AudioFile, AudioSource, check_track
from asrlab.errors import AsrlabError, AudioError, OptionError


@attrs.frozen(kw_only=True)
class OpenedSource:
    """An open source and the part of it that is wanted.

    Attributes:
        label: How messages call it.
        decoder: Not started.
        stream: The bytes beneath; None for an array.
        offset: Seconds from its start at which the wanted part starts.
        duration: Seconds of the wanted part; None means to the end.
    """

    label: str
    decoder: Decoder
    stream: ByteStream | None = None
    offset: float = 0.0
    duration: float | None = None

    def chunks(self, *, offset: float) -> Iterator[Chunk]:
        """Yield the decoder's chunks of all channels from second *offset* on.

        Raises:
            AudioError: The decoder failed, or the sample rate changed to one out of range.
        """
        with _only_audio_errors(self.label):
            for chunk in self.decoder.chunks(offset=offset):
                check_format(self.label, sample_rate=chunk.sample_rate, channels=chunk.samples.shape[1])
                yield chunk

    def close(self) -> None:
        """Let go of the decoder and of what was opened for it."""
        self.decoder.close()
        if self.stream is not None:
            self.stream.close()


def open_source(source: AudioSource, *, sample_rate: int | None, track: int | None = None) -> OpenedSource:
    """Open *source*; *sample_rate*, in Hz, is for a numpy array and only for that.

    The track that an `AudioFile` names goes before *track*.

    Raises:
        OptionError: *sample_rate* is missing for an array, given for something else, or not a rate; *track* is no
            number of a track.
        AudioError: The source cannot be read, nothing can decode it, or it has no such track.
    """
    import numpy as np

    check_track(track)

    if isinstance(source, np.ndarray):
        if sample_rate is None:
            raise OptionError("a numpy array needs its sample_rate= in Hz, such as 16000", option="sample_rate")
        return _open_array(Audio(samples=source, sample_rate=sample_rate), label="<array>", track=track)
    if sample_rate is not None:
        kind = type(source).__name__
        raise OptionError(
            f"sample_rate= is for a numpy array; an object of type {kind} knows its own, so leave it out",
            option="sample_rate",
        )
    if isinstance(source, Audio):
        return _open_array(source, label="<Audio>", track=track)
    if isinstance(source, AudioFile):
        return _open_file(source.path, source, track=track if source.track is None else source.track)
    return _open_file(source, track=track)


def _open_array(audio: Audio, *, label: str, track: int | None) -> OpenedSource:
    decoder = open_array(audio, source=label)
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
            stream.raise_error()  # what the file itself raised explains more than what a decoder makes of it
        cleanup.pop_all()
    return OpenedSource(label=stream.label, decoder=decoder, stream=stream, offset=offset, duration=duration)


def _open_decoder(stream: ByteStream, track: int | None) -> Decoder:
    """Libsndfile's decoder where it gives the whole of *stream*, otherwise FFmpeg's."""
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
    # libsndfile sees no samples in a WAV streamed with a length of 0 in its header; FFmpeg reads that to the end.
    decoder.close()
    try:
        return open_with_pyav(stream)
    except AudioError as error:
        raise empty_error(stream.label, size=stream.size, offset=0.0) from error


@contextmanager
def _only_audio_errors(label: str) -> Iterator[None]:
    """Turn whatever a decoder raises for a damaged file into an `AudioError`; a lack of memory stays what it is."""
    try:
        yield
    except (AsrlabError, MemoryError):
        raise
    except Exception as error:
        raise undecodable_error(label, failure=f"{type(error).__name__}: {error}") from error
