"""Decoding with FFmpeg's libraries through PyAV: MP3, AAC, MP4, Ogg, WebM, WMA and all else that FFmpeg knows."""

from __future__ import annotations

import ctypes
import importlib
import threading
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import islice, pairwise
from typing import TYPE_CHECKING, Any

from asrlab.audio.checks import check_format, timeline_findings, track_findings
from asrlab.audio.container import (
    choose_track,
    declared_film_seconds,
    declared_seconds,
    early_end,
    has_stamps,
    length_tolerance,
    timeline_of,
    track_facts,
)
from asrlab.audio.embedded_tags import StreamWithoutTags, without_embedded_tags
from asrlab.audio.headers import adx_format
from asrlab.audio.integrity import SampleMd5
from asrlab.audio.samples import CHUNK_SAMPLES, Chunk, as_float
from asrlab.audio.sniff import describe_content, non_audio_reason
from asrlab.audio.timeline import TOLERANCE_S
from asrlab.audio.types import MIN_HZ, SAMPLE_RATE
from asrlab.errors import AudioError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from asrlab.audio.stream import ByteStream
    from asrlab.audio.timeline import Mark
    from asrlab.audio.types import AudioWarning

_PREROLL = 1.0  # seconds decoded before an offset, so that AAC, Opus and MP3 have the state they build on
_STATE_PACKETS = 8  # as many as the longest bit reservoir of MP3 spans, at its lowest rate
_DAMAGED_PACKET = 0.02  # seconds to assume for one that does not say how long it is
_FILM_TOLERANCE_S = 2.0
_FILM_TOLERANCE = 0.01
# Codecs whose encoders always write a right checksum for each frame. That of MP3 is often wrong.
_CHECKSUMMED = frozenset({"ac3", "ape", "eac3", "flac", "tta", "wavpack"})


def open_with_pyav(stream: ByteStream, *, track: int | None = None) -> PyavDecoder:
    """Return a decoder for an audio track of *stream*: number *track* from 1, or the one that a player would choose.

    Raises:
        AudioError: FFmpeg does not know the content, there is no audio in it, or there is no such track.
    """
    import av

    if non_audio_reason(stream):
        raise _undecodable(stream)
    if adx := adx_format(stream):  # libavformat 63.1 divides by a bit rate that overflows to 0: SIGFPE
        check_format(stream.label, sample_rate=adx[0])
    stream = without_embedded_tags(stream)
    try:
        with limited_allocations():
            container = _open_container(stream)
    except av.error.FFmpegError as error:
        raise _undecodable(stream) from error
    try:
        chosen = choose_track(container, track, source=stream.label)
        if chosen is None:
            why = f"FFmpeg reads it as {container.format.name} without audio that it can decode"
            raise _undecodable(stream, why)
        check_format(stream.label, sample_rate=chosen.rate or MIN_HZ, channels=chosen.channels or 1)  # 0 is unknown
        if chosen.codec_context.name in _CHECKSUMMED:
            chosen.codec_context.options = {"err_detect": "crccheck+explode"}  # FFmpeg ignores them otherwise
        decoder = PyavDecoder(container, chosen, stream)
    except BaseException:
        container.close()
        raise
    decoder.was_chosen = track is not None
    return decoder


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
    likeness = describe_content(stream)
    if likeness:
        message = f"cannot decode {stream.label!r}: it looks like {likeness}"
    else:
        message = f"cannot decode {stream.label!r}: {why}; check where it came from, or convert it to WAV or FLAC"
    return AudioError(message, source=stream.label, reason="undecodable")


