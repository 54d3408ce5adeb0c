"""Files that hold a second recording behind the first, where decoders stop at the end of the first.

MP3, AAC, Ogg, FLAC, Matroska and MPEG files may be joined end to end and are decoded to their end. The containers here
declare where they end, and what lies behind that is not theirs.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

from asrlab.audio.types import AudioWarning

if TYPE_CHECKING:
    from asrlab.audio.stream import ByteStream

__all__ = ["joined_findings"]

_MAX_BOXES = 1000
_ASF_HEADER = bytes.fromhex("3026b2758e66cf11a6d900aa0062ce6c")
_ASF_FILE_PROPERTIES = bytes.fromhex("a1dcab8c47a9cf118ee400c00c205365")
_ASF_HEAD_BYTES = 2**12


def joined_findings(stream: ByteStream) -> list[AudioWarning]:
    """Return that *stream* holds a second recording, which is not read, if it does."""
    position = _second_recording(stream)
    if position is None:
        return []
    message = (
        f"{stream.label!r} holds a second recording from byte {position} on, which is not read: split the file there, "
        "or join its parts with a program that knows their format"
    )
    return [AudioWarning(code="joined", message=message)]


def _second_recording(stream: ByteStream) -> int | None:
    """Return the byte at which the second recording begins."""
    head = stream.read_at(0, 12)
    match head[:4], head[4:8], head[8:12]:
        case b"RIFF", size, b"WAVE":
            return _same_kind_at(stream, 8 + int.from_bytes(size, "little"), head)
        case b"FORM", size, b"AIFF" | b"AIFC":
            return _same_kind_at(stream, 8 + int.from_bytes(size), head)
        case b".snd", offset, size if size != b"\xff\xff\xff\xff":
            return _same_kind_at(stream, int.from_bytes(offset) + int.from_bytes(size), head)
        case b"\x30\x26\xb2\x75", _, _:
            return _second_asf(stream)
        case _, b"ftyp", _:
            return _second_mp4(stream)
    return None


def _same_kind_at(stream: ByteStream, position: int, head: bytes) -> int | None:
    """Return *position*, or the next one, where a file of the kind of *head* begins at it."""
    for start in (position, position + 1):  # chunks are padded to an even length
        other = stream.read_at(start, 12)
        if other[:4] == head[:4] and (head[:4] == b".snd" or other[8:12] == head[8:12]):
            return start
    return None


def _second_asf(stream: ByteStream) -> int | None:
    """Source: Advanced Systems Format Specification, section 3.2: the file's size is 40 bytes into its properties."""
    head = stream.read_at(0, _ASF_HEAD_BYTES)
    start = head.find(_ASF_FILE_PROPERTIES)
    size = int.from_bytes(head[start + 40 : start + 48], "little") if start >= 0 else 0
    return size if size and stream.read_at(size, 16) == _ASF_HEADER else None


def _second_mp4(stream: ByteStream) -> int | None:
    """Source: ISO/IEC 14496-12, section 4.2. One in fragments may repeat its header, and is read to its end."""
    position = 0
    for _ in range(_MAX_BOXES):
        box = stream.read_at(position, 16)
        if len(box) < 8 or box[4:8] == b"moof":
            return None
        if position and box[4:8] == b"ftyp":
            return position
        size = int.from_bytes(box[:4])
        if size == 1 and len(box) == 16:
            (size,) = struct.unpack_from(">Q", box, 8)
        if size < 8:
            return None
        position += size
    return None
