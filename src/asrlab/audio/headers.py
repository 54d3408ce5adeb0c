"""Types of files by their first bytes, and the lengths that their headers declare.

libsndfile shortens the length of a cut-off WAV to the samples that are left, and FFmpeg guesses many lengths from bit
rates. Headers are therefore read here. Formats that declare no length (Ogg, raw AAC) cannot be checked.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from asrlab.audio.stream import ByteStream

type Extent = tuple[int, int]
"""Position of the sample data in the file, and the size of the data in bytes that the header declares."""


class _ChunkLayout(NamedTuple):
    """Layout of the chunks of a file."""

    start: int  # of the first chunk
    header: str  # format of a chunk's name and size
    padding: int = 2
    counted_bytes: int = 0  # of the header, which the size includes


_RIFF, _IFF = _ChunkLayout(12, "<4sI"), _ChunkLayout(12, ">4sI")
_CAF, _WAVE64 = _ChunkLayout(8, ">4sQ", padding=1), _ChunkLayout(40, "<16sQ", padding=8, counted_bytes=24)
_CHUNKED = {  # layout, name of the chunk with the samples, and bytes in that chunk before the samples
    b"RIFF": (_RIFF, b"data", 0),
    b"RF64": (_RIFF, b"data", 0),
    b"BW64": (_RIFF, b"data", 0),
    b"RIFX": (_IFF, b"data", 0),
    b"FORM": (_IFF, b"SSND", 8),
    b"8SVX": (_IFF, b"BODY", 0),
    b"16SV": (_IFF, b"BODY", 0),
    b"caff": (_CAF, b"data", 0),
    b"riff": (_WAVE64, b"data\xf3\xac\xd3\x11\x8c\xd1\x00\xc0\x4f\x8e\xdb\x8a", 0),
}
_HEAD_BYTES = 512
SEARCH_BYTES = 2**16
_MAX_CHUNKS = 1000
_UNKNOWN_SIZE = 2**43  # 8 TiB, more than any recording
_ASF_FILE_PROPERTIES = bytes.fromhex("a1dcab8c47a9cf118ee400c00c205365")
_UNCOMPRESSED_AIFF = (b"", b"NONE", b"twos", b"sowt", b"raw ", b"in24", b"in32", b"fl32", b"FL32", b"fl64", b"FL64")
_LAST_VOICE_BLOCK, _VOICE_TAIL, _MAX_VOICE_BLOCKS = 9, 16, 10_000
_MAX_AVI_LENGTH = 2**30
"""Length that no audio has; FFmpeg writes it where it cannot go back, as into a pipe."""
OGG_HEADER = 27
MAX_OGG_PAGE = 65_307  # 27 bytes of header, 255 of lacing, 255 * 255 of data
_TEXT_TYPES = (
    (rb"<!doctype html|<html|<head|<body", "an HTML page, perhaps an error page of the server it came from"),
    (rb"<\?xml|<svg", "an XML document"),
    (rb"version https://git-lfs", "a Git LFS pointer; fetch the real file with 'git lfs pull'"),
    (rb"#EXTM3U|#EXTINF|\[playlist\]|ffconcat", "a playlist, which names audio files but contains no audio"),
    (rb"[{\[]", "JSON"),
)
_BINARY_TYPES = (
    (b"PK\x03\x04", "a zip archive; unpack it first"),
    (b"\x1f\x8b", "a gzip archive; unpack it first"),
    (b"%PDF", "a PDF document"),
    (b"\x89PNG", "a PNG image"),
    (b"\xff\xd8\xff", "a JPEG image"),
    (b"SQLite format 3", "an SQLite database"),
    (b"\x93NUMPY", "a NumPy file; load it with numpy.load and pass the array with sample_rate="),
    (b"\x7fELF", "a program"),
)


def is_mpeg(stream: ByteStream) -> bool:
    """Return whether *stream* starts like MPEG audio (MP3, or AAC in ADTS): with an ID3 tag or a frame's sync bits."""
    head = stream.read_at(0, 3)
    return head == b"ID3" or (len(head) > 1 and head[0] == 0xFF and head[1] & 0xE0 == 0xE0)