class PyavDecoder:
    """A `Decoder` over an open PyAV container.

    Where a packet is damaged, silence takes its place; the reader compares the lengths and reports it.

    Attributes:
        was_chosen: Whether the caller chose the track.
    """

    name = "pyav"

    def __init__(self, container: Any, track: Any, stream: ByteStream) -> None:
        kind = container.format.name.partition(",")[0]
        self._container, self._track, self._label = container, track, stream.label
        self._seeks = kind == "mov"  # an MP4 has an index of every packet, so that its start need not even be read
        self._may_skip = kind != "asf"  # the WMA decoder labels its frames with the times of later packets
        self._has_stamps = has_stamps(kind)
        self._timeline = timeline_of(kind, container, track)
        self._has_begun = False
        self._film = declared_film_seconds(kind, container)
        self.declared = declared_seconds(kind, container, track, stream)
        self.tolerance = length_tolerance(kind)
        self.available: float | None = None
        self.failure = early_end(stream)
        self.lost = 0.0
        self.track = track_facts(container, track)
        self.was_chosen = False
        is_joined = isinstance(stream, StreamWithoutTags)  # a FLAC's MD5 is then of the first one alone
        self._md5 = SampleMd5(stream) if kind == "flac" and not is_joined else None

    def chunks(self, *, offset: float) -> Iterator[Chunk]:
        """Yield chunks of all channels from second *offset* on, with silence where the file has no audio."""
        begun = False
        for start, samples, rate in self._placed(offset):
            early = 0 if begun else max(0, round((offset - start) * rate))
            if early < len(samples):
                begun = True
                yield Chunk(samples[early:], rate)

    def _placed(self, offset: float) -> Iterator[tuple[float, NDArray[np.float32], int]]:
        """Yield each second at which samples start, the samples, and their rate."""
        batch: list[Any] = []
        held, start, end = 0, 0.0, 0.0
        for frame, position in self._frames(offset):
            length = frame.samples / frame.sample_rate
            gap = round((position - end) * frame.sample_rate)
            if batch and (gap > 0 or held >= CHUNK_SAMPLES or _layout(frame) != _layout(batch[0])):
                yield start, _joined(batch), batch[0].sample_rate
                batch, held = [], 0
            if gap > 0:
                yield from _silence(end, gap, frame.sample_rate, offset=offset)
            if not batch:
                start = position
            batch.append(frame)
            held += frame.samples * frame.layout.nb_channels
            end = position + length
        if batch:
            yield start, _joined(batch), batch[0].sample_rate

    def _frames(self, offset: float) -> Iterator[tuple[Any, float]]:
        """Yield the frames and the seconds at which they start."""
        import av

        damaged = False
        try:
            for packet in self._packets(offset):
                frames = self._decode(packet, offset)
                if frames is None:
                    damaged = self._has_begun
                elif frames:
                    if damaged and self.lost:
                        self.failure = self.failure or "packets in its middle are damaged"
                    self._has_begun = True
                    for frame in frames:
                        if self._md5 is not None:
                            self._md5.update(frame)
                        yield frame, self._place(frame, damaged=damaged)
                        damaged = False
        except av.error.FFmpegError as error:
            self.failure = self.failure or error.strerror or str(error)
        if not self._has_begun and self.lost:
            self.failure = self.failure or "every packet is damaged, or of a kind that FFmpeg cannot decode"
        if self._has_begun and not offset and self._md5 is not None and self._md5.differs:
            self.failure = self.failure or "its samples do not have the MD5 that its header declares"

    def _place(self, frame: Any, *, damaged: bool) -> float:
        stamp = float(frame.time) if self._has_stamps and frame.time is not None else None
        return self._timeline.place(stamp, samples=frame.samples, rate=frame.sample_rate, damaged=damaged)

    def _decode(self, packet: Any, offset: float) -> list[Any] | None:
        """Return the frames in *packet*; None if it is damaged."""
        import av

        try:
            return [frame for frame in packet.decode() if frame.samples]
        except av.error.EOFError:
            return []
        except av.error.FFmpegError:
            if self._timeline.position >= offset:
                self.lost += float((packet.duration or 0) * packet.time_base) or _DAMAGED_PACKET
            return None

    def _packets(self, offset: float) -> Iterator[Any]:
        """Yield the packets that matter from *offset* on; others are read, but not decoded.

        The first ones always matter, unless they are jumped over: their frame tells which stamp is second 0.
        """
        if offset <= _PREROLL or not self._may_skip:
            yield from self._track_packets()
        elif self._seeks:
            yield from self._indexed_packets(offset - _PREROLL + (self._timeline.zero or 0.0))
        else:
            yield from self._later_packets(offset)

    def _indexed_packets(self, target: float) -> Iterator[Any]:
        """Yield the packets from that on which is to be heard at stamp *target*.

        Where a gap follows at once, too few packets lie in front of it for what a decoder builds on: then from earlier.
        """
        self._timeline.seek()
        while True:
            self._container.seek(int(target / self._track.time_base), stream=self._track)
            packets = self._track_packets()
            head = list(islice(packets, _STATE_PACKETS))
            spans = [_span(packet) for packet in head if packet.pts is not None]
            has_gap = any(after[0] - before[1] > TOLERANCE_S for before, after in pairwise(spans))
            if not has_gap or spans[0][0] <= 0 or spans[0][0] > target:
                break
            target = max(0.0, spans[0][0] - _PREROLL)
        yield from head
        yield from packets

    def _later_packets(self, offset: float) -> Iterator[Any]:
        """Yield the packets from a second before *offset* on, and those in front that tell where second 0 is."""
        timeline = self._timeline
        recent: deque[tuple[Any, float | None, float, Mark]] = deque()
        recent_s = 0.0
        packets = self._track_packets()
        for packet in packets:
            if not self._has_begun or not packet.size or (not recent and timeline.position > offset - _PREROLL):
                yield packet
                continue
            stamp = float(packet.pts * packet.time_base) if self._has_stamps and packet.pts is not None else None
            duration, is_exact = self._length(packet)
            recent.append((packet, stamp, duration, timeline.mark()))
            recent_s += duration
            timeline.skip(stamp, duration, exact=is_exact, rate=self._track.codec_context.sample_rate or SAMPLE_RATE)
            if timeline.position > offset:
                timeline.go_back(recent[0][3], recent[0][1])
                self._track.codec_context.flush_buffers()
                yield from (packet for packet, *_ in recent)
                yield from packets
                return
            while recent_s - recent[0][2] >= _PREROLL:
                recent_s -= recent.popleft()[2]

    def _length(self, packet: Any) -> tuple[float, bool]:
        """Return the seconds that *packet* lasts, and whether that is exact rather than rounded by the container."""
        context = self._track.codec_context
        stated = float((packet.duration or 0) * packet.time_base)
        if not self._has_stamps or context.name == "opus":  # which lasts whole milliseconds
            return stated, True
        samples = context.frame_size
        if context.name.startswith("pcm_") and context.format is not None:
            samples = packet.size // (context.format.bytes * context.layout.nb_channels)
        counted = samples / context.sample_rate if context.sample_rate else 0.0
        is_exact = bool(counted) and abs(counted - stated) <= float(packet.time_base)
        return (counted if is_exact else stated), is_exact

    def _track_packets(self) -> Iterator[Any]:
        """Yield the track's packets, and see whether the whole film is there where its header declares a length."""
        if self._film is None:
            yield from self._container.demux(self._track)
            return
        seen = 0.0
        for packet in self._container.demux():
            if packet.pts is not None:
                seen = max(seen, float((packet.pts + (packet.duration or 0)) * packet.time_base))
            if packet.stream_index == self._track.index:
                yield packet
        if seen < self._film - max(_FILM_TOLERANCE_S, _FILM_TOLERANCE * self._film):
            self.failure = self.failure or f"it declares {self._film:.2f} s, but ends at {seen:.2f} s"

    def findings(self, *, start: float, end: float) -> list[AudioWarning]:
        """Return what a user should know of the seconds from *start* to *end*, once they have been decoded."""
        tracks = [] if self.was_chosen else track_findings(self.track, source=self._label)
        return [*tracks, *timeline_findings(self._timeline, source=self._label, start=start, end=end)]

    def close(self) -> None:
        """Close the container; the stream beneath stays open."""
        self._container.close()


