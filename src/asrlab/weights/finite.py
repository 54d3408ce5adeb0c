"""Search tensors on disk for numbers that are not finite, without loading them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

__all__ = ["FLOAT_KINDS", "StoredTensor", "first_not_finite"]

FLOAT_KINDS = ("float16", "bfloat16", "float32", "float64")
"""The number formats that `first_not_finite` looks into."""

# The width in bytes, and the bits of the exponent: a number whose exponent is all ones is an infinity or no number.
_EXPONENTS = {
    "float16": (2, 0x7C00),
    "bfloat16": (2, 0x7F80),
    "float32": (4, 0x7F800000),
    "float64": (8, 0x7FF0000000000000),
}
_BLOCK_BYTES = 1 << 20


@attrs.frozen(kw_only=True)
class StoredTensor:
    """Where the numbers of a tensor lie in a file, little-endian and without gaps.

    Attributes:
        name: The tensor's name, for messages.
        kind: The number format; other formats than `FLOAT_KINDS` are always finite.
        start: The first byte in the file.
        n_bytes: The size in bytes.
    """

    name: str
    kind: str
    start: int
    n_bytes: int


def first_not_finite(path: Path, tensors: Iterable[StoredTensor]) -> str | None:
    """Return the name of the first of *tensors* that holds NaN or an infinity, None if none does.

    The file is read in blocks of 1 MiB, each tensor once.

    Raises:
        OSError: If *path* cannot be read.
    """
    with path.open("rb") as file:
        for tensor in sorted(tensors, key=lambda tensor: tensor.start):
            if tensor.kind not in _EXPONENTS:
                continue
            file.seek(tensor.start)
            if not _is_finite(file.read, tensor):
                return tensor.name
    return None


def _is_finite(read: Callable[[int], bytes], tensor: StoredTensor) -> bool:
    import numpy as np

    width, exponent = _EXPONENTS[tensor.kind]
    remaining = tensor.n_bytes
    while remaining > 0:
        block = read(min(_BLOCK_BYTES, remaining))
        if not block:
            return True  # a file that ends early is the format's affair
        remaining -= len(block)
        bits = np.frombuffer(block[: len(block) // width * width], f"<u{width}")
        if ((bits & exponent) == exponent).any():
            return False
    return True