def non_audio_reason(stream: ByteStream) -> str:
    """Return the type of *stream* in words if it certainly contains no audio; otherwise an empty string.

    FFmpeg would take a web page for AMR.
    """
    head = stream.read_at(0, _HEAD_BYTES)
    start = head.removeprefix(b"\xef\xbb\xbf").lstrip()
    names = [name for magic, name in _BINARY_TYPES if head.startswith(magic)]
    names += [name for pattern, name in _TEXT_TYPES if re.match(pattern, start, re.IGNORECASE)]
    return next((name for name in names if name != "JSON" or _is_text(head)), "")


def describe_content(stream: ByteStream) -> str:
    """Return a description of the content of *stream*, which no decoder could open; empty if the type is unknown."""
    head = stream.read_at(0, _HEAD_BYTES)
    if name := non_audio_reason(stream):
        return name
    if head[4:8] == b"ftyp":
        return "an MP4 file without its index, which happens when copying or recording is cut off; copy it again"
    if head[:4] == b"OggS":
        tail = stream.read_at(max(0, stream.size - MAX_OGG_PAGE), MAX_OGG_PAGE)
        start = tail.rfind(b"OggS\x00")
        size = ogg_page_size(tail, start) if start >= 0 else None
        if size is None or len(tail) - start < size:
            return "an Ogg file that was cut off before its first samples; copy it again"
    return "text" if _is_text(head) else ""


def ogg_page_size(data: bytes, start: int) -> int | None:
    """Return the size in bytes of the Ogg page at *start* in *data*; None if its header is cut off."""
    header = data[start : start + OGG_HEADER + 255]
    if len(header) < OGG_HEADER or len(header) < OGG_HEADER + header[OGG_HEADER - 1]:
        return None
    lacing = header[OGG_HEADER:][: header[OGG_HEADER - 1]]
    return OGG_HEADER + len(lacing) + sum(lacing)


def _is_text(head: bytes) -> bool:
    """Return whether *head*, the first bytes of a file, is printable UTF-8."""
    try:
        text = head.decode()
    except UnicodeDecodeError as error:
        if error.start < len(head) - 3:  # a character cut at the end of the sample is no evidence
            return False
        text = head[: error.start].decode()
    return bool(text.strip()) and all(character.isprintable() or character.isspace() for character in text)


def declared_ratio(stream: ByteStream) -> float:
    """Return the declared size of the sample data over the actual size; 1 if no data is missing or none is declared.

    Source: the chunk layouts of RIFF WAVE, EBU Tech 3306 (RF64), AIFF, 8SVX, CAF, Sony Wave64 and Sun AU.
    """
    start, declared = _data_extent(stream) or (0, 0)
    available = stream.size - start
    return declared / available if declared > available > 0 else 1.0


def _data_extent(stream: ByteStream) -> Extent | None:
    """Return the extent of the samples; None if the format is unknown or declares no size."""
    head = stream.read_at(0, _HEAD_BYTES)
    if head[:4] in _CHUNKED:
        layout, name, skipped = _CHUNKED.get(head[8:12], _CHUNKED[head[:4]])
        extent = _find_chunk(stream, name, layout)
        if extent is not None and extent[1] == 0xFFFFFFFF and head[12:16] == b"ds64":
            return extent[0], int.from_bytes(head[28:36], "little")
        return None if extent is None or _is_placeholder(extent[1]) else (extent[0] + skipped, extent[1] - skipped)
    if head.startswith(b"Creative Voice File\x1a"):
        return _voice_extent(stream, head)
    try:
        extent = next((parse(head) for magic, parse in _EXTENTS.items() if head.startswith(magic)), None)
    except struct.error:  # the header itself is cut off
        return None
    return None if extent is None or _is_placeholder(extent[1]) else extent