def _span(packet: Any) -> tuple[float, float]:
    """Return the stamps at which *packet* begins and ends."""
    return float(packet.pts * packet.time_base), float((packet.pts + (packet.duration or 0)) * packet.time_base)


def _layout(frame: Any) -> tuple[str, int, int]:
    return frame.format.name, frame.layout.nb_channels, frame.sample_rate


def _joined(frames: list[Any]) -> NDArray[np.float32]:
    """Return the samples of *frames*, shape (n, channels)."""
    import numpy as np

    first = frames[0]
    samples = np.concatenate([frame.to_ndarray() for frame in frames], axis=1)  # planes, or one interleaved row
    samples = samples.T if first.format.is_planar else samples.reshape(-1, first.layout.nb_channels)
    return as_float(samples)


def _silence(
    start: float, length: int, rate: int, *, offset: float
) -> Iterator[tuple[float, NDArray[np.float32], int]]:
    """Yield *length* samples of silence from second *start* on, in pieces, without those before *offset*."""
    import numpy as np

    done = min(length, max(0, round((offset - start) * rate)))
    while done < length:
        size = min(CHUNK_SAMPLES, length - done)
        yield start + done / rate, np.zeros((size, 1), dtype=np.float32), rate
        done += size


MAX_ALLOCATION_BYTES = 128 * 2**20
"""A tag of 0x7FFFFFE0 bytes in a file of 48 KB takes 2 GiB otherwise. Covers in tags are a hundredth of this."""
_DEFAULT_BYTES = 2**31 - 1  # INT_MAX; FFmpeg has no function that returns the limit
_lock = threading.Lock()
_users = 0


@contextmanager
def limited_allocations() -> Iterator[None]:
    """Bound each allocation of FFmpeg's libraries to `MAX_ALLOCATION_BYTES`.

    ``av_max_alloc`` holds for the whole process, so the limit is undone when the last thread has left; nothing happens
    where the function cannot be reached (Windows).
    """
    global _users  # noqa: PLW0603 - counts the users of a limit that FFmpeg has once a process
    with _lock:
        _users += 1
        if _users == 1:
            _set_limit(MAX_ALLOCATION_BYTES)
    try:
        yield
    finally:
        with _lock:
            _users -= 1
            if not _users:
                _set_limit(_DEFAULT_BYTES)


def _set_limit(size: int) -> None:
    """Call ``av_max_alloc`` of the libavutil that PyAV is linked to; a handle of PyAV's core finds it."""
    core = importlib.import_module("av._core")
    try:
        set_limit = ctypes.CDLL(core.__file__).av_max_alloc
    except (AttributeError, OSError):
        return
    set_limit.argtypes, set_limit.restype = [ctypes.c_size_t], None
    set_limit(size)
