"""Checks of safetensors folders, and the checks that all formats share: small JSON files and finite numbers."""

from __future__ import annotations

import json
import math
import re
import struct
from typing import TYPE_CHECKING, Any

import attrs

from asrlab.errors import WeightsError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
    from pathlib import Path

FLOAT_KINDS = ("float16", "bfloat16", "float32", "float64")
"""The number formats that `first_not_finite` looks into."""
# The width in bytes, and the bits of the exponent: a number whose exponent is all ones is infinity or NaN.
_EXPONENTS = {
    "float16": (2, 0x7C00),
    "bfloat16": (2, 0x7F80),
    "float32": (4, 0x7F800000),
    "float64": (8, 0x7FF0000000000000),
}
_BLOCK_BYTES = 1 << 20


@attrs.frozen(kw_only=True)
class StoredTensor:
    """The position of a tensor's numbers in a file, little-endian and without gaps.

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
    """Return the name of the first of *tensors* that contains NaN or infinity, else None.

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
            return True  # the format's own check refuses a file that ends early
        remaining -= len(block)
        bits = np.frombuffer(block[: len(block) // width * width], f"<u{width}")
        if ((bits & exponent) == exponent).any():
            return False
    return True


_COUNTS = re.compile(r"(num|n)_.*layers|(encoder|decoder|hidden)_layers|layers|codebooks")
_WIDTHS = re.compile(r"hidden_size|d_model|dim")
_MAX_LAYERS = 1024  # building a layer takes milliseconds, even without memory for its tensors
_MAX_NUMBER = 1 << 53


def check_hub_config(path: Path, config: Mapping[str, Any], shapes: Sequence[tuple[int, ...]]) -> None:
    """Refuse a configuration with more or wider layers than the tensors allow, or with counts that are not integers.

    Args:
        path: The file, for messages.
        config: Its content.
        shapes: The shapes of the tensors beside it. Each layer has at least one, and each width is a dimension of one.

    Raises:
        WeightsError: If a setting is refused; the message names the setting and its value.
    """
    n_tensors = len(shapes)
    widest = max((size for shape in shapes for size in shape), default=0)
    for name, value in _settings(config):
        if isinstance(value, int) and abs(value) > _MAX_NUMBER:
            raise _config_error(path, f"its {name[:80]} is a number of {value.bit_length()} bits")
        if _WIDTHS.fullmatch(name.rpartition(".")[2]) and isinstance(value, int) and value > widest:
            raise _config_error(path, f"its {name[:80]} is {value!r:.60}; the widest tensor beside it has {widest}")
        if not _COUNTS.fullmatch(name.rpartition(".")[2]) or value is None or isinstance(value, list):
            continue
        if type(value) is not int or not 0 <= value <= min(n_tensors, _MAX_LAYERS):
            raise _config_error(
                path, f"its {name[:80]} is {value!r:.60}; the weights beside it hold {n_tensors} tensors"
            )


def _settings(config: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """Yield the settings of *config* and its sections, with dotted names."""
    pending: list[tuple[str, Mapping[str, Any]]] = [("", config)]
    while pending:
        prefix, section = pending.pop()
        for name, value in section.items():
            if isinstance(value, dict):
                pending.append((f"{prefix}{name}.", value))
            else:
                yield f"{prefix}{name}", value


def _config_error(path: Path, reason: str) -> WeightsError:
    return WeightsError(
        f"{path} does not describe the weights beside it: {reason}; fetch them again, or give another folder",
        model=str(path),
    )


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
    """Refuse a file whose header does not describe its bytes exactly, or whose numbers are not finite.

    Raises:
        WeightsError: If the file is refused; the message names the file and the reason.
    """
    tensors = tuple(_tensors(path))
    damaged = first_not_finite(path, (tensor for tensor, _ in tensors))
    if damaged is not None:
        raise _format_error(path, f"{damaged[:80]!r} holds numbers that are not finite")


def read_safetensors_shapes(path: Path) -> Mapping[str, tuple[int, ...]]:
    """Return the shapes of the tensors in *path* by their names.

    Raises:
        WeightsError: As for `check_safetensors_file`, except that the numbers are not checked.
    """
    return {tensor.name: shape for tensor, shape in _tensors(path)}


def _tensors(path: Path) -> Iterator[tuple[StoredTensor, tuple[int, ...]]]:
    """Yield the tensors in the order of their bytes; refuse gaps and overlaps."""
    try:
        size_bytes = path.stat().st_size
        with path.open("rb") as file:
            start = file.read(8)
            length = struct.unpack("<Q", start)[0] if len(start) == 8 else -1
            if not 2 <= length <= min(_MAX_HEADER_BYTES, size_bytes - 8):
                raise _format_error(path, f"its header declares {length} bytes")
            header = _header(path, file.read(length))
    except OSError as error:
        if isinstance(error, WeightsError):
            raise
        raise WeightsError(f"cannot read {path}: {error.strerror or error}", model=str(path)) from error
    end, position = size_bytes - 8 - length, 0
    for name, (kind, shape, offsets) in sorted(header.items(), key=lambda item: item[1][2]):
        if offsets[0] != position:
            raise _format_error(
                path, f"{name[:80]!r} begins at byte {offsets[0]}, not {position}, where the one before it ends"
            )
        position = offsets[1]
        yield StoredTensor(name=name, kind=kind, start=8 + length + offsets[0], n_bytes=offsets[1] - offsets[0]), shape
    if position != end:
        raise _format_error(path, f"its tensors are {position} bytes, but {end} follow the header")


type _Entry = tuple[str, tuple[int, ...], tuple[int, int]]


def _header(path: Path, text: bytes) -> dict[str, _Entry]:
    if not text.startswith(b"{"):
        raise _format_error(path, "its header is not a JSON object")
    try:
        content = json.loads(text.decode("utf-8"), object_pairs_hook=_unique)
    except RecursionError as error:
        raise _format_error(path, "its header is nested too deep") from error
    except ValueError as error:
        raise _format_error(path, f"its header is not a JSON object ({str(error)[:100]})") from error
    metadata = content.pop("__metadata__", {})
    if not isinstance(metadata, dict) or not all(isinstance(value, str) for value in metadata.values()):
        raise _format_error(path, "its metadata is not text")
    if not 1 <= len(content) <= _MAX_TENSORS:
        raise _format_error(path, f"it declares {len(content)} tensors")
    return {name: _entry(path, name, value) for name, value in content.items()}


def _unique(pairs: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    content = dict(pairs)
    if len(content) != len(pairs):
        raise ValueError("a name occurs twice")
    return content


def _entry(path: Path, name: str, value: Any) -> _Entry:
    label = repr(name[:80])
    if not isinstance(value, dict) or set(value) != {"dtype", "shape", "data_offsets"}:
        raise _format_error(path, f"{label} has no dtype, shape and data_offsets")
    dtype, shape, offsets = value["dtype"], value["shape"], value["data_offsets"]
    if not isinstance(dtype, str) or dtype not in _DTYPES:
        raise _format_error(path, f"{label} has the dtype {str(dtype)[:20]}; there are {', '.join(_DTYPES)}")
    if not _are_counts(shape) or len(shape) > _MAX_RANK:
        raise _format_error(path, f"{label} has the shape {str(shape)[:80]}")
    if not _are_counts(offsets) or len(offsets) != 2:
        raise _format_error(path, f"{label} has the data_offsets {str(offsets)[:80]}")
    width, kind = _DTYPES[dtype]
    if math.prod(shape) * width != offsets[1] - offsets[0]:
        raise _format_error(
            path, f"{label} of shape {str(shape)[:80]} and dtype {dtype} has {offsets[1] - offsets[0]} bytes"
        )
    return kind, tuple(shape), (offsets[0], offsets[1])


def _are_counts(values: object) -> bool:
    return isinstance(values, list) and all(type(value) is int and 0 <= value < 1 << 62 for value in values)


def _format_error(path: Path, reason: str) -> WeightsError:
    return WeightsError(
        f"{path} is not a safetensors file, or is damaged: {reason}; fetch the weights again", model=str(path)
    )


_MAX_CONFIG_BYTES = 1 << 20
"""Whisper's config.json has 2 KB; every object of a megabyte of JSON takes 30 MB at most."""


def read_json_object(path: Path, *, max_bytes: int = _MAX_CONFIG_BYTES) -> dict[str, Any]:
    """Read the JSON object in *path*.

    Raises:
        WeightsError: If it is missing, larger than *max_bytes*, nested too deep, or not a JSON object.
    """
    try:
        content = json.loads(read_small_text(path, max_bytes=max_bytes))
    except RecursionError as error:
        raise WeightsError(f"{path} is nested too deep; fetch the weights again", model=str(path)) from error
    except ValueError as error:
        raise WeightsError(f"{path} is not JSON ({error}); fetch the weights again", model=str(path)) from error
    if not isinstance(content, dict):
        raise WeightsError(
            f"{path} holds a {type(content).__name__} where a JSON object is needed; fetch the weights again",
            model=str(path),
        )
    return content


def read_small_text(path: Path, *, max_bytes: int) -> str:
    """Read the UTF-8 text in *path*, without changing its line ends.

    Raises:
        WeightsError: If it cannot be read, is larger than *max_bytes*, or is not UTF-8.
    """
    try:
        with path.open("rb") as file:
            data = file.read(max_bytes + 1)
    except OSError as error:
        raise WeightsError(f"cannot read {path}: {error.strerror or error}", model=str(path)) from error
    if len(data) > max_bytes:
        raise WeightsError(
            f"{path} is larger than {max_bytes >> 20} MiB, which no model needs; fetch the weights again",
            model=str(path),
        )
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise WeightsError(f"{path} is not UTF-8 text; fetch the weights again", model=str(path)) from error
