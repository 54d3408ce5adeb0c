"""Decoder of all formats that FFmpeg's libraries read, through PyAV: MP3, AAC, MP4, Ogg, WebM, WMA and more."""

from __future__ import annotations

import ctypes
import hashlib
import importlib
import threading
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import islice, pairwise
from typing import TYPE_CHECKING, Any

from asrlab._lazy import av, np
from asrlab.audio.container import (
    COUNTING,
    ROUGH_S,
    STAMPED,
    TOLERANCE_S,
    choose_track,
    create_timeline,
    declared_end,
    declared_film_end,
    early_end,
    track_info,
)
from asrlab.audio.headers import adx_format, describe_content, non_audio_reason
from asrlab.audio.integrity import StreamWithoutTags, without_embedded_tags
from asrlab.audio.samples import BLOCK_SAMPLES, AudioBlock, Decoder, check_format, to_float32
from asrlab.audio.types import MIN_HZ, SAMPLE_RATE, AudioWarning
from asrlab.errors import AudioError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from asrlab.audio.container import TimelineState
    from asrlab.audio.stream import ByteStream

_PREROLL_S = 1.0  # decoded before an offset, so that AAC, Opus and MP3 have the state that they build on
_STATE_PACKETS = 8  # as many as the longest bit reservoir of MP3 spans, at its lowest rate
_DAMAGED_PACKET_S = 0.02  # assumed for a packet that declares no duration
_FILM_TOLERANCE_S = 2.0
_FILM_TOLERANCE = 0.01
# Codecs whose encoders always write a right checksum for each frame. The checksums in MP3s are often wrong.
_CHECKSUMMED = frozenset({"ac3", "ape", "eac3", "flac", "tta", "wavpack"})


def open_with_pyav(stream: ByteStream, *, track: int | None = None) -> Decoder:
    """Return a decoder for audio track number *track* of *stream*, from 1; None chooses as a player would."""
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
            reason = f"FFmpeg reads it as {container.format.name} without audio that it can decode"
            raise _undecodable(stream, reason)
        check_format(stream.label, sample_rate=chosen.rate or MIN_HZ, channels=chosen.channels or 1)  # 0: unknown
        if chosen.codec_context.name in _CHECKSUMMED:
            chosen.codec_context.options = {"err_detect": "crccheck+explode"}  # FFmpeg ignores checksums otherwise
        return _PyavDecoder(container, chosen, stream, was_chosen=track is not None)
    except BaseException:
        container.close()
        raise


def _open_container(stream: ByteStream) -> Any:
    # A playlist or a concat script must not make FFmpeg open the files that it names: no protocol is called "none".
    options = {"protocol_whitelist": "none"}
    stream.seek(0)
    try:
        return av.open(stream, options=options)
    except UnicodeDecodeError:
        # A tag is not UTF-8. PyAV 19 never raises this error, and no longer has the argument.
        older: dict[str, Any] = {"metadata_errors": "replace"}
        stream.seek(0)
        return av.open(stream, options=options, **older)


def _undecodable(stream: ByteStream, reason: str = "libsndfile and FFmpeg find no audio in it") -> AudioError:
    if content := describe_content(stream):
        message = f"cannot decode {stream.label!r}: it looks like {content}"
    else:
        message = f"cannot decode {stream.label!r}: {reason}; check where it came from, or convert it to WAV or FLAC"
    return AudioError(message, source=stream.label, reason="undecodable")


