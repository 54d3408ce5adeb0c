"""The MD5 of a FLAC's samples, which its header has, compared with that of what was decoded."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from asrlab.audio.stream import ByteStream

__all__ = ["SampleMd5"]

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
