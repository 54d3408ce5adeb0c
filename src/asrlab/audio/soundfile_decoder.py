"""Decoding with libsndfile: WAV, AIFF, CAF, AU, NIST SPHERE and other uncompressed audio, sample-exact.

What libsndfile (1.2.2) opens of the compressed kinds goes to FFmpeg's libraries, because it loses audio without a word:

- MP3: without a Xing header it takes the length from the first frame's bit rate and stops there; it ends two files in
  one at the first one's length; and it prints to the standard error while it does.
- Ogg: it ends a chain of recordings at the first one's length.
- FLAC: one that declares no length (written to a pipe) loses its last read, and a damaged one all that a read held.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from asrlab.audio.checks import check_format, undecodable_error
from asrlab.audio.headers import aiff_frames, declared_ratio, nist_duration
from asrlab.audio.integrity import sds_fault
from asrlab.audio.samples import CHUNK_SAMPLES, Chunk
from asrlab.audio.sniff import is_mpeg
from asrlab.errors import AudioError

if TYPE_CHECKING:
    from asrlab.audio.stream import ByteStream
    from asrlab.audio.types import AudioTrack, AudioWarning


_LEFT_TO_FFMPEG = frozenset({"FLAC", "MP3", "OGG"})


def open_with_soundfile(stream: ByteStream) -> SoundfileDecoder | None:
    """Return a decoder for *stream*; None where libsndfile does not know it or might not give the whole.

    Raises:
        AudioError: The header declares a sample rate or a number of channels that is out of range, or a MIDI Sample
            Dump is damaged.
    """
    import soundfile  # type: ignore[import-untyped, unused-ignore]

    if is_mpeg(stream):  # not even opened, because that is when libsndfile prints
        return None
    if fault := sds_fault(stream):
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


class SoundfileDecoder:
    """A `Decoder` over an open ``soundfile.SoundFile``."""

    name = "soundfile"
    tolerance = 0.01  # these formats count samples
    lost = 0.0
    track: AudioTrack | None = None

    def __init__(self, file: Any, stream: ByteStream) -> None:
        self._file = file
        self.failure = ""
        self.available: float | None = file.frames / file.samplerate
        self.declared: float | None = nist_duration(stream) or self._declared(stream)

    def _declared(self, stream: ByteStream) -> float:
        """Return the seconds that the header declares, and not fewer than libsndfile gives."""
        if self._file.subtype.startswith("ALAC"):  # counted by the packet table, whatever is left of the data
            return float(self._file.frames / self._file.samplerate)
        frames = max(self._file.frames * declared_ratio(stream), aiff_frames(stream))
        return float(frames / self._file.samplerate)

    def chunks(self, *, offset: float) -> Iterator[Chunk]:
        """Yield chunks of all channels from second *offset* on."""
        import soundfile

        try:
            yield from self._read_from(round(offset * self._file.samplerate))
        except soundfile.LibsndfileError as error:
            self.failure = f"libsndfile: {str(error).rstrip('.')}"

    def _read_from(self, position: int) -> Iterator[Chunk]:
        early = position
        if self._file.seekable():  # GSM 6.10 is not
            early -= self._file.seek(min(position, self._file.frames))
        frames = CHUNK_SAMPLES // self._file.channels
        while len(samples := self._file.read(frames, dtype="float32", always_2d=True)):
            if early < len(samples):
                yield Chunk(samples[early:], self._file.samplerate)
            early = max(0, early - len(samples))

    def findings(self, *, start: float, end: float) -> tuple[AudioWarning, ...]:  # noqa: ARG002 - of any decoder
        """Return nothing: libsndfile's formats have no time stamps and no tracks."""
        return ()

    def close(self) -> None:
        """Close the sound file; the stream beneath stays open."""
        self._file.close()
