"""Checks of whole files: checksums, missing Ogg pages, damaged sample dumps, and second recordings in one file."""

from __future__ import annotations

import hashlib
import struct
import zlib
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import attrs

from asrlab.audio.headers import asf_file_properties
from asrlab.audio.sniff import MAX_OGG_PAGE, OGG_HEADER, ogg_page_size
from asrlab.audio.types import AudioWarning

if TYPE_CHECKING:
    from asrlab.audio.stream import ByteStream

_UNSET_MD5 = bytes(16)
_CAPTURE = b"OggS\x00"
_BLOCK_BYTES = 2**20
_FIRST_PAGE, _LAST_PAGE = 2, 4
_OGG_AUDIO = (b"\x01vorbis", b"OpusHead", b"\x7fFLAC", b"Speex   ")
# Ogg's CRC-32 has zlib's polynomial, but takes the highest bit of each byte first.
_REVERSED = bytes(int(f"{byte:08b}"[::-1], 2) for byte in range(256))
_NO_END = "its last Ogg page does not mark the end, so more is missing, as in a recording of a live stream"
_ASF_HEADER = bytes.fromhex("3026b2758e66cf11a6d900aa0062ce6c")
_MAX_BOXES = 1000
_SDS_HEADER, _SDS_PACKET, _SDS_BLOCK_PACKETS = 21, 127, 10_000


