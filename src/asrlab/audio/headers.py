"""Lengths that file headers declare.

libsndfile shortens the length of a cut-off WAV to the samples that are left, and FFmpeg guesses the length of an MP3
from its bit rate. Headers are therefore read here. Formats that declare no length (Ogg, raw AAC, MP3 without a Xing
header) cannot be checked.
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
    """Layout of the chunks of a file.

    Attributes:
        start: Position of the first chunk.
        header: Format of a chunk's header: name and size.
        padding: Multiple of bytes that a chunk is padded to.
        counted_bytes: Bytes of the header that the size includes.
    """

    start: int
    header: str
    padding: int = 2
    counted_bytes: int = 0


_RIFF, _IFF = _ChunkLayout(12, "<4sI"), _ChunkLayout(12, ">4sI")
_CAF, _WAVE64 = _ChunkLayout(8, ">4sQ", padding=1), _ChunkLayout(40, "<16sQ", padding=8, counted_bytes=24)
_HEAD_BYTES = 512
_SEARCH_BYTES = 2**16
_MAX_CHUNKS = 1000
_UNKNOWN_SIZE = 2**43  # 8 TiB, more than any recording
_ASF_FILE_PROPERTIES = bytes.fromhex("a1dcab8c47a9cf118ee400c00c205365")
_UNCOMPRESSED_AIFF = (b"", b"NONE", b"twos", b"sowt", b"raw ", b"in24", b"in32", b"fl32", b"FL32", b"fl64", b"FL64")
_W64_DATA = b"data\xf3\xac\xd3\x11\x8c\xd1\x00\xc0\x4f\x8e\xdb\x8a"
_AVR_HEADER, _WVE_HEADER, _MPC2K_HEADER, _XI_HEADER = 128, 32, 42, 338
_LAST_VOICE_BLOCK, _VOICE_TAIL, _MAX_VOICE_BLOCKS = 9, 16, 10_000
_WTV_LENGTH_AT, _WTV_SECTOR = 0x5C, 4096
_MAX_AVI_LENGTH = 2**30
"""Length that no audio has; FFmpeg writes it where it cannot go back, as into a pipe."""
_BITRATES_KBPS = {  # of layer III, by MPEG-1 or not
    True: (0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320),
    False: (0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
}


def declared_ratio(stream: ByteStream) -> float:
    """Return the declared size of the sample data over the actual size; 1 if no data is missing or none is declared.

    Source: the chunk layouts of RIFF WAVE, EBU Tech 3306 (RF64), AIFF, 8SVX, CAF, Sony Wave64 and Sun AU.
    """
    extent = _data_extent(stream)
    declared, available = _sized_data(stream) or (0, 0) if extent is None else (extent[1], stream.size - extent[0])
    return declared / available if declared > available > 0 else 1.0


def aiff_frames(stream: ByteStream) -> int:
    """Return the frames of uncompressed samples that an AIFF declares, the larger of its two counts; 0 for other files.

    COMM counts frames and SSND bytes. libsndfile takes the smaller count without a warning.
    """
    head = stream.read_at(0, 12)
    common = _find_chunk(stream, b"COMM", _IFF) if head[:4] == b"FORM" else None
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


def _data_extent(stream: ByteStream) -> Extent | None:
    head = stream.read_at(0, 64)
    match head[:4]:
        case b"RIFF" | b"RF64" | b"BW64":
            extent = _find_chunk(stream, b"data", _RIFF)
            if extent is not None and extent[1] == 0xFFFFFFFF and head[12:16] == b"ds64":
                return extent[0], struct.unpack_from("<Q", head, 28)[0]
        case b"RIFX":
            extent = _find_chunk(stream, b"data", _IFF)
        case b"FORM":
            name = b"BODY" if head[8:12] in (b"8SVX", b"16SV") else b"SSND"
            extent = _find_chunk(stream, name, _IFF)
            if extent is not None and name == b"SSND" and extent[1] >= 8:  # an offset and a block size come first
                return None if _is_placeholder(extent[1]) else (extent[0] + 8, extent[1] - 8)
        case b"caff":
            extent = _find_chunk(stream, b"data", _CAF)
        case b"riff":
            extent = _find_chunk(stream, _W64_DATA, _WAVE64)
        case b".snd":
            extent = struct.unpack_from(">II", head, 4) if len(head) > 12 else None
        case _:
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
    head = stream.read_at(0, _SEARCH_BYTES)
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


class MpegFrame(NamedTuple):
    """Properties of a frame of MPEG audio, layer III.

    Attributes:
        sample_rate: Sample rate in Hz.
        samples: Samples per channel.
        side_bytes: Size of the side information.
        size: Size of the whole frame in bytes.
    """

    sample_rate: int
    samples: int
    side_bytes: int
    size: int


def parse_mpeg_frame(header: bytes) -> MpegFrame | None:
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
    return MpegFrame(rate, samples, side_bytes, size)


def id3v2_size(head: bytes) -> int:
    """Return the size in bytes of the ID3v2 tag that begins with the 10 bytes of *head*, without its footer."""
    return 10 + sum((byte & 0x7F) << shift for byte, shift in zip(head[6:10], (21, 14, 7, 0), strict=True))


def mp3_duration(stream: ByteStream) -> float | None:
    """Return the seconds that the Xing, Info or VBRI header of an MP3 declares, without encoder delay and padding.

    The result is None without such a header. Source: gabriel.mp3-tech.org/mp3infotag.html and the MPEG audio frame
    header.
    """
    head = stream.read_at(0, 10)
    start = id3v2_size(head) if head[:3] == b"ID3" and len(head) == 10 else 0
    data = stream.read_at(start, _SEARCH_BYTES)
    for match in re.finditer(rb"\xff[\xe2\xe3\xf2\xf3\xfa\xfb]", data):
        raw = data[match.start() : match.start() + 256]
        frame = parse_mpeg_frame(raw)
        if frame is None or len(raw) <= 64:
            continue
        tag = raw[4 + frame.side_bytes :]
        if tag[:4] in (b"Xing", b"Info"):
            return _xing_samples(tag, frame.samples) / frame.sample_rate if tag[7] & 1 else None
        if raw[36:40] == b"VBRI":
            return int.from_bytes(raw[50:54]) * frame.samples / frame.sample_rate
        return None
    return None


def _xing_samples(tag: bytes, samples_per_frame: int) -> int:
    flags, frames = struct.unpack_from(">II", tag, 4)
    # Each flag adds a field: bytes, table of contents and quality. LAME's fields follow.
    lame = 12 + 4 * (flags >> 1 & 1) + 100 * (flags >> 2 & 1) + 4 * (flags >> 3 & 1)
    trim = tag[lame + 21 : lame + 24]
    is_known = len(trim) == 3 and tag[lame : lame + 4] in (b"LAME", b"Lavc", b"Lavf", b"L3.9")
    value = int.from_bytes(trim) if is_known else 0
    return max(0, int(frames) * samples_per_frame - (value >> 12) - (value & 0xFFF))


def _sized_data(stream: ByteStream) -> tuple[int, int] | None:
    """Return the declared and the actual size of the data of a rarer format; None if no size is declared."""
    head = stream.read_at(0, _HEAD_BYTES)
    if head.startswith(b"Creative Voice File\x1a"):
        return _voice_blocks(stream, head)
    for magic, parse_extent in _EXTENTS.items():
        if head.startswith(magic):
            try:
                position, declared = parse_extent(head)
            except struct.error:  # the header itself is cut off
                return None
            return declared, stream.size - position
    return None


def _voice_blocks(stream: ByteStream, head: bytes) -> tuple[int, int] | None:
    """Return the end of the last block that a VOC file declares, and the size of the file.

    SoX writes a size that is 8 bytes too small, so the bytes after the last block need not be another block.
    """
    position = struct.unpack_from("<H", head, 20)[0]
    for _ in range(_MAX_VOICE_BLOCKS):
        block = stream.read_at(position, 4)
        if stream.size - position <= _VOICE_TAIL or not 0 < block[0] <= _LAST_VOICE_BLOCK:
            return position, stream.size
        position += 4 + int.from_bytes(block[1:], "little")
    return None


def _avr(head: bytes) -> Extent:
    is_stereo, bits = struct.unpack_from(">HH", head, 12)
    return _AVR_HEADER, struct.unpack_from(">I", head, 26)[0] * (2 if is_stereo else 1) * bits // 8


def _mat4(head: bytes) -> Extent:
    """Return the extent of the second matrix of a MAT4 file; the first contains the sample rate."""
    order = ">" if head[2:4] == b"\x03\xe8" or (head[0] == 0 and head[3] != 0) else "<"
    name_bytes = struct.unpack_from(f"{order}I", head, 16)[0]
    second = 20 + name_bytes + 8
    kind, rows, columns, _, name_bytes = struct.unpack_from(f"{order}5I", head, second)
    sample_bytes = (8, 4, 4, 2, 2, 1)[kind // 10 % 10 % 6]
    return second + 20 + name_bytes, rows * columns * sample_bytes


def _mat5(head: bytes) -> Extent:
    """Return the extent of the second matrix of a MAT5 file; the first contains the sample rate."""
    order = "<" if head[126:128] == b"IM" else ">"
    second = 128 + 8 + struct.unpack_from(f"{order}I", head, 132)[0]
    return second + 8, struct.unpack_from(f"{order}I", head, second + 4)[0]


def _sox(head: bytes) -> Extent:
    order = "<" if head[:4] == b".SoX" else ">"
    header_bytes, samples = struct.unpack_from(f"{order}IQ", head, 4)
    return 4 + header_bytes, samples * 4


def _mpc2k(head: bytes) -> Extent:
    return _MPC2K_HEADER, struct.unpack_from("<I", head, 30)[0] * 2 * (2 if head[21] else 1)


def _wtv(head: bytes) -> Extent:
    return 0, struct.unpack_from("<I", head, _WTV_LENGTH_AT)[0] * _WTV_SECTOR


_EXTENTS: Mapping[bytes, Callable[[bytes], Extent]] = {
    b"2BIT": _avr,
    b"\x00\x00\x00\x00\x01\x00\x00\x00\x01\x00\x00\x00": _mat4,
    b"\x00\x00\x03\xe8\x00\x00\x00\x01\x00\x00\x00\x01": _mat4,
    b"MATLAB 5.0 MAT-file": _mat5,
    b"ALawSoundFile": lambda head: (_WVE_HEADER, struct.unpack_from(">I", head, 18)[0]),
    b"\x01\x04": _mpc2k,
    b"Extended Instrument: ": lambda head: (_XI_HEADER, struct.unpack_from("<I", head, 298)[0]),
    b".SoX": _sox,
    b"XoS.": _sox,
    b"MMMD": lambda head: (8, struct.unpack_from(">I", head, 4)[0]),
    bytes.fromhex("b7d800203749da11a64e0007e95ead8d"): _wtv,
}
"""Parsers by the first bytes: AVR, MAT4 (both byte orders), MAT5, WVE, MPC 2000, XI, SoX (both), MMF and WTV."""


def adx_format(stream: ByteStream) -> tuple[int, int] | None:
    """Return the sample rate in Hz and the number of samples that a CRI ADX file declares; None for any other file."""
    head = stream.read_at(0, 16)
    return struct.unpack(">II", head[8:]) if len(head) == 16 and head[:2] == b"\x80\0" else None


def avi_duration(stream: ByteStream) -> float | None:
    """Return the seconds that the first audio stream of an AVI declares; None if no length is declared."""
    head = stream.read_at(0, _SEARCH_BYTES)
    start = head.find(b"auds")
    if start < 8 or head[start - 8 : start - 4] != b"strh" or len(head) < start + 36:
        return None
    scale, rate, _, length = struct.unpack_from("<4I", head, start + 20)
    return length * scale / rate if rate and 0 < length < _MAX_AVI_LENGTH else None


def is_unfinished_gxf(stream: ByteStream) -> bool:
    """Return whether *stream* is a GXF file without the packet that ends it."""
    return stream.read_at(0, 6) == b"\0\0\0\0\1\xbc" and b"\0\0\0\0\1\xfb" not in stream.read_at(stream.size - 64, 64)
