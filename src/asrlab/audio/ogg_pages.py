"""The pages of an Ogg file, checked: their checksums, their sequence, and the mark at the end of each stream.

FFmpeg leaves a damaged or missing page out without a word. Source: RFC 3533, section 6.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from typing import TYPE_CHECKING

import attrs

if TYPE_CHECKING:
    from asrlab.audio.stream import ByteStream

__all__ = ["ogg_fault"]

_CAPTURE = b"OggS\x00"
_HEADER = 27
_MAX_PAGE = 65_307  # 27 bytes of header, 255 of lacing, 255 * 255 of data
_BLOCK = 2**20
_CONTINUED, _FIRST, _LAST = 1, 2, 4
_AUDIO = (b"\x01vorbis", b"OpusHead", b"\x7fFLAC", b"Speex   ")
# Ogg's CRC-32 has zlib's polynomial, but takes the highest bit of each byte first.
_REVERSED = bytes(int(f"{byte:08b}"[::-1], 2) for byte in range(256))
_NO_END = "its last Ogg page does not mark the end, so more is missing, as in a recording of a live stream"


@attrs.frozen
class _Page:
    """One page.

    Attributes:
        flags: 1 continues a packet, 2 starts a stream, 4 ends one.
        serial: Number of the stream.
        sequence: Number of the page in its stream.
        gap: Bytes before it that belong to no page.
        is_intact: Whether its checksum is right.
        content: The first bytes of its data.
    """

    flags: int
    serial: int
    sequence: int
    gap: int
    is_intact: bool
    content: bytes


def ogg_fault(stream: ByteStream) -> str:
    """Return what shows that pages of the Ogg file *stream* are damaged or missing, in words; empty if nothing does.

    The whole file is read once; streams of anything but audio only need whole pages.
    """
    if stream.read_at(0, 4) != _CAPTURE[:4]:
        return ""
    following: dict[int, int | None] = {}  # by stream: the number of its next page; None for anything but audio
    for number, page in enumerate(_pages(stream)):
        if page is None:
            return "its last Ogg page is incomplete"
        if not page.is_intact:
            return f"Ogg page {number} is damaged"
        if page.gap and following:
            return f"{page.gap} bytes before Ogg page {number} are damaged"
        if page.flags & _FIRST:
            following[page.serial] = page.sequence if page.content.startswith(_AUDIO) else None
        if page.serial not in following:
            return f"the Ogg page before number {number} is missing"
        expected = following[page.serial]
        if expected is not None and page.sequence != expected:
            return f"an Ogg page is missing: number {page.sequence} follows number {expected - 1}"
        if expected is not None:
            following[page.serial] = expected + 1
        if page.flags & _LAST:
            del following[page.serial]
    return _NO_END if any(expected is not None for expected in following.values()) else ""


def _pages(stream: ByteStream) -> Iterator[_Page | None]:
    """Yield the pages; last None if a page is cut off."""
    position = gap = 0
    data, start = b"", 0
    while position < stream.size:
        if position + _MAX_PAGE > start + len(data) < stream.size:
            start, data = position, stream.read_at(position, _BLOCK)
        at = position - start
        if data[at : at + 5] != _CAPTURE:
            found = data.find(_CAPTURE, at)
            step = (found if found >= 0 else max(at + 1, len(data) - len(_CAPTURE) + 1)) - at
            position, gap = position + step, gap + step
            continue
        size = _size(data, at)
        if size is None or at + size > len(data):
            yield None
            return
        yield _page(data[at : at + size], gap)
        position, gap = position + size, 0


def _size(data: bytes, at: int) -> int | None:
    """Return the size of the page at *at*; None if its header is cut off."""
    if at + _HEADER > len(data) or at + _HEADER + data[at + _HEADER - 1] > len(data):
        return None
    segments = data[at + _HEADER - 1]
    return _HEADER + segments + sum(data[at + _HEADER : at + _HEADER + segments])


def _page(raw: bytes, gap: int) -> _Page:
    checked = raw[:22] + bytes(4) + raw[26:]
    return _Page(
        flags=raw[5],
        serial=int.from_bytes(raw[14:18], "little"),
        sequence=int.from_bytes(raw[18:22], "little"),
        gap=gap,
        is_intact=_checksum(checked) == int.from_bytes(raw[22:26], "little"),
        content=raw[_HEADER + raw[26] :][:8],
    )


def _checksum(data: bytes) -> int:
    """Return Ogg's CRC-32 of *data*: zlib's, of bytes with their bits reversed, without inversion, reversed again."""
    reflected = zlib.crc32(data.translate(_REVERSED), 0xFFFFFFFF) ^ 0xFFFFFFFF
    return int(f"{reflected:032b}"[::-1], 2)