class FlacMd5:
    """Comparison of the MD5 of decoded frames with the MD5 in a FLAC's header.

    Source: RFC 9639, section 8.2: signed samples, interleaved, little-endian, in the fewest bytes that hold one.
    """

    def __init__(self, stream: ByteStream) -> None:
        stream_info = stream.read_at(0, 42)[8:]
        self._bits = (int.from_bytes(stream_info[10:18]) >> 36 & 0x1F) + 1 if len(stream_info) == 34 else 0
        self._declared = stream_info[18:]
        self._digest = hashlib.md5(usedforsecurity=False)
        self._is_known = stream.read_at(0, 4) == b"fLaC" and self._bits > 0 and self._declared != _UNSET_MD5

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
        sample_bytes = -(-self._bits // 8)
        as_bytes = values.astype(f"<i{width}").view(np.uint8).reshape(-1, width)
        self._digest.update(np.ascontiguousarray(as_bytes[:, :sample_bytes]).tobytes())

    @property
    def is_different(self) -> bool:
        """True if the header declares an MD5 other than that of all frames so far."""
        return self._is_known and self._digest.digest() != self._declared


@attrs.frozen
class _OggPage:
    """One page of an Ogg file.

    Attributes:
        flags: 1 continues a packet, 2 starts a stream, 4 ends a stream.
        serial: Number of the stream.
        sequence: Number of the page in its stream.
        gap: Bytes in front of the page that belong to no page.
        is_intact: True if the checksum is right.
        content: First bytes of the data.
    """

    flags: int
    serial: int
    sequence: int
    gap: int
    is_intact: bool
    content: bytes


def ogg_fault(stream: ByteStream) -> str:
    """Return a description of the first damaged or missing page of the Ogg file *stream*; empty if there is none.

    The whole file is read once. Streams of anything but audio only need whole pages.
    """
    if stream.read_at(0, 4) != _CAPTURE[:4]:
        return ""
    next_sequence: dict[int, int | None] = {}  # by stream; None for anything but audio
    for number, page in enumerate(_ogg_pages(stream)):
        if page is None:
            return "its last Ogg page is incomplete"
        if not page.is_intact:
            return f"Ogg page {number} is damaged"
        if page.gap and next_sequence:
            return f"{page.gap} bytes before Ogg page {number} are damaged"
        if page.flags & _FIRST_PAGE:
            next_sequence[page.serial] = page.sequence if page.content.startswith(_OGG_AUDIO) else None
        if page.serial not in next_sequence:
            return f"the Ogg page before number {number} is missing"
        expected = next_sequence[page.serial]
        if expected is not None and page.sequence != expected:
            return f"an Ogg page is missing: number {page.sequence} follows number {expected - 1}"
        if expected is not None:
            next_sequence[page.serial] = expected + 1
        if page.flags & _LAST_PAGE:
            del next_sequence[page.serial]
    return _NO_END if any(expected is not None for expected in next_sequence.values()) else ""


def _ogg_pages(stream: ByteStream) -> Iterator[_OggPage | None]:
    """Yield the pages, and a final None if a page is cut off."""
    position = gap = 0
    data, data_start = b"", 0
    while position < stream.size:
        if position + MAX_OGG_PAGE > data_start + len(data) < stream.size:
            data_start, data = position, stream.read_at(position, _BLOCK_BYTES)
        start = position - data_start
        if data[start : start + 5] != _CAPTURE:
            capture = data.find(_CAPTURE, start)
            step = (capture if capture >= 0 else max(start + 1, len(data) - len(_CAPTURE) + 1)) - start
            position, gap = position + step, gap + step
            continue
        size = ogg_page_size(data, start)
        if size is None or start + size > len(data):
            yield None
            return
        yield _parse_page(data[start : start + size], gap)
        position, gap = position + size, 0


def _parse_page(raw: bytes, gap: int) -> _OggPage:
    return _OggPage(
        flags=raw[5],
        serial=int.from_bytes(raw[14:18], "little"),
        sequence=int.from_bytes(raw[18:22], "little"),
        gap=gap,
        is_intact=_ogg_checksum(raw[:22] + bytes(4) + raw[26:]) == int.from_bytes(raw[22:26], "little"),
        content=raw[OGG_HEADER + raw[26] :][:8],
    )


def _ogg_checksum(data: bytes) -> int:
    """Return Ogg's CRC-32 of *data*: zlib's, of bytes with their bits reversed, without inversion, reversed again."""
    reflected = zlib.crc32(data.translate(_REVERSED), 0xFFFFFFFF) ^ 0xFFFFFFFF
    return int(f"{reflected:032b}"[::-1], 2)


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
    match head[:4], head[4:8], head[8:12]:
        case b"RIFF", size, b"WAVE":
            return _same_type_at(stream, 8 + int.from_bytes(size, "little"), head)
        case b"FORM", size, b"AIFF" | b"AIFC":
            return _same_type_at(stream, 8 + int.from_bytes(size), head)
        case b".snd", offset, size if size != b"\xff\xff\xff\xff":
            return _same_type_at(stream, int.from_bytes(offset) + int.from_bytes(size), head)
        case b"\x30\x26\xb2\x75", _, _:
            end = int.from_bytes(asf_file_properties(stream)[40:48], "little")
            return end if end and stream.read_at(end, 16) == _ASF_HEADER else None
        case _, b"ftyp", _:
            return _second_mp4(stream)
    return None


def _same_type_at(stream: ByteStream, position: int, head: bytes) -> int | None:
    """Return *position*, or the next one, if a file of the type of *head* begins there."""
    for start in (position, position + 1):  # chunks are padded to an even length
        other = stream.read_at(start, 12)
        if other[:4] == head[:4] and (head[:4] == b".snd" or other[8:12] == head[8:12]):
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
            (size,) = struct.unpack_from(">Q", box, 8)
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
        number = _first_bad_packet(stream.read_at(start, step))
        if number is not None:
            return f"packet {(start - _SDS_HEADER) // _SDS_PACKET + number} of the MIDI Sample Dump is damaged"
    return ""


def _first_bad_packet(data: bytes) -> int | None:
    """Return the index of the first packet in *data* with a wrong frame or checksum; None if all are right."""
    import numpy as np

    packets = np.frombuffer(data, dtype=np.uint8).reshape(-1, _SDS_PACKET)
    checksums = np.bitwise_xor.reduce(packets[:, 1:125], axis=1) & 0x7F
    is_right = (
        (packets[:, 0] == 0xF0)
        & (packets[:, 1] == 0x7E)
        & (packets[:, 3] == 2)
        & (packets[:, 125] == checksums)
        & (packets[:, 126] == 0xF7)
    )
    return None if is_right.all() else int(is_right.argmin())
