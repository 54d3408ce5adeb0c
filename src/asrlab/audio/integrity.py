"""The MD5 of a FLAC's samples, which its header has, compared with that of what was decoded."""

from __future__ import annotations

import hashlib
import struct
import zlib
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import attrs

from asrlab.audio.types import AudioWarning

if TYPE_CHECKING:
    from asrlab.audio.stream import ByteStream

_STREAMINFO = slice(8, 42)
_UNSET = bytes(16)


class SampleMd5:
    """A running MD5 of decoded frames.

    Source: RFC 9639, section 8.2: signed samples, interleaved, little-endian, in the fewest bytes that hold one.
    """

    def __init__(self, stream: ByteStream) -> None:
        facts = stream.read_at(0, 42)[_STREAMINFO]
        bits = (int.from_bytes(facts[10:18]) >> 36 & 0x1F) + 1 if len(facts) == 34 else 0
        self._bits = bits
        self._declared = facts[18:]
        self._digest = hashlib.md5(usedforsecurity=False)
        self._is_known = stream.read_at(0, 4) == b"fLaC" and bits > 0 and self._declared != _UNSET

    def update(self, frame: Any) -> None:
        """Add the samples of a PyAV *frame*, 16 or 32 bits wide with the value in the highest bits."""
        import numpy as np

        if not self._is_known:
            return
        samples: Any = frame.to_ndarray()
        samples = samples.T if frame.format.is_planar else samples
        width = samples.dtype.itemsize
        if samples.dtype.kind != "i" or 8 * width < self._bits:
            self._is_known = False
            return
        values = np.ascontiguousarray(samples).reshape(-1) >> (8 * width - self._bits)
        wanted = -(-self._bits // 8)
        as_bytes = values.astype(f"<i{width}").view(np.uint8).reshape(-1, width)
        self._digest.update(np.ascontiguousarray(as_bytes[:, :wanted]).tobytes())

    @property
    def differs(self) -> bool:
        """Whether the header has an MD5 that is not that of all frames so far."""
        return self._is_known and self._digest.digest() != self._declared


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


_HEADER_BYTES = 21
_PACKET_BYTES = 127
_BLOCK_PACKETS = 10_000


def sds_fault(stream: ByteStream) -> str:
    """Return what is wrong with the sample dump *stream*, in words; empty if nothing is, or if it is something else."""
    header = stream.read_at(0, _HEADER_BYTES)
    if header[:2] != b"\xf0\x7e" or header[3:4] != b"\x01":
        return ""
    if len(header) < _HEADER_BYTES or header[-1] != 0xF7:
        return "the header of the MIDI Sample Dump is damaged"
    if (stream.size - _HEADER_BYTES) % _PACKET_BYTES:
        return "the last packet of the MIDI Sample Dump is cut off"
    step = _PACKET_BYTES * _BLOCK_PACKETS
    for start in range(_HEADER_BYTES, stream.size, step):
        number = _first_bad_packet(stream.read_at(start, step))
        if number is not None:
            return f"packet {(start - _HEADER_BYTES) // _PACKET_BYTES + number} of the MIDI Sample Dump is damaged"
    return ""


def _first_bad_packet(data: bytes) -> int | None:
    """Return the index of the first packet in *data* with a wrong frame or checksum; None if all are right."""
    import numpy as np

    packets = np.frombuffer(data, dtype=np.uint8).reshape(-1, _PACKET_BYTES)
    checksums = np.bitwise_xor.reduce(packets[:, 1:125], axis=1) & 0x7F
    is_right = (
        (packets[:, 0] == 0xF0)
        & (packets[:, 1] == 0x7E)
        & (packets[:, 3] == 2)
        & (packets[:, 125] == checksums)
        & (packets[:, 126] == 0xF7)
    )
    return None if is_right.all() else int(is_right.argmin())