class _PyavDecoder(Decoder):
    """Decoder of one track of an open PyAV container.

    Silence replaces a damaged packet; the reader compares the lengths and reports the damage.
    """

    name = "pyav"

    def __init__(self, container: Any, track: Any, stream: ByteStream, *, was_chosen: bool) -> None:
        kind = container.format.name.partition(",")[0]
        self._container, self._track, self._label = container, track, stream.label
        self._can_seek = kind == "mov"  # an MP4 has an index of all packets, so the start need not be read
        self._can_skip = kind != "asf"  # the WMA decoder labels its frames with the times of later packets
        self._has_stamps = kind in STAMPED
        self._timeline = create_timeline(kind, container, track)
        self._has_frames = False
        self._film_end = declared_film_end(kind, container)
        self.declared = declared_end(kind, container, track, stream)
        self.tolerance = self.tolerance if kind in COUNTING else ROUGH_S
        self.failure = early_end(stream)
        self.track = track_info(track) if len(container.streams.audio) > 1 else None
        self._was_chosen = was_chosen
        is_joined = isinstance(stream, StreamWithoutTags)  # the MD5 in the header is then that of the first FLAC alone
        self._md5 = _FlacMd5(stream) if kind == "flac" and not is_joined else None

    def blocks(self, *, offset: float) -> Iterator[AudioBlock]:
        has_started = False
        for start, samples, rate in self._timed_samples(offset):
            skip = 0 if has_started else max(0, round((offset - start) * rate))
            if skip < len(samples):
                has_started = True
                yield AudioBlock(samples[skip:], rate)

    def _timed_samples(self, offset: float) -> Iterator[tuple[float, NDArray[np.float32], int]]:
        """Yield the second at which samples start, the samples, and their rate."""
        frames: list[Any] = []
        size, start, end = 0, 0.0, 0.0
        for frame, position in self._frames(offset):
            rate = frame.sample_rate
            gap = round((position - end) * rate)
            if frames and (gap > 0 or size >= BLOCK_SAMPLES or _layout(frame) != _layout(frames[0])):
                yield start, _concatenate(frames), frames[0].sample_rate
                frames, size = [], 0
            for done in range(0, gap, BLOCK_SAMPLES):
                yield end + done / rate, np.zeros((min(BLOCK_SAMPLES, gap - done), 1), dtype=np.float32), rate
            if not frames:
                start = position
            frames.append(frame)
            size += frame.samples * frame.layout.nb_channels
            end = position + frame.samples / rate
        if frames:
            yield start, _concatenate(frames), frames[0].sample_rate

    def _frames(self, offset: float) -> Iterator[tuple[Any, float]]:
        """Yield each frame and the second at which it starts."""
        damaged = False  # since the last frame
        try:
            for packet in self._packets(offset):
                frames = self._decode(packet, offset)
                if frames is None:
                    damaged = self._has_frames
                elif frames:
                    if damaged and self.lost:
                        self.failure = self.failure or "packets in the middle are damaged"
                    self._has_frames = True
                    for frame in frames:
                        if self._md5 is not None:
                            self._md5.update(frame)
                        stamp = float(frame.time) if self._has_stamps and frame.time is not None else None
                        length, rate = frame.samples, frame.sample_rate
                        start = self._timeline.advance(stamp, samples=length, rate=rate, after_damage=damaged)
                        yield frame, start
                        damaged = False
        except av.error.FFmpegError as error:
            self.failure = self.failure or error.strerror or str(error)
        if not self._has_frames and self.lost:
            self.failure = self.failure or "every packet is damaged, or of a kind that FFmpeg cannot decode"
        if self._has_frames and not offset and self._md5 is not None and self._md5.is_different():
            self.failure = self.failure or "its samples do not have the MD5 that its header declares"

    def _decode(self, packet: Any, offset: float) -> list[Any] | None:
        """Return the frames in *packet*; None if the packet is damaged."""
        try:
            return [frame for frame in packet.decode() if frame.samples]
        except av.error.EOFError:
            return []
        except av.error.FFmpegError:
            if self._timeline.position >= offset:
                self.lost += float((packet.duration or 0) * packet.time_base) or _DAMAGED_PACKET_S
            return None

    def _packets(self, offset: float) -> Iterator[Any]:
        """Yield the packets that are needed from *offset* on; others are read, but not decoded."""
        if offset <= _PREROLL_S or not self._can_skip:
            yield from self._track_packets()
        elif self._can_seek:
            yield from self._indexed_packets(offset - _PREROLL_S + (self._timeline.origin or 0.0))
        else:
            yield from self._later_packets(offset)

    def _indexed_packets(self, target: float) -> Iterator[Any]:
        """Yield the packets from stamp *target* on.

        If a gap follows at once, too few packets lie in front of it to give the decoder its state: then start earlier.
        """
        self._timeline.jump()
        while True:
            self._container.seek(int(target / self._track.time_base), stream=self._track)
            packets = self._track_packets()
            head = list(islice(packets, _STATE_PACKETS))
            spans = [_span(packet) for packet in head if packet.pts is not None]
            has_gap = any(after[0] - before[1] > TOLERANCE_S for before, after in pairwise(spans))
            if not has_gap or spans[0][0] <= 0 or spans[0][0] > target:
                break
            target = max(0.0, spans[0][0] - _PREROLL_S)
        yield from head
        yield from packets

    def _later_packets(self, offset: float) -> Iterator[Any]:
        """Yield the packets from a second before *offset* on, and the first packets, which tell where second 0 is."""
        timeline = self._timeline
        recent: deque[tuple[Any, float | None, float, TimelineState]] = deque()
        recent_s = 0.0
        packets = self._track_packets()
        for packet in packets:
            if not self._has_frames or not packet.size or (not recent and timeline.position > offset - _PREROLL_S):
                yield packet
                continue
            stamp = _span(packet)[0] if self._has_stamps and packet.pts is not None else None
            duration, is_exact = self._length(packet)
            recent.append((packet, stamp, duration, timeline.snapshot()))
            recent_s += duration
            timeline.skip(stamp, duration, exact=is_exact, rate=self._track.codec_context.sample_rate or SAMPLE_RATE)
            if timeline.position > offset:
                timeline.rewind(recent[0][3], recent[0][1])
                self._track.codec_context.flush_buffers()
                yield from (packet for packet, *_ in recent)
                yield from packets
                return
            while recent_s - recent[0][2] >= _PREROLL_S:
                recent_s -= recent.popleft()[2]

    def _length(self, packet: Any) -> tuple[float, bool]:
        """Return the duration of *packet* in seconds, and whether it is exact instead of rounded by the container."""
        context = self._track.codec_context
        declared = float((packet.duration or 0) * packet.time_base)
        if not self._has_stamps or context.name == "opus":  # whose packets last whole milliseconds
            return declared, True
        samples = context.frame_size
        if context.name.startswith("pcm_") and context.format is not None:
            samples = packet.size // (context.format.bytes * context.layout.nb_channels)
        counted = samples / context.sample_rate if context.sample_rate else 0.0
        is_exact = bool(counted) and abs(counted - declared) <= float(packet.time_base)
        return (counted if is_exact else declared), is_exact

    def _track_packets(self) -> Iterator[Any]:
        """Yield the track's packets, and check that the whole film is present if its header declares a length."""
        if self._film_end is None:
            yield from self._container.demux(self._track)
            return
        end = 0.0
        for packet in self._container.demux():
            if packet.pts is not None:
                end = max(end, _span(packet)[1])
            if packet.stream_index == self._track.index:
                yield packet
        if end < self._film_end - max(_FILM_TOLERANCE_S, _FILM_TOLERANCE * self._film_end):
            self.failure = self.failure or f"it declares {self._film_end:.2f} s, but ends at {end:.2f} s"

    def warnings(self, *, start: float, end: float) -> list[AudioWarning]:
        warnings = self._timeline.warnings(source=self._label, start=start, end=end)
        if self.track is None or self._was_chosen:
            return warnings
        message = f"{self._label!r} has {self.track.count} audio tracks: {self.track} is used; choose another"
        return [AudioWarning(code="tracks", message=f"{message} with track=N (--track N)"), *warnings]

    def close(self) -> None:
        self._container.close()