def _find_chunk(stream: ByteStream, name: bytes, layout: _ChunkLayout) -> Extent | None:
    """Return the position and size of the content of the first chunk called *name*."""
    header, position = struct.Struct(layout.header), layout.start
    for _ in range(_MAX_CHUNKS):
        raw = stream.read_at(position, header.size)
        if len(raw) < header.size:
            return None
        chunk_name, size = header.unpack(raw)
        size = max(0, size - layout.counted_bytes)
        position += header.size
        if chunk_name == name:
            return position, size
        position += size + -size % layout.padding
    return None


def _is_placeholder(size: int) -> bool:
    """Return whether *size* was left by a program that writes to a pipe: around 2 GiB or 4 GiB, or beyond 8 TiB."""
    return 0x7FFFF000 <= size <= 0x80000100 or 0xFFFFF000 <= size <= 0xFFFFFFFF or size >= _UNKNOWN_SIZE


def _voice_extent(stream: ByteStream, head: bytes) -> Extent | None:
    """Return the extent from the start of a VOC file to the end of the last block that the file declares.

    SoX writes a size that is 8 bytes too small, so the bytes after the last block need not be another block.
    """
    position = int.from_bytes(head[20:22], "little")
    for _ in range(_MAX_VOICE_BLOCKS):
        block = stream.read_at(position, 4)
        if stream.size - position <= _VOICE_TAIL or not 0 < block[0] <= _LAST_VOICE_BLOCK:
            return 0, position
        position += 4 + int.from_bytes(block[1:], "little")
    return None


def _avr(head: bytes) -> Extent:
    is_stereo, bits = struct.unpack_from(">HH", head, 12)
    return 128, struct.unpack_from(">I", head, 26)[0] * (2 if is_stereo else 1) * bits // 8


