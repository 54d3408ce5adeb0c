"""The sizes and durations that the headers of less common containers declare, whatever is left of their data.

Sources: the headers that libsndfile and FFmpeg write, Microsoft's AVI RIFF reference, the Creative Voice File format,
and SMPTE 360M (GXF).
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from asrlab.audio.stream import ByteStream

__all__ = ["adx_format", "avi_duration", "gxf_ends_early", "sized_data"]

_MAX_BLOCKS = 10_000
_SEARCH_BYTES = 2**16
_AVR_HEADER, _WVE_HEADER, _MPC2K_HEADER, _XI_HEADER = 128, 32, 42, 338
_SECTOR = 4096
_LAST_VOICE_BLOCK, _VOICE_TAIL = 9, 16
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