def _span(packet: Any) -> tuple[float, float]:
    """Return the stamps at which *packet* begins and ends."""
    return float(packet.pts * packet.time_base), float((packet.pts + (packet.duration or 0)) * packet.time_base)


def _layout(frame: Any) -> tuple[str, int, int]:
    return frame.format.name, frame.layout.nb_channels, frame.sample_rate


def _concatenate(frames: list[Any]) -> NDArray[np.float32]:
    """Return the samples of *frames*, shape (n, channels)."""
    samples = np.concatenate([frame.to_ndarray() for frame in frames], axis=1)  # planes, or one interleaved row
    return to_float32(samples.T if frames[0].format.is_planar else samples.reshape(-1, frames[0].layout.nb_channels))


class _FlacMd5:
    """Comparison of the MD5 of decoded frames with the MD5 in a FLAC's header.

    Source: RFC 9639, section 8.2: signed samples, interleaved, little-endian, in the fewest bytes that hold one.
    """

    def __init__(self, stream: ByteStream) -> None:
        stream_info = stream.read_at(0, 42)[8:]
        self._bits = (int.from_bytes(stream_info[10:18]) >> 36 & 0x1F) + 1 if len(stream_info) == 34 else 0
        self._declared = stream_info[18:]
        self._digest = hashlib.md5(usedforsecurity=False)
        self._is_known = stream.read_at(0, 4) == b"fLaC" and self._bits > 0 and self._declared != bytes(16)

    def update(self, frame: Any) -> None:
        """Add the samples of *frame*, 16 or 32 bits wide with the value in the highest bits."""
        if not self._is_known:
            return
        samples: Any = frame.to_ndarray().T if frame.format.is_planar else frame.to_ndarray()
        width = samples.dtype.itemsize
        if samples.dtype.kind != "i" or 8 * width < self._bits:
            self._is_known = False
            return
        values = np.ascontiguousarray(samples).reshape(-1) >> (8 * width - self._bits)
        as_bytes = values.astype(f"<i{width}").view(np.uint8).reshape(-1, width)
        self._digest.update(as_bytes[:, : -(-self._bits // 8)].tobytes())

    def is_different(self) -> bool:
        """Return whether the header declares an MD5 other than that of all frames so far."""
        return self._is_known and self._digest.digest() != self._declared


MAX_ALLOCATION_BYTES = 128 * 2**20
"""A tag of 0x7FFFFFE0 bytes in a file of 48 KB would take 2 GiB. Covers in tags are a hundredth of this."""
_DEFAULT_BYTES = 2**31 - 1  # INT_MAX; FFmpeg has no function that returns the limit
_lock = threading.Lock()
_users = 0


@contextmanager
def limited_allocations() -> Iterator[None]:
    """Limit each allocation of FFmpeg's libraries to `MAX_ALLOCATION_BYTES`.

    ``av_max_alloc`` applies to the whole process, so the limit is undone when the last thread has left. No limit is set
    if the function cannot be reached (Windows).
    """
    global _users  # noqa: PLW0603 - counts the users of a limit that is global in FFmpeg
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
    """Call ``av_max_alloc`` of the libavutil that PyAV is linked to, through a handle of PyAV's core."""
    core = importlib.import_module("av._core")
    try:
        set_limit = ctypes.CDLL(core.__file__).av_max_alloc
    except (AttributeError, OSError):
        return
    set_limit.argtypes, set_limit.restype = [ctypes.c_size_t], None
    set_limit(size)
