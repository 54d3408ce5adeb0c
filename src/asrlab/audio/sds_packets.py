"""The packets of a MIDI Sample Dump, checked before libsndfile sees them: it prints each fault to standard output.

Source: MIDI 1.0 Detailed Specification, Sample Dump Standard.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from asrlab.audio.stream import ByteStream

__all__ = ["sds_fault"]

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
