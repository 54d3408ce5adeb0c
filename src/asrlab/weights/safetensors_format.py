"""Check the headers of safetensors files before any library maps them.

Layout: u64 length of the header, little-endian; the header, a JSON object of ``name: {"dtype", "shape",
"data_offsets"}`` and ``__metadata__``; the numbers, without gaps, each tensor where ``data_offsets`` says.

Source: safetensors 0.8, ``safetensors/src/tensor.rs`` and its README, section Format.
"""

from __future__ import annotations

import json
import math
import struct
from typing import TYPE_CHECKING, Any

from asrlab.errors import WeightsError
from asrlab.weights.finite import StoredTensor, first_not_finite

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

__all__ = ["check_safetensors_file", "read_safetensors_shapes"]

_MAX_HEADER_BYTES = 8 << 20  # the parsers accept 100 MB; a model of 10,000 tensors needs 1 MB
_MAX_TENSORS = 100_000
_MAX_RANK = 8
# The number formats that are loaded, with their width in bytes and their name in `StoredTensor`.
_DTYPES = {
    "F64": (8, "float64"),
    "F32": (4, "float32"),
    "F16": (2, "float16"),
    "BF16": (2, "bfloat16"),
    "I64": (8, "int64"),
    "I32": (4, "int32"),
    "I16": (2, "int16"),
    "I8": (1, "int8"),
    "U64": (8, "uint64"),
    "U32": (4, "uint32"),
    "U16": (2, "uint16"),
    "U8": (1, "uint8"),
    "BOOL": (1, "bool"),
}


def check_safetensors_file(path: Path) -> None:
    """Refuse a file whose header does not describe exactly the bytes behind it, or whose numbers are not finite.

    Raises:
        WeightsError: Naming the file and what is wrong with it.
    """
    tensors = tuple(_tensors(path))
    damaged = first_not_finite(path, (tensor for tensor, _ in tensors))
    if damaged is not None:
        raise _bad(path, f"{damaged[:80]!r} holds numbers that are not finite")


def read_safetensors_shapes(path: Path) -> Mapping[str, tuple[int, ...]]:
    """Return the shapes of the tensors in *path* by their names.

    Raises:
        WeightsError: As `check_safetensors_file` does, but for the numbers.
    """
    return {tensor.name: shape for tensor, shape in _tensors(path)}


def _tensors(path: Path) -> Iterator[tuple[StoredTensor, tuple[int, ...]]]:
    """The tensors of the file in the order of their bytes, each compared with its neighbour."""
    try:
        size_bytes = path.stat().st_size
        with path.open("rb") as file:
            start = file.read(8)
            length = struct.unpack("<Q", start)[0] if len(start) == 8 else -1
            if not 2 <= length <= min(_MAX_HEADER_BYTES, size_bytes - 8):
                raise _bad(path, f"its header declares {length} bytes")
            header = _header(path, file.read(length))
    except OSError as error:
        if isinstance(error, WeightsError):
            raise
        raise WeightsError(f"cannot read {path}: {error.strerror or error}", model=str(path)) from error
    end, position = size_bytes - 8 - length, 0
    for name, (kind, shape, offsets) in sorted(header.items(), key=lambda item: item[1][2]):
        if offsets[0] != position:
            raise _bad(path, f"{name[:80]!r} begins at byte {offsets[0]}, not {position}, where the one before it ends")
        position = offsets[1]
        yield StoredTensor(name=name, kind=kind, start=8 + length + offsets[0], n_bytes=offsets[1] - offsets[0]), shape
    if position != end:
        raise _bad(path, f"its tensors are {position} bytes, but {end} follow the header")


type _Entry = tuple[str, tuple[int, ...], tuple[int, int]]


def _header(path: Path, text: bytes) -> dict[str, _Entry]:
    if not text.startswith(b"{"):
        raise _bad(path, "its header is no JSON object")
    try:
        content = json.loads(text.decode("utf-8"), object_pairs_hook=_unique)
    except RecursionError as error:
        raise _bad(path, "its header is nested too deep") from error
    except ValueError as error:
        raise _bad(path, f"its header is no JSON object ({str(error)[:100]})") from error
    metadata = content.pop("__metadata__", {})
    if not isinstance(metadata, dict) or not all(isinstance(value, str) for value in metadata.values()):
        raise _bad(path, "its metadata are not text")
    if not 1 <= len(content) <= _MAX_TENSORS:
        raise _bad(path, f"it declares {len(content)} tensors")
    return {name: _entry(path, name, value) for name, value in content.items()}


def _unique(pairs: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    content = dict(pairs)
    if len(content) != len(pairs):
        raise ValueError("a name in it is there twice")
    return content


def _entry(path: Path, name: str, value: Any) -> _Entry:
    label = repr(name[:80])
    if not isinstance(value, dict) or set(value) != {"dtype", "shape", "data_offsets"}:
        raise _bad(path, f"{label} has no dtype, shape and data_offsets")
    dtype, shape, offsets = value["dtype"], value["shape"], value["data_offsets"]
    if not isinstance(dtype, str) or dtype not in _DTYPES:
        raise _bad(path, f"{label} has the dtype {str(dtype)[:20]}; there are {', '.join(_DTYPES)}")
    if not _are_counts(shape) or len(shape) > _MAX_RANK:
        raise _bad(path, f"{label} has the shape {str(shape)[:80]}")
    if not _are_counts(offsets) or len(offsets) != 2:
        raise _bad(path, f"{label} has the data_offsets {str(offsets)[:80]}")
    width, kind = _DTYPES[dtype]
    if math.prod(shape) * width != offsets[1] - offsets[0]:
        raise _bad(path, f"{label} of shape {str(shape)[:80]} and dtype {dtype} has {offsets[1] - offsets[0]} bytes")
    return kind, tuple(shape), (offsets[0], offsets[1])


def _are_counts(values: object) -> bool:
    return isinstance(values, list) and all(type(value) is int and 0 <= value < 1 << 62 for value in values)


def _bad(path: Path, reason: str) -> WeightsError:
    return WeightsError(
        f"{path} is not a safetensors file, or is damaged: {reason}; fetch the weights again", model=str(path)
    )
