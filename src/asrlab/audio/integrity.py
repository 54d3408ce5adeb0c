"""Checks of whole files: damaged pages and packets, second recordings, and tags between the frames of joined files.

A decoder takes the tags of the second and later of several joined MP3s for damage. A cover image in such a tag is full
of bytes that look like frames, and would be decoded to noise. FFmpeg drops the frame in front of a FLAC's tag.
"""

from __future__ import annotations

import re
import struct
import zlib
from bisect import bisect_right
from collections.abc import Callable, Iterator
from typing import NamedTuple

from asrlab._lazy import np
from asrlab.audio.headers import MAX_OGG_PAGE, OGG_HEADER, SEARCH_BYTES, asf_file_properties, is_mpeg, ogg_page_size
from asrlab.audio.stream import ByteStream
from asrlab.audio.types import AudioWarning

_BLOCK_BYTES = 2**20
_ID3V1_BYTES = 128
_TAG_BYTES = _ID3V1_BYTES + 8  # the most bytes that the pattern matches
_TAG = re.compile(
    rb"ID3[\x02-\x04][\x00-\x0f][\x00-\xf0][\x00-\x7f]{4}"  # id3.org/id3v2.4.0-structure, section 3.1
    rb"|APETAGEX[\xd0\xe8]\x03\x00\x00|APETAGEX\xd0\x07\x00\x00"
    rb"|TAG(?=.{125}(?:\xff[\xe2-\xff]|ID3|APETAGEX|TAG))",
    re.DOTALL,
)
_FLAC = re.compile(rb"fLaC\x00\x00\x00\x22")  # with the header of STREAMINFO, which is always the first block
_BITRATES_KBPS = {  # of layer III, by MPEG-1 or not
    True: (0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320),
    False: (0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
}
_OGG_CAPTURE = b"OggS\x00"
_FIRST_PAGE, _LAST_PAGE = 2, 4
_OGG_AUDIO = (b"\x01vorbis", b"OpusHead", b"\x7fFLAC", b"Speex   ")
# Ogg's CRC-32 has zlib's polynomial, but takes the highest bit of each byte first.
_REVERSED = bytes(int(f"{byte:08b}"[::-1], 2) for byte in range(256))
_NO_END = "its last Ogg page does not mark the end, so more is missing, as in a recording of a live stream"
_ASF_HEADER = bytes.fromhex("3026b2758e66cf11a6d900aa0062ce6c")
_MAX_BOXES = 1000
_SDS_HEADER, _SDS_PACKET, _SDS_BLOCK_PACKETS = 21, 127, 10_000


class _MpegFrame(NamedTuple):
    """Sample rate, samples per channel, and the bytes of the side information and of the whole frame."""

    sample_rate: int
    samples: int
    side_bytes: int
    size: int


def _parse_frame(header: bytes) -> _MpegFrame | None:
    """Return the layer III frame that begins with the 4 bytes of *header*; None if *header* begins no such frame."""
    if len(header) < 4 or header[0] != 0xFF or header[1] & 0xE6 != 0xE2:
        return None
    version, rate_index, bitrate_index = header[1] >> 3 & 3, header[2] >> 2 & 3, header[2] >> 4
    if version == 1 or rate_index == 3 or bitrate_index in (0, 15):
        return None
    is_mpeg1, is_mono = version == 3, header[3] >> 6 == 3
    rate = (44_100, 48_000, 32_000)[rate_index] >> {3: 0, 2: 1, 0: 2}[version]
    samples = 1152 if is_mpeg1 else 576
    side_bytes = (17 if is_mono else 32) if is_mpeg1 else (9 if is_mono else 17)
    size = samples // 8 * 1000 * _BITRATES_KBPS[is_mpeg1][bitrate_index] // rate + (header[2] >> 1 & 1)
    return _MpegFrame(rate, samples, side_bytes, size)


def _id3v2_size(head: bytes) -> int:
    """Return the size in bytes of the ID3v2 tag that begins with the 10 bytes of *head*, without its footer."""
    return 10 + sum((byte & 0x7F) << shift for byte, shift in zip(head[6:10], (21, 14, 7, 0), strict=True))


def mp3_duration(stream: ByteStream) -> float | None:
    """Return the seconds that the headers of all joined MP3s in *stream* declare; None unless each declares them."""
    joints = stream.joints if isinstance(stream, StreamWithoutTags) else ()
    parts = [stream, *(StreamWithoutTags(stream, [(0, start)]) for start in joints)]
    declared = [_first_mp3_duration(part) for part in parts]
    return None if None in declared else sum(filter(None, declared))


def _first_mp3_duration(stream: ByteStream) -> float | None:
    """Return the seconds that the Xing, Info or VBRI header of an MP3 declares, without encoder delay and padding.

    Source: gabriel.mp3-tech.org/mp3infotag.html and the MPEG audio frame header.
    """
    head = stream.read_at(0, 10)
    start = _id3v2_size(head) if head[:3] == b"ID3" and len(head) == 10 else 0
    data = stream.read_at(start, SEARCH_BYTES)
    for match in re.finditer(rb"\xff[\xe2\xe3\xf2\xf3\xfa\xfb]", data):
        raw = data[match.start() : match.start() + 256]
        frame = _parse_frame(raw)
        if frame is None or len(raw) <= 64:
            continue
        tag = raw[4 + frame.side_bytes :]
        if tag[:4] in (b"Xing", b"Info"):
            return _xing_samples(tag, frame.samples) / frame.sample_rate if tag[7] & 1 else None
        return int.from_bytes(raw[50:54]) * frame.samples / frame.sample_rate if raw[36:40] == b"VBRI" else None
    return None


def _xing_samples(tag: bytes, samples_per_frame: int) -> int:
    flags, frames = struct.unpack_from(">II", tag, 4)
    # Each flag adds a field: bytes, table of contents and quality. LAME's fields follow.
    lame = 12 + 4 * (flags >> 1 & 1) + 100 * (flags >> 2 & 1) + 4 * (flags >> 3 & 1)
    trim = tag[lame + 21 : lame + 24]
    is_known = len(trim) == 3 and tag[lame : lame + 4] in (b"LAME", b"Lavc", b"Lavf", b"L3.9")
    value = int.from_bytes(trim) if is_known else 0
    return max(0, int(frames) * samples_per_frame - (value >> 12) - (value & 0xFFF))


class StreamWithoutTags(ByteStream):
    """View of a stream without some ranges of its bytes.

    Attributes:
        joints: Positions in the view at which bytes of the stream are left out.
    """

    def __init__(self, stream: ByteStream, omitted: list[tuple[int, int]]) -> None:
        self._stream = stream
        self._starts: list[int] = []  # of the parts that remain, in the view
        self._origins: list[int] = []  # of the same parts, in the stream
        position = begin = 0
        for start, end in [*omitted, (stream.size, stream.size)]:
            if start > begin:
                self._starts.append(position)
                self._origins.append(begin)
                position += start - begin
            begin = end
        self.label, self.size = stream.label, position
        self.joints = tuple(self._starts[1:])

    def read_at(self, position: int, size: int) -> bytes:
        """Return up to *size* bytes from *position* without moving the stream."""
        parts: list[bytes] = []
        end = min(position + size, self.size)
        index = bisect_right(self._starts, position) - 1
        while position < end:
            part_end = min(end, self._starts[index + 1] if index + 1 < len(self._starts) else self.size)
            offset = position - self._starts[index]
            parts.append(self._stream.read_at(self._origins[index] + offset, part_end - position))
            position, index = part_end, index + 1
        return b"".join(parts)

    def raise_error(self) -> None:
        """Raise the stored exception of the underlying file, if there is one."""
        self._stream.raise_error()

    def close(self) -> None:
        """Close the underlying stream."""
        self._stream.close()


def without_embedded_tags(stream: ByteStream) -> ByteStream:
    """Return *stream* without the tags between its frames; *stream* itself if there are none.

    The tag in front of the first frame stays, because decoders handle that tag. Only MP3s and FLACs are searched.
    """
    if is_mpeg(stream):
        matches = _matches(stream, _TAG, _tags_end, start=_tag_end(stream, 0) or 1)
        tags = [(start, end) for start, end in matches if _has_frames(stream, end)]
    elif _FLAC.match(stream.read_at(0, 8)):
        matches = _matches(stream, _FLAC, _flac_header_end, start=1)
        tags = [(start, end) for start, end in matches if stream.read_at(end, 2) in (b"\xff\xf8", b"\xff\xf9")]
    else:
        return stream
    return StreamWithoutTags(stream, tags) if tags else stream


def _matches(
    stream: ByteStream, pattern: re.Pattern[bytes], find_end: Callable[[ByteStream, int], int], *, start: int
) -> Iterator[tuple[int, int]]:
    """Yield the ranges from a match of *pattern*, from byte *start* on, to its end; no two overlap."""
    position = start
    while position < stream.size:
        block = stream.read_at(position, _BLOCK_BYTES)
        done = max(1, len(block) - _TAG_BYTES) if len(block) == _BLOCK_BYTES else len(block) or stream.size
        end = position
        for match in pattern.finditer(block):
            begin = position + match.start()
            if match.start() >= done or begin < end:
                continue
            end = find_end(stream, begin)
            yield begin, end
            if end - position > len(block):
                break
        position = max(position + done, end)


def _flac_header_end(stream: ByteStream, start: int) -> int:
    """Return the end of the metadata of the FLAC that begins at *start*. Source: RFC 9639, section 8."""
    end, is_last = start + 4, 0
    while end < stream.size and not is_last:
        header = stream.read_at(end, 4)
        end, is_last = end + 4 + int.from_bytes(header[1:]), header[0] & 0x80
    return end


def _tags_end(stream: ByteStream, start: int) -> int:
    """Return the end of the consecutive tags that begin at *start*."""
    end: int | None = start
    while end is not None:
        start, end = end, _tag_end(stream, end)
    return start


def _tag_end(stream: ByteStream, start: int) -> int | None:
    """Return the end of the tag that begins at *start*; None if no tag begins there."""
    head = stream.read_at(start, _TAG_BYTES)
    if not _TAG.match(head):
        return None
    if head.startswith(b"TAG"):
        return start + _ID3V1_BYTES
    if head.startswith(b"ID3"):
        return start + _id3v2_size(head) + (10 if head[5] & 0x10 else 0)
    size, flags = int.from_bytes(head[12:16], "little"), int.from_bytes(head[20:24], "little")
    is_header = bool(flags & 1 << 29)  # the size counts the items and the footer, but no header
    return start + 32 + (size if is_header else 0)


def _has_frames(stream: ByteStream, start: int) -> bool:
    """Return whether two frames of MPEG audio, layer III, begin at *start*."""
    first = _parse_frame(stream.read_at(start, 4))
    return first is not None and _parse_frame(stream.read_at(start + first.size, 4)) is not None


def ogg_fault(stream: ByteStream) -> str:
    """Return a description of the first damaged or missing page of the Ogg file *stream*; empty if there is none.

    The whole file is read once. Streams of anything but audio only need whole pages.
    """
    if stream.read_at(0, 4) != _OGG_CAPTURE[:4]:
        return ""
    next_sequence: dict[int, int | None] = {}  # by stream; None for anything but audio
    for number, (gap, page) in enumerate(_ogg_pages(stream)):
        if page is None:
            return "its last Ogg page is incomplete"
        flags, serial, sequence, checksum = struct.unpack_from("<5xB8x3I", page)
        # zlib's CRC-32 of bytes with their bits reversed, without inversion, reversed again
        reflected = zlib.crc32((page[:22] + bytes(4) + page[26:]).translate(_REVERSED), 0xFFFFFFFF) ^ 0xFFFFFFFF
        if int(f"{reflected:032b}"[::-1], 2) != checksum:
            return f"Ogg page {number} is damaged"
        if gap and next_sequence:
            return f"{gap} bytes before Ogg page {number} are damaged"
        if flags & _FIRST_PAGE:
            content = page[OGG_HEADER + page[26] :]
            next_sequence[serial] = sequence if content.startswith(_OGG_AUDIO) else None
        if serial not in next_sequence:
            return f"the Ogg page before number {number} is missing"
        expected = next_sequence[serial]
        if expected is not None:
            if sequence != expected:
                return f"an Ogg page is missing: number {sequence} follows number {expected - 1}"
            next_sequence[serial] = expected + 1
        if flags & _LAST_PAGE:
            del next_sequence[serial]
    return _NO_END if any(expected is not None for expected in next_sequence.values()) else ""


def _ogg_pages(stream: ByteStream) -> Iterator[tuple[int, bytes | None]]:
    """Yield each page, after the number of bytes before the page that belong to no page; None if it is cut off."""
    position = gap = 0
    data, data_start = b"", 0
    while position < stream.size:
        if position + MAX_OGG_PAGE > data_start + len(data) < stream.size:
            data_start, data = position, stream.read_at(position, _BLOCK_BYTES)
        start = position - data_start
        if data[start : start + 5] != _OGG_CAPTURE:
            capture = data.find(_OGG_CAPTURE, start)
            step = (capture if capture >= 0 else max(start + 1, len(data) - len(_OGG_CAPTURE) + 1)) - start
            position, gap = position + step, gap + step
            continue
        size = ogg_page_size(data, start)
        if size is None or start + size > len(data):
            yield gap, None
            return
        yield gap, data[start : start + size]
        position, gap = position + size, 0


def second_recording_warning(stream: ByteStream) -> AudioWarning | None:
    """Return a warning if *stream* contains a second recording, which is not read; None otherwise."""
    position = _second_recording(stream)
    if position is None:
        return None
    message = (
        f"{stream.label!r} holds a second recording from byte {position} on, which is not read: split the file there, "
        "or join its parts with a program that supports their format"
    )
    return AudioWarning(code="joined", message=message)


def _second_recording(stream: ByteStream) -> int | None:
    head = stream.read_at(0, 12)
    kind: bytes
    match head[:4], head[4:8], head[8:12]:
        case b"RIFF", size, b"WAVE" as kind:
            end = 8 + int.from_bytes(size, "little")
        case b"FORM", size, b"AIFF" | b"AIFC" as kind:
            end = 8 + int.from_bytes(size)
        case b".snd", offset, size if size != b"\xff\xff\xff\xff":
            end, kind = int.from_bytes(offset) + int.from_bytes(size), b""
        case b"\x30\x26\xb2\x75", _, _:
            end = int.from_bytes(asf_file_properties(stream)[40:48], "little")
            return end if end and stream.read_at(end, 16) == _ASF_HEADER else None
        case _, b"ftyp", _:
            return _second_mp4(stream)
        case _:
            return None
    for start in (end, end + 1):  # chunks are padded to an even length
        other = stream.read_at(start, 12)
        if other[:4] == head[:4] and other[8:12].startswith(kind):
            return start
    return None


def _second_mp4(stream: ByteStream) -> int | None:
    """Return the start of a second MP4; a fragmented MP4 may repeat its header, and is read to its end.

    Source: ISO/IEC 14496-12, section 4.2.
    """
    position = 0
    for _ in range(_MAX_BOXES):
        box = stream.read_at(position, 16)
        if len(box) < 8 or box[4:8] == b"moof":
            return None
        if position and box[4:8] == b"ftyp":
            return position
        size = int.from_bytes(box[:4])
        if size == 1 and len(box) == 16:
            size = int.from_bytes(box[8:])
        if size < 8:
            return None
        position += size
    return None


def sample_dump_fault(stream: ByteStream) -> str:
    """Return a description of the damage to the MIDI Sample Dump *stream*; empty if intact, or another type of file."""
    header = stream.read_at(0, _SDS_HEADER)
    if header[:2] != b"\xf0\x7e" or header[3:4] != b"\x01":
        return ""
    if len(header) < _SDS_HEADER or header[-1] != 0xF7:
        return "the header of the MIDI Sample Dump is damaged"
    if (stream.size - _SDS_HEADER) % _SDS_PACKET:
        return "the last packet of the MIDI Sample Dump is cut off"
    step = _SDS_PACKET * _SDS_BLOCK_PACKETS
    for start in range(_SDS_HEADER, stream.size, step):
        packets = np.frombuffer(stream.read_at(start, step), dtype=np.uint8).reshape(-1, _SDS_PACKET)
        checksums = np.bitwise_xor.reduce(packets[:, 1:125], axis=1) & 0x7F
        is_right = (packets[:, [0, 1, 3, 126]] == (0xF0, 0x7E, 2, 0xF7)).all(axis=1) & (packets[:, 125] == checksums)
        if not is_right.all():
            number = (start - _SDS_HEADER) // _SDS_PACKET + int(is_right.argmin())
            return f"packet {number} of the MIDI Sample Dump is damaged"
    return ""
