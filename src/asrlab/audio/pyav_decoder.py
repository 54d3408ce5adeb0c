"""Decoding with FFmpeg's libraries through PyAV: MP3, AAC, MP4, Ogg, WebM, WMA and all else that FFmpeg knows."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from asrlab.audio.content import ends_within_ogg_page, looks_like, never_audio
from asrlab.audio.declared import asf_duration, mp3_duration, promised_ratio
from asrlab.audio.samples import CHUNK_SAMPLES, Chunk, as_float, mix
from asrlab.errors import AudioError

if TYPE_CHECKING:
    from asrlab.audio.stream import ByteStream

__all__ = ["PyavDecoder", "open_with_pyav"]

_PREROLL = 1.0  # seconds decoded before an offset, so that AAC, Opus and MP3 have the state they build on
_DAMAGED_PACKET = 0.02  # seconds to assume for one that does not say how long it is
# FFmpeg takes the length of these containers from their headers and guesses that of the others from the bit rate.
_DECLARING = frozenset({"mov", "matroska", "flac", "caf", "tta", "ape", "wv"})
_COUNTING = frozenset({"flac", "caf", "tta", "ape", "wv"})
_EXACT = 0.01
# The longest frame plus the delay of an encoder, which headers count or not: 2048 samples of WMA at 16 kHz, or 1105
# and 1152 of MP3 at 11 kHz.
_ROUGH = 0.25
_CLOCK = re.compile(r"(\d+):(\d\d):(\d\d(?:\.\d+)?)")  # Matroska's DURATION tag


def open_with_pyav(stream: ByteStream) -> PyavDecoder:
    """A decoder for the best audio track of *stream*.

    Raises:
        AudioError: FFmpeg does not know the content, or there is no audio in it.
    """
    import av

    if never_audio(stream):
        raise _undecodable(stream)
    try:
        container = _open_container(stream)
    except av.error.FFmpegError as error:
        raise _undecodable(stream) from error
    track = container.streams.best("audio")
    if track is None or track.codec_context is None:
        container.close()
        raise _undecodable(stream, f"FFmpeg reads it as {container.format.name} without audio that it can decode")
    return PyavDecoder(container, track, stream)


def _open_container(stream: ByteStream) -> Any:
    import av

    # A playlist or a concat script must not make FFmpeg open what it names: no protocol is called "none".
    options = {"protocol_whitelist": "none"}
    stream.seek(0)
    try:
        return av.open(stream, options=options)
    except UnicodeDecodeError:
        # A tag that is not UTF-8. PyAV 19 never raises this, and has no such argument any more.
        older: dict[str, Any] = {"metadata_errors": "replace"}
        stream.seek(0)
        return av.open(stream, options=options, **older)


def _undecodable(stream: ByteStream, why: str = "its content is no audio that libsndfile or FFmpeg know") -> AudioError:
    likeness = looks_like(stream)
    if likeness:
        message = f"cannot decode {stream.label!r}: it looks like {likeness}"
    else:
        message = f"cannot decode {stream.label!r}: {why}; check where it came from, or convert it to WAV or FLAC"
    return AudioError(message, source=stream.label, reason="undecodable")


class PyavDecoder:
    """A `Decoder` over an open PyAV container.

    A damaged packet is left out, as FFmpeg's own programs do; the reader compares the lengths and tells.
    """

    name = "pyav"

    def __init__(self, container: Any, track: Any, stream: ByteStream) -> None:
        kind = container.format.name.partition(",")[0]
        self._container = container
        self._track = track
        self._start = float((track.start_time or 0) * track.time_base)
        self._may_skip = kind != "asf"  # the WMA decoder labels its frames with the times of later packets
        self._whole = True
        self.declared = _declared(kind, container, track, stream)
        self.tolerance = _EXACT if kind in _COUNTING else _ROUGH
        self.available: float | None = None
        self.failure = "its last Ogg page is incomplete" if ends_within_ogg_page(stream) else ""
        self.lost = 0.0

    def chunks(self, *, offset: float) -> Iterator[Chunk]:
        """Mono chunks from second *offset* on."""
        early: int | None = None
        for batch in self._batches(offset):
            chunk = _mono(batch)
            if early is None:
                early = self._early_samples(batch[0], offset)
            if early < len(chunk.samples):
                yield Chunk(chunk.samples[early:], chunk.sample_rate)
            early = max(0, early - len(chunk.samples))

    def _early_samples(self, first: Any, offset: float) -> int:
        """How many samples from the frame *first* on lie before *offset*."""
        time = 0.0 if self._whole or first.time is None else float(first.time) - self._start
        return max(0, round((offset - time) * int(first.sample_rate)))

    def _batches(self, offset: float) -> Iterator[list[Any]]:
        """Frames in lists of about `CHUNK_SAMPLES`, each of one rate, channel count and sample type."""
        batch: list[Any] = []
        held = 0
        for frame in self._frames(offset):
            if batch and (held >= CHUNK_SAMPLES or _layout(frame) != _layout(batch[0])):
                yield batch
                batch, held = [], 0
            batch.append(frame)
            held += frame.samples * frame.layout.nb_channels
        if batch:
            yield batch

    def _frames(self, offset: float) -> Iterator[Any]:
        import av

        begun = damaged = False
        try:
            for packet in self._packets(offset):
                frames = self._decode(packet)
                if frames is None:
                    damaged = begun
                elif frames:
                    if damaged:
                        self.failure = "packets in its middle are damaged"
                    begun, damaged = True, False
                    yield from frames
        except av.error.FFmpegError as error:
            self.failure = error.strerror or str(error)
        if not begun and self.lost:
            self.failure = self.failure or "every packet is damaged, or of a kind that FFmpeg cannot decode"

    def _decode(self, packet: Any) -> list[Any] | None:
        """The frames in *packet*; None if it is damaged."""
        import av

        try:
            return [frame for frame in packet.decode() if frame.samples]
        except av.error.EOFError:
            return []
        except av.error.FFmpegError:
            self.lost += float((packet.duration or 0) * packet.time_base) or _DAMAGED_PACKET
            return None

    def _packets(self, offset: float) -> Iterator[Any]:
        """The packets that matter from *offset* on: the others are read, but not decoded."""
        first = offset - _PREROLL + self._start
        skip = self._may_skip and offset > _PREROLL
        if skip and self._container.format.name.startswith("mov"):
            # An MP4 has an index of every packet, so that its start need not even be read.
            self._container.seek(int(first / self._track.time_base), stream=self._track)
            self._whole = False
        for packet in self._container.demux(self._track):
            if skip and packet.pts is not None and _end(packet) < first:
                self._whole = False
            else:
                yield packet

    def close(self) -> None:
        """Close the container; the stream beneath stays open."""
        self._container.close()


def _layout(frame: Any) -> tuple[str, int, int]:
    return frame.format.name, frame.layout.nb_channels, frame.sample_rate


def _mono(frames: list[Any]) -> Chunk:
    import numpy as np

    first = frames[0]
    samples = np.concatenate([frame.to_ndarray() for frame in frames], axis=1)  # planes, or one interleaved row
    samples = samples.T if first.format.is_planar else samples.reshape(-1, first.layout.nb_channels)
    return Chunk(mix(as_float(samples)), first.sample_rate)


def _end(packet: Any) -> float:
    return float((packet.pts + (packet.duration or 0)) * packet.time_base)


def _declared(kind: str, container: Any, track: Any, stream: ByteStream) -> float | None:
    """Seconds that the header of a *kind* of container declares for *track*; None where it does not."""
    match kind:
        case "mp3":
            return mp3_duration(stream)
        case "asf":
            return asf_duration(stream)
    if kind not in _DECLARING:
        return None
    if track.duration is not None:
        return float(track.duration * track.time_base) * promised_ratio(stream)
    start = max(0.0, float((track.start_time or 0) * track.time_base))
    tagged = _CLOCK.fullmatch(track.metadata.get("DURATION", ""))
    if tagged:
        return int(tagged[1]) * 3600 + int(tagged[2]) * 60 + float(tagged[3]) - start
    if container.duration is not None and len(container.streams) == 1:
        return float(container.duration / 1_000_000) - start
    return None  # a film's length says little about that of its sound
