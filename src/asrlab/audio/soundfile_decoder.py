"""Decoding with libsndfile: WAV, AIFF, FLAC, CAF, AU, NIST SPHERE and more, sample-exact.

Three things that libsndfile (1.2.2) opens go to FFmpeg's libraries instead, because it loses audio without a word:

- MPEG audio. Without a Xing header it takes the length from the first frame's bit rate and stops there; it ends two
  files in one at the first one's length; and it prints to the standard error.
- Ogg. It ends a chain of recordings at the first one's length.
- FLAC that declares no length (written to a pipe). Its last, part-filled read fails and those samples are lost.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from asrlab.audio.content import is_mpeg, is_ogg
from asrlab.audio.declared import nist_duration, promised_ratio
from asrlab.audio.samples import CHUNK_SAMPLES, Chunk, mix

if TYPE_CHECKING:
    from asrlab.audio.stream import ByteStream

__all__ = ["SoundfileDecoder", "open_with_soundfile"]

_UNKNOWN_FRAMES = 2**62
_SMALL_FRAMES = 4096


def open_with_soundfile(stream: ByteStream) -> SoundfileDecoder | None:
    """A decoder for *stream*; None where libsndfile does not know it or would not give the whole."""
    import soundfile  # type: ignore[import-untyped, unused-ignore]

    if is_mpeg(stream) or is_ogg(stream):
        return None
    stream.seek(0)
    try:
        file = soundfile.SoundFile(stream)
    except soundfile.LibsndfileError:
        return None
    if file.frames >= _UNKNOWN_FRAMES or file.format == "MP3" or file.subtype.startswith("MPEG"):
        file.close()
        return None
    return SoundfileDecoder(file, stream)


class SoundfileDecoder:
    """A `Decoder` over an open ``soundfile.SoundFile``."""

    name = "soundfile"
    tolerance = 0.01  # these formats count samples

    def __init__(self, file: Any, stream: ByteStream) -> None:
        self._file = file
        self.failure = ""
        self.lost = 0.0
        length = file.frames / file.samplerate
        # The frames of a FLAC come from its header and say nothing about what is there.
        self.available = None if file.format == "FLAC" else length
        self.declared: float | None = nist_duration(stream) or length * promised_ratio(stream)

    def chunks(self, *, offset: float) -> Iterator[Chunk]:
        """Mono chunks from second *offset* on."""
        position = round(offset * self._file.samplerate)
        if position >= self._file.frames:
            return
        if position and self._file.seekable():  # GSM 6.10 is not
            self._file.seek(position)
            early = 0
        else:
            early = position
        while (samples := self._read()) is not None:
            if early < len(samples):
                yield Chunk(mix(samples[early:]), self._file.samplerate)
            early = max(0, early - len(samples))

    def _read(self) -> Any:
        """The next frames, shape (n, channels); None at the end or where decoding fails."""
        import soundfile

        frames = max(_SMALL_FRAMES, CHUNK_SAMPLES // self._file.channels)
        position = self._file.tell() if self._file.seekable() else None
        try:
            samples = self._file.read(frames, dtype="float32", always_2d=True)
        except soundfile.LibsndfileError as error:
            samples = self._reread(position, str(error))
        return samples if samples is not None and len(samples) else None

    def _reread(self, position: int | None, failure: str) -> Any:
        """A few frames at *position*, where a long read failed: it dropped those that came before the damage."""
        import soundfile

        try:
            if position is not None:
                self._file.seek(position)
                return self._file.read(_SMALL_FRAMES, dtype="float32", always_2d=True)
        except soundfile.LibsndfileError as error:
            failure = str(error)
        self.failure = failure.removeprefix("Error : ").rstrip(".")
        return None

    def close(self) -> None:
        """Close the sound file; the stream beneath stays open."""
        self._file.close()
