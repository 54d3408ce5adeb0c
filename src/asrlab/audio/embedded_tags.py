"""MP3s and FLACs that were joined: the tags of all but the first lie between frames, where they are taken for damage.

A cover in such a tag is full of bytes that look like frames, and would be decoded to noise; FFmpeg leaves out the frame
in front of a FLAC's.
"""

from __future__ import annotations

import os
import re
from bisect import bisect_right
from collections.abc import Callable, Iterator

from asrlab.audio.headers import mp3_duration
from asrlab.audio.sniff import is_mpeg
from asrlab.audio.stream import ByteStream

_BLOCK_BYTES = 2**20
_ID3V1_BYTES = 128
_TAG_BYTES = _ID3V1_BYTES + 8  # that the pattern may look at
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


def without_embedded_tags(stream: ByteStream) -> ByteStream:
    """Return *stream* without the tags between its frames; itself where there are none, or it is no MP3 or FLAC.

    The tag in front of the first frame stays: decoders know that one.
    """
    if is_mpeg(stream):
        tags = list(_embedded_tags(stream))
    elif _FLAC.match(stream.read_at(0, 8)):
        tags = list(_embedded_flac_headers(stream))
    else:
        return stream
    return StreamWithoutTags(stream, tags) if tags else stream


def _embedded_tags(stream: ByteStream) -> Iterator[tuple[int, int]]:
    """Yield where each run of tags that frames follow starts and ends."""
    for start, end in _matches(stream, _TAG, _tags_end, begin=_tag_end(stream, 0) or 1):
        if _has_frames(stream, end):
            yield start, end


def _embedded_flac_headers(stream: ByteStream) -> Iterator[tuple[int, int]]:
    """Yield where the metadata of each FLAC but the first starts and ends."""
    for start, end in _matches(stream, _FLAC, _flac_header_end, begin=1):
        if stream.read_at(end, 2) in (b"\xff\xf8", b"\xff\xf9"):
            yield start, end


def _matches(
    stream: ByteStream, pattern: re.Pattern[bytes], end_of: Callable[[ByteStream, int], int], *, begin: int
) -> Iterator[tuple[int, int]]:
    """Yield where *pattern* is found from byte *begin* on, and where what it begins ends: no two overlap."""
    position = begin
    while position < stream.size:
        block = stream.read_at(position, _BLOCK_BYTES)
        done = max(1, len(block) - _TAG_BYTES) if len(block) == _BLOCK_BYTES else len(block) or stream.size
        end = position
        for match in pattern.finditer(block):
            start = position + match.start()
            if match.start() >= done or start < end:
                continue
            end = end_of(stream, start)
            yield start, end
            if end - position > len(block):
                break
        position = max(position + done, end)


def _flac_header_end(stream: ByteStream, start: int) -> int:
    """Return where the metadata of the FLAC that begins at *start* ends. Source: RFC 9639, section 8."""
    end = start + 4
    while end < stream.size:
        header = stream.read_at(end, 4)
        end += 4 + int.from_bytes(header[1:])
        if header[0] & 0x80:
            break
    return end


def _tags_end(stream: ByteStream, start: int) -> int:
    """Return where the tags that follow one another from *start* on end."""
    end = start
    while (next_end := _tag_end(stream, end)) is not None:
        end = next_end
    return end


def _tag_end(stream: ByteStream, start: int) -> int | None:
    """Return where the tag that begins at *start* ends; None if there is none."""
    head = stream.read_at(start, _TAG_BYTES)
    if not _TAG.match(head):
        return None
    if head.startswith(b"TAG"):
        return start + _ID3V1_BYTES
    if head.startswith(b"ID3"):
        size = sum(byte << shift for byte, shift in zip(head[6:10], (21, 14, 7, 0), strict=True))
        return start + 10 + size + (10 if head[5] & 0x10 else 0)
    size, flags = int.from_bytes(head[12:16], "little"), int.from_bytes(head[20:24], "little")
    is_header = bool(flags & 1 << 29)  # the size counts the items and the footer, but no header
    return start + 32 + (size if is_header else 0)


def _has_frames(stream: ByteStream, start: int) -> bool:
    """Return whether two frames of MPEG audio, layer III, begin at *start*."""
    for _ in range(2):
        length = _frame_bytes(stream.read_at(start, 4))
        if length is None:
            return False
        start += length
    return True


def _frame_bytes(header: bytes) -> int | None:
    """Return the length of the frame that begins with *header*; None if it is none."""
    if len(header) < 4 or header[0] != 0xFF or header[1] & 0xE6 != 0xE2:
        return None
    version, rate_index, bitrate_index = header[1] >> 3 & 3, header[2] >> 2 & 3, header[2] >> 4
    if version == 1 or rate_index == 3 or bitrate_index in (0, 15):
        return None
    rate = (44_100, 48_000, 32_000)[rate_index] >> {3: 0, 2: 1, 0: 2}[version]
    bitrate = 1000 * _BITRATES_KBPS[version == 3][bitrate_index]
    return (144 if version == 3 else 72) * bitrate // rate + (header[2] >> 1 & 1)


class StreamWithoutTags(ByteStream):
    """A stream as it would be without some stretches of it.

    Attributes:
        joints: Where something was left out, in bytes of what is left.
    """

    def __init__(self, stream: ByteStream, stretches: list[tuple[int, int]]) -> None:
        self._stream = stream
        self._starts: list[int] = []  # of what is kept, in what is left
        self._origins: list[int] = []  # of the same in the stream
        position = begin = 0
        for start, end in [*stretches, (stream.size, stream.size)]:
            if start > begin:
                self._starts.append(position)
                self._origins.append(begin)
                position += start - begin
            begin = end
        self.label, self.error, self.size = stream.label, None, position
        self.joints = tuple(self._starts[1:])
        self._position = 0

    def read(self, size: int = -1) -> bytes:
        """Return up to *size* bytes, all that are left if it is negative."""
        data = self.read_at(self._position, self.size - self._position if size < 0 else size)
        self._position += len(data)
        return data

    def read_at(self, position: int, size: int) -> bytes:
        """Return up to *size* bytes from *position*; the stream's own position stays."""
        parts: list[bytes] = []
        end = min(position + size, self.size)
        index = bisect_right(self._starts, position) - 1
        while position < end:
            stop = min(end, self._starts[index + 1] if index + 1 < len(self._starts) else self.size)
            parts.append(self._stream.read_at(self._origins[index] + position - self._starts[index], stop - position))
            position, index = stop, index + 1
        return b"".join(parts)

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """Move within the stream; return the new position."""
        base = {os.SEEK_SET: 0, os.SEEK_CUR: self._position, os.SEEK_END: self.size}[whence]
        self._position = max(0, base + offset)
        return self._position

    def tell(self) -> int:
        """Return the position."""
        return self._position

    def raise_error(self) -> None:
        """Raise what the file beneath raised, if it did."""
        self._stream.raise_error()

    def close(self) -> None:
        """Close the stream beneath."""
        self._stream.close()


def joined_mp3_duration(stream: ByteStream) -> float | None:
    """Return the seconds that the headers of all MP3s in *stream* declare; None unless all of them do."""
    joints = stream.joints if isinstance(stream, StreamWithoutTags) else ()
    declared = [mp3_duration(stream), *(mp3_duration(StreamWithoutTags(stream, [(0, start)])) for start in joints)]
    return None if None in declared else sum(filter(None, declared))
