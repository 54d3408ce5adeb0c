"""How long a file says it is: what its header declares, whatever is left of the data.

libsndfile shortens the length of a cut-off WAV to what is there and FFmpeg guesses that of an MP3 from its bit rate,
so the headers are read here. Formats that declare nothing (Ogg, raw AAC, MP3 without a Xing header) cannot be checked.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from asrlab.audio.stream import ByteStream

_MOST_CHUNKS = 1000
_SYNC_SEARCH_BYTES = 2**16
_UNKNOWN_64 = 2**43  # 8 TiB, more than any recording
_ASF_FILE_PROPERTIES = bytes.fromhex("a1dcab8c47a9cf118ee400c00c205365")
_UNCOMPRESSED_AIFF = (b"", b"NONE", b"twos", b"sowt", b"raw ", b"in24", b"in32", b"fl32", b"FL32", b"fl64", b"FL64")
_W64_DATA = b"data\xf3\xac\xd3\x11\x8c\xd1\x00\xc0\x4f\x8e\xdb\x8a"


def declared_ratio(stream: ByteStream) -> float:
    """Return the bytes of data that *stream* declares over those that are there; 1 if all are, or if it does not say.

    Source: the chunk layouts of RIFF WAVE, EBU Tech 3306 (RF64), AIFF, 8SVX, CAF, Sony Wave64 and Sun AU.
    """
    extent = _data_extent(stream)
    declared, available = sized_data(stream) or (0, 0) if extent is None else (extent[1], stream.size - extent[0])
    return declared / available if declared > available > 0 else 1.0


def aiff_frames(stream: ByteStream) -> int:
    """Return the frames of uncompressed samples that an AIFF declares, the larger of its two counts; 0 for other files.

    COMM counts frames and SSND bytes. libsndfile takes the smaller without a word.
    """
    head = stream.read_at(0, 12)
    common = _chunk(stream, b"COMM", start=12, layout=">4sI") if head[:4] == b"FORM" else None
    if common is None:
        return 0
    content = stream.read_at(common[0], min(22, common[1]))  # AIFF-C adds the type of compression
    if len(content) < 18 or content[18:22] not in _UNCOMPRESSED_AIFF:
        return 0
    channels, frames, bits = struct.unpack_from(">HIH", content)
    sound = _chunk(stream, b"SSND", start=12, layout=">4sI")
    frame_bytes = channels * -(-bits // 8)
    counted = (sound[1] - 8) // frame_bytes if sound and frame_bytes and not _is_placeholder(sound[1]) else 0
    return max(counted, 0 if _is_placeholder(frames) else frames)


def _data_extent(stream: ByteStream) -> tuple[int, int] | None:
    """Return where the sample data starts and how many bytes it is said to have; None if unknown."""
    head = stream.read_at(0, 64)
    match head[:4]:
        case b"RIFF" | b"RF64" | b"BW64":
            extent = _chunk(stream, b"data", start=12, layout="<4sI")
            if extent is not None and extent[1] == 0xFFFFFFFF and head[12:16] == b"ds64":
                return extent[0], struct.unpack_from("<Q", head, 28)[0]
        case b"RIFX":
            extent = _chunk(stream, b"data", start=12, layout=">4sI")
        case b"FORM":
            wanted = b"BODY" if head[8:12] in (b"8SVX", b"16SV") else b"SSND"
            extent = _chunk(stream, wanted, start=12, layout=">4sI")
            if extent is not None and wanted == b"SSND" and extent[1] >= 8:  # its offset and block size come first
                return None if _is_placeholder(extent[1]) else (extent[0] + 8, extent[1] - 8)
        case b"caff":
            extent = _chunk(stream, b"data", start=8, layout=">4sQ", pad=1)
        case b"riff":
            extent = _chunk(stream, _W64_DATA, start=40, layout="<16sQ", pad=8, counted=24)
        case b".snd":
            extent = struct.unpack_from(">II", head, 4) if len(head) > 12 else None
        case _:
            return None
    return None if extent is None or _is_placeholder(extent[1]) else extent


def _chunk(
    stream: ByteStream, wanted: bytes, *, start: int, layout: str, pad: int = 2, counted: int = 0
) -> tuple[int, int] | None:
    """Position and size of the content of the first chunk named *wanted*; *counted* bytes of header are in its size."""
    header = struct.Struct(layout)
    for _ in range(_MOST_CHUNKS):
        raw = stream.read_at(start, header.size)
        if len(raw) < header.size:
            return None
        name, size = header.unpack(raw)
        size = max(0, size - counted)
        start += header.size
        if name == wanted:
            return start, size
        start += size + -size % pad
    return None


def _is_placeholder(size: int) -> bool:
    """Whether a program that writes to a pipe left this size: around 2 GiB or 4 GiB, or beyond 8 TiB."""
    return 0x7FFFF000 <= size <= 0x80000100 or 0xFFFFF000 <= size <= 0xFFFFFFFF or size >= _UNKNOWN_64


def nist_duration(stream: ByteStream) -> float | None:
    """Seconds that a NIST SPHERE header declares; None for any other file."""
    head = stream.read_at(0, 1024)
    if not head.startswith(b"NIST_1A"):
        return None
    count, rate = (re.search(rb"%b -i (\d+)" % name, head) for name in (b"sample_count", b"sample_rate"))
    return int(count[1]) / int(rate[1]) if count and rate and int(rate[1]) else None


def asf_duration(stream: ByteStream) -> float | None:
    """Seconds that the file properties of an ASF (WMA) header declare; None if it is a broadcast or has none.

    Source: Advanced Systems Format Specification, section 3.2. FFmpeg estimates where the file's size is another.
    """
    head = stream.read_at(0, _SYNC_SEARCH_BYTES)
    start = head.find(_ASF_FILE_PROPERTIES)
    if start < 0 or len(head) < start + 92:
        return None
    ticks, _, preroll_ms, flags = struct.unpack_from("<QQQI", head, start + 64)
    return None if flags & 1 else max(0.0, ticks / 1e7 - preroll_ms / 1e3)


def mp3_duration(stream: ByteStream) -> float | None:
    """Seconds that the Xing, Info or VBRI header of an MP3 declares, without its encoder's delay and padding.

    None without such a header. Source: gabriel.mp3-tech.org/mp3infotag.html and the MPEG audio frame header.
    """
    for header, frame in _mpeg_frames(stream):
        rate, samples, side = _frame_facts(header)
        tag = frame[4 + side :]
        if tag[:4] in (b"Xing", b"Info"):
            return _xing_samples(tag, samples) / rate if tag[7] & 1 else None
        if frame[36:40] == b"VBRI":
            return int.from_bytes(frame[50:54]) * samples / rate
        return None
    return None


def _mpeg_frames(stream: ByteStream) -> Iterator[tuple[int, bytes]]:
    """The header and 256 bytes of each place after the ID3v2 tag that could be a layer III frame."""
    start = 0
    head = stream.read_at(0, 10)
    if head[:3] == b"ID3" and len(head) == 10:
        start = 10 + sum((byte & 0x7F) << shift for byte, shift in zip(head[6:], (21, 14, 7, 0), strict=True))
    data = stream.read_at(start, _SYNC_SEARCH_BYTES)
    for match in re.finditer(rb"\xff[\xe2\xe3\xf2\xf3\xfa\xfb]", data):
        frame = data[match.start() : match.start() + 256]
        header = int.from_bytes(frame[:4])
        if len(frame) > 64 and header >> 10 & 3 != 3 and header >> 12 & 15 not in (0, 15):
            yield header, frame


def _frame_facts(header: int) -> tuple[int, int, int]:
    """Sample rate in Hz, samples a frame, and bytes of side information of an MPEG layer III frame."""
    version, mono = header >> 19 & 3, header >> 6 & 3 == 3
    rate = (44_100, 48_000, 32_000)[header >> 10 & 3]
    match version:
        case 3:
            return rate, 1152, 17 if mono else 32
        case 2:
            return rate // 2, 576, 9 if mono else 17
    return rate // 4, 576, 9 if mono else 17


def _xing_samples(tag: bytes, samples_per_frame: int) -> int:
    flags, frames = struct.unpack_from(">II", tag, 4)
    # Bytes, table of contents and quality are each there if their flag is; LAME's fields follow.
    lame = 12 + 4 * (flags >> 1 & 1) + 100 * (flags >> 2 & 1) + 4 * (flags >> 3 & 1)
    trim = tag[lame + 21 : lame + 24]
    known = len(trim) == 3 and tag[lame : lame + 4] in (b"LAME", b"Lavc", b"Lavf", b"L3.9")
    value = int.from_bytes(trim) if known else 0
    return max(0, int(frames) * samples_per_frame - (value >> 12) - (value & 0xFFF))


_AVR_HEADER, _WVE_HEADER, _MPC2K_HEADER, _XI_HEADER = 128, 32, 42, 338
_LAST_VOICE_BLOCK, _VOICE_TAIL = 9, 16
_MAX_BLOCKS = 10_000
_SEARCH_BYTES = 2**16
_SECTOR = 4096
_MAX_AVI_LENGTH = 2**30
"""A length that no sound has; FFmpeg writes it where it cannot go back, as into a pipe."""
_WTV_LENGTH_AT = 0x5C
type Extent = tuple[int, int]
"""First byte of the sample data, and how many bytes of it the header declares."""


def sized_data(stream: ByteStream) -> tuple[int, int] | None:
    """Return the bytes of data that *stream* declares and those that are there; None if it does not declare any."""
    head = stream.read_at(0, 512)
    if head.startswith(b"Creative Voice File\x1a"):
        return _voice_blocks(stream, head)
    for magic, extent_of in _EXTENTS.items():
        if head.startswith(magic):
            try:
                position, declared = extent_of(head)
            except struct.error:  # the header itself is cut off
                return None
            return declared, stream.size - position
    return None


def _avr(head: bytes) -> Extent:
    """Return the extent of an Audio Visual Research file: frames, at two or one bytes a channel."""
    is_stereo, bits = struct.unpack_from(">HH", head, 12)
    return _AVR_HEADER, struct.unpack_from(">I", head, 26)[0] * (2 if is_stereo else 1) * bits // 8


def _mat4(head: bytes) -> Extent:
    """Return the extent of the second matrix of a MAT4 file; the first has the sample rate."""
    order = ">" if head[2:4] == b"\x03\xe8" or (head[0] == 0 and head[3] != 0) else "<"
    name_bytes = struct.unpack_from(f"{order}I", head, 16)[0]
    second = 20 + name_bytes + 8
    kind, rows, columns, _, name_bytes = struct.unpack_from(f"{order}5I", head, second)
    sample_bytes = (8, 4, 4, 2, 2, 1)[kind // 10 % 10 % 6]
    return second + 20 + name_bytes, rows * columns * sample_bytes


def _mat5(head: bytes) -> Extent:
    """Return the extent of the second matrix of a MAT5 file; the first has the sample rate."""
    order = "<" if head[126:128] == b"IM" else ">"
    second = 128 + 8 + struct.unpack_from(f"{order}I", head, 132)[0]
    return second + 8, struct.unpack_from(f"{order}I", head, second + 4)[0]


def _sox(head: bytes) -> Extent:
    order = "<" if head[:4] == b".SoX" else ">"
    header_bytes, samples = struct.unpack_from(f"{order}IQ", head, 4)
    return 4 + header_bytes, samples * 4


_EXTENTS: Mapping[bytes, Callable[[bytes], Extent]] = {
    b"2BIT": _avr,
    b"\x00\x00\x00\x00\x01\x00\x00\x00\x01\x00\x00\x00": _mat4,
    b"\x00\x00\x03\xe8\x00\x00\x00\x01\x00\x00\x00\x01": _mat4,
    b"MATLAB 5.0 MAT-file": _mat5,
    b"ALawSoundFile": lambda head: (_WVE_HEADER, struct.unpack_from(">I", head, 18)[0]),
    b"\x01\x04": lambda head: (
        _MPC2K_HEADER,
        struct.unpack_from("<I", head, 30)[0] * 2 * (2 if head[21] else 1),
    ),
    b"Extended Instrument: ": lambda head: (_XI_HEADER, struct.unpack_from("<I", head, 298)[0]),
    b".SoX": _sox,
    b"XoS.": _sox,
    b"MMMD": lambda head: (8, struct.unpack_from(">I", head, 4)[0]),
    bytes.fromhex("b7d800203749da11a64e0007e95ead8d"): lambda head: (
        0,
        struct.unpack_from("<I", head, _WTV_LENGTH_AT)[0] * _SECTOR,
    ),
}
"""By the first bytes of a file: AVR, MAT4 (both byte orders), MAT5, WVE, MPC 2000, XI, SoX (both), MMF and WTV."""


def _voice_blocks(stream: ByteStream, head: bytes) -> tuple[int, int] | None:
    """Return the bytes up to the end of the last block that a VOC file declares, and those that are there.

    SoX writes a size that is 8 bytes too small, so that the bytes behind the last block need not be another one.
    """
    position = struct.unpack_from("<H", head, 20)[0]
    for _ in range(_MAX_BLOCKS):
        block = stream.read_at(position, 4)
        if stream.size - position <= _VOICE_TAIL or not 0 < block[0] <= _LAST_VOICE_BLOCK:
            return position, stream.size
        position += 4 + int.from_bytes(block[1:], "little")
    return None


def adx_format(stream: ByteStream) -> tuple[int, int] | None:
    """Return the sample rate in Hz and the samples that a CRI ADX file declares; None for any other file."""
    head = stream.read_at(0, 16)
    return struct.unpack(">II", head[8:]) if len(head) == 16 and head[:2] == b"\x80\0" else None


def avi_duration(stream: ByteStream) -> float | None:
    """Return the seconds that the first audio stream of an AVI declares; None if it declares none."""
    head = stream.read_at(0, _SEARCH_BYTES)
    start = head.find(b"auds")
    if start < 8 or head[start - 8 : start - 4] != b"strh" or len(head) < start + 36:
        return None
    scale, rate, _, length = struct.unpack_from("<4I", head, start + 20)
    return length * scale / rate if rate and 0 < length < _MAX_AVI_LENGTH else None


def gxf_ends_early(stream: ByteStream) -> bool:
    """Return whether *stream* is a GXF file without the packet that ends it."""
    return stream.read_at(0, 6) == b"\0\0\0\0\1\xbc" and b"\0\0\0\0\1\xfb" not in stream.read_at(stream.size - 64, 64)
