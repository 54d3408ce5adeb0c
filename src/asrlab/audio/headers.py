"""How long a file says it is: what its header declares, whatever is left of the data.

libsndfile shortens the length of a cut-off WAV to what is there and FFmpeg guesses that of an MP3 from its bit rate,
so the headers are read here. Formats that declare nothing (Ogg, raw AAC, MP3 without a Xing header) cannot be checked.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator
from typing import TYPE_CHECKING

from asrlab.audio.container import sized_data

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