def _mat4(head: bytes) -> Extent:
    """Return the extent of the second matrix of a MAT4 file; the first contains the sample rate."""
    order = ">" if head[2:4] == b"\x03\xe8" or (head[0] == 0 and head[3] != 0) else "<"
    second = 20 + struct.unpack_from(f"{order}I", head, 16)[0] + 8
    kind, rows, columns, _, name_bytes = struct.unpack_from(f"{order}5I", head, second)
    sample_bytes = (8, 4, 4, 2, 2, 1)[kind // 10 % 10 % 6]
    return second + 20 + name_bytes, rows * columns * sample_bytes


def _mat5(head: bytes) -> Extent:
    """Return the extent of the second matrix of a MAT5 file; the first contains the sample rate."""
    order = "<" if head[126:128] == b"IM" else ">"
    second = 128 + 8 + struct.unpack_from(f"{order}I", head, 132)[0]
    return second + 8, struct.unpack_from(f"{order}I", head, second + 4)[0]


def _sox(head: bytes) -> Extent:
    header_bytes, samples = struct.unpack_from("<IQ" if head[:4] == b".SoX" else ">IQ", head, 4)
    return 4 + header_bytes, samples * 4


_EXTENTS: Mapping[bytes, Callable[[bytes], Extent]] = {
    b".snd": lambda head: struct.unpack_from(">II", head, 4),
    b"2BIT": _avr,
    b"\x00\x00\x00\x00\x01\x00\x00\x00\x01\x00\x00\x00": _mat4,
    b"\x00\x00\x03\xe8\x00\x00\x00\x01\x00\x00\x00\x01": _mat4,
    b"MATLAB 5.0 MAT-file": _mat5,
    b"ALawSoundFile": lambda head: (32, struct.unpack_from(">I", head, 18)[0]),
    b"\x01\x04": lambda head: (42, struct.unpack_from("<I", head, 30)[0] * 2 * (2 if head[21] else 1)),
    b"Extended Instrument: ": lambda head: (338, struct.unpack_from("<I", head, 298)[0]),
    b".SoX": _sox,
    b"XoS.": _sox,
    b"MMMD": lambda head: (8, struct.unpack_from(">I", head, 4)[0]),
    bytes.fromhex("b7d800203749da11a64e0007e95ead8d"): lambda head: (0, struct.unpack_from("<I", head, 0x5C)[0] * 4096),
}
"""Parsers by the first bytes: AU, AVR, MAT4 (both byte orders), MAT5, WVE, MPC 2000, XI, SoX (both), MMF and WTV."""


def aiff_frames(stream: ByteStream) -> int:
    """Return the frames of uncompressed samples that an AIFF declares, the larger of its two counts; 0 for other files.

    COMM counts frames and SSND bytes. libsndfile takes the smaller count without a warning.
    """
    common = _find_chunk(stream, b"COMM", _IFF) if stream.read_at(0, 4) == b"FORM" else None
    if common is None:
        return 0
    content = stream.read_at(common[0], min(22, common[1]))  # AIFF-C adds the type of compression
    if len(content) < 18 or content[18:22] not in _UNCOMPRESSED_AIFF:
        return 0
    channels, frames, bits = struct.unpack_from(">HIH", content)
    sound = _find_chunk(stream, b"SSND", _IFF)
    frame_bytes = channels * -(-bits // 8)
    counted = (sound[1] - 8) // frame_bytes if sound and frame_bytes and not _is_placeholder(sound[1]) else 0
    return max(counted, 0 if _is_placeholder(frames) else frames)


def nist_duration(stream: ByteStream) -> float | None:
    """Return the seconds that a NIST SPHERE header declares; None for any other file."""
    head = stream.read_at(0, 1024)
    if not head.startswith(b"NIST_1A"):
        return None
    count, rate = (re.search(rb"%b -i (\d+)" % name, head) for name in (b"sample_count", b"sample_rate"))
    return int(count[1]) / int(rate[1]) if count and rate and int(rate[1]) else None


def asf_file_properties(stream: ByteStream) -> bytes:
    """Return the file properties object of an ASF (WMA) header; empty for any other file.

    Source: Advanced Systems Format Specification, section 3.2.
    """
    head = stream.read_at(0, SEARCH_BYTES)
    start = head.find(_ASF_FILE_PROPERTIES)
    return head[start : start + 92] if start >= 0 else b""


def asf_duration(stream: ByteStream) -> float | None:
    """Return the seconds that an ASF (WMA) header declares; None for a broadcast and for any other file.

    FFmpeg estimates the duration if the declared file size is wrong.
    """
    properties = asf_file_properties(stream)
    if len(properties) < 92:
        return None
    ticks, _, preroll_ms, flags = struct.unpack_from("<QQQI", properties, 64)
    return None if flags & 1 else max(0.0, ticks / 1e7 - preroll_ms / 1e3)


def adx_format(stream: ByteStream) -> tuple[int, int] | None:
    """Return the sample rate in Hz and the number of samples that a CRI ADX file declares; None for any other file."""
    head = stream.read_at(0, 16)
    return struct.unpack(">II", head[8:]) if len(head) == 16 and head[:2] == b"\x80\0" else None


def avi_duration(stream: ByteStream) -> float | None:
    """Return the seconds that the first audio stream of an AVI declares; None if no length is declared."""
    head = stream.read_at(0, SEARCH_BYTES)
    start = head.find(b"auds")
    if start < 8 or head[start - 8 : start - 4] != b"strh" or len(head) < start + 36:
        return None
    scale, rate, _, length = struct.unpack_from("<4I", head, start + 20)
    return length * scale / rate if rate and 0 < length < _MAX_AVI_LENGTH else None


def is_unfinished_gxf(stream: ByteStream) -> bool:
    """Return whether *stream* is a GXF file without the packet that ends it."""
    return stream.read_at(0, 6) == b"\0\0\0\0\1\xbc" and b"\0\0\0\0\1\xfb" not in stream.read_at(stream.size - 64, 64)
