"""Joined MP3s and FLACs: streams without the tags of the second and later files, which decoders take for damage.

A cover image in such a tag is full of bytes that look like frames, and would be decoded to noise. FFmpeg drops the
frame in front of a FLAC's tag.
"""

from __future__ import annotations

import os
import re
from bisect import bisect_right
from collections.abc import Callable, Iterator

from asrlab.audio.headers import id3v2_size, mp3_duration, parse_mpeg_frame
from asrlab.audio.sniff import is_mpeg
from asrlab.audio.stream import ByteStream

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
    end = start + 4
    while end < stream.size:
        header = stream.read_at(end, 4)
        end += 4 + int.from_bytes(header[1:])
        if header[0] & 0x80:
            break
    return end


def _tags_end(stream: ByteStream, start: int) -> int:
    """Return the end of the consecutive tags that begin at *start*."""
    end = start
    while (next_end := _tag_end(stream, end)) is not None:
        end = next_end
    return end


def _tag_end(stream: ByteStream, start: int) -> int | None:
    """Return the end of the tag that begins at *start*; None if no tag begins there."""
    head = stream.read_at(start, _TAG_BYTES)
    if not _TAG.match(head):
        return None
    if head.startswith(b"TAG"):
        return start + _ID3V1_BYTES
    if head.startswith(b"ID3"):
        return start + id3v2_size(head) + (10 if head[5] & 0x10 else 0)
    size, flags = int.from_bytes(head[12:16], "little"), int.from_bytes(head[20:24], "little")
    is_header = bool(flags & 1 << 29)  # the size counts the items and the footer, but no header
    return start + 32 + (size if is_header else 0)


def _has_frames(stream: ByteStream, start: int) -> bool:
    """Return whether two frames of MPEG audio, layer III, begin at *start*."""
    for _ in range(2):
        frame = parse_mpeg_frame(stream.read_at(start, 4))
        if frame is None:
            return False
        start += frame.size
    return True


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
        self.label, self.error, self.size = stream.label, None, position
        self.joints = tuple(self._starts[1:])
        self._position = 0

    def read(self, size: int = -1) -> bytes:
        """Return up to *size* bytes; all remaining bytes if *size* is negative."""
        data = self.read_at(self._position, self.size - self._position if size < 0 else size)
        self._position += len(data)
        return data

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

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """Move to *offset* and return the new position."""
        base = {os.SEEK_SET: 0, os.SEEK_CUR: self._position, os.SEEK_END: self.size}[whence]
        self._position = max(0, base + offset)
        return self._position

    def tell(self) -> int:
        """Return the position."""
        return self._position

    def raise_error(self) -> None:
        """Raise the stored exception of the underlying file, if there is one."""
        self._stream.raise_error()

    def close(self) -> None:
        """Close the underlying stream."""
        self._stream.close()


def total_mp3_duration(stream: ByteStream) -> float | None:
    """Return the seconds that the headers of all joined MP3s in *stream* declare; None unless each declares them."""
    joints = stream.joints if isinstance(stream, StreamWithoutTags) else ()
    declared = [mp3_duration(stream), *(mp3_duration(StreamWithoutTags(stream, [(0, start)])) for start in joints)]
    return None if None in declared else sum(filter(None, declared))
