"""Checks of safetensors folders, and the checks that all formats share: small JSON files and finite numbers."""

from __future__ import annotations

import json
import math
import re
import struct
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import attrs

from asrlab.errors import WeightsError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from pathlib import Path

# The width in bytes, and the bits of the exponent.
_EXPONENTS = {
    "float16": (2, 0x7C00),
    "bfloat16": (2, 0x7F80),
    "float32": (4, 0x7F800000),
    "float64": (8, 0x7FF0000000000000),
}
FLOAT_KINDS = tuple(_EXPONENTS)  # those that `check_finite` looks into
_BLOCK_BYTES = 1 << 20


def weights_error(path: Path, reason: str, cure: str = "fetch the weights again") -> WeightsError:
    """Return the error for the file or folder at *path*, whose message is the path, *reason* and *cure*."""
    return WeightsError(f"{path} {reason}; {cure}", model=str(path))


@contextmanager
def read_errors(path: Path, cure: str = "") -> Iterator[None]:
    """Convert an OSError that is raised while *path*, or a file in it, is read to a `WeightsError`."""
    try:
        yield
    except WeightsError:
        raise
    except OSError as error:
        reason = f"cannot read {error.filename or path}: {error.strerror or error}{cure}"
        raise WeightsError(reason, model=str(path)) from error


@attrs.frozen(kw_only=True)
class StoredTensor:
    """The position of a tensor's numbers in a file, little-endian and without gaps; *kind* is their format."""

    name: str
    kind: str
    start: int
    n_bytes: int


def check_finite(path: Path, tensors: Iterable[StoredTensor]) -> None:
    """Refuse NaN and infinity in *tensors*; the file is read in blocks of 1 MiB, each tensor once."""
    import numpy as np

    with read_errors(path), path.open("rb") as file:
        for tensor in sorted(tensors, key=lambda tensor: tensor.start):
            # a number whose exponent is all ones is infinity or NaN; integers are always finite
            width, exponent = _EXPONENTS.get(tensor.kind, (1, 0))
            remaining = tensor.n_bytes if exponent else 0
            file.seek(tensor.start)
            while block := file.read(min(_BLOCK_BYTES, remaining)):  # the format's own check refuses an early end
                remaining -= len(block)
                bits = np.frombuffer(block[: len(block) // width * width], f"<u{width}")
                if ((bits & exponent) == exponent).any():
                    raise weights_error(path, f"is damaged: {tensor.name[:80]!r} holds numbers that are not finite")


_COUNTS = re.compile(r"(num|n)_.*layers|(encoder|decoder|hidden)_layers|layers|codebooks")
_WIDTHS = re.compile(r"hidden_size|d_model|dim")
_MAX_LAYERS = 1024  # building a layer takes milliseconds, even without memory for its tensors
_MAX_NUMBER = 1 << 53


def check_hub_config(path: Path) -> None:
    """Refuse a ``config.json`` with odd counts, or with more or wider layers than the tensors beside it allow.

    Each layer has at least one tensor, and each width is a dimension of one.
    """
    shapes = [shape for file in path.parent.glob("*.safetensors") for shape in read_safetensors_shapes(file).values()]
    widest = max((size for shape in shapes for size in shape), default=0)
    for name, value in _settings(read_json(path, dict)):
        last, reason = name.rpartition(".")[2], None
        if isinstance(value, int) and abs(value) > _MAX_NUMBER:
            reason = f"a number of {value.bit_length()} bits"
        elif _WIDTHS.fullmatch(last) and isinstance(value, int) and value > widest:
            reason = f"{value!r:.60}; the widest tensor beside it has {widest}"
        elif (
            _COUNTS.fullmatch(last)
            and not (value is None or isinstance(value, list))
            and not (type(value) is int and 0 <= value <= min(len(shapes), _MAX_LAYERS))
        ):
            reason = f"{value!r:.60}; the weights beside it hold {len(shapes)} tensors"
        if reason is not None:
            raise weights_error(
                path,
                f"does not describe the weights beside it: its {name[:80]} is {reason}",
                "fetch them again, or give another folder",
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


_MAX_HEADER_BYTES = 8 << 20  # the parsers accept 100 MB; a model of 10,000 tensors needs 1 MB
_MAX_TENSORS = 100_000
_MAX_RANK = 8
# The number formats that are loaded, with their width in bytes and their name in `StoredTensor`.
_DTYPES = {
    **{f"F{width * 8}": (width, f"float{width * 8}") for width in (8, 4, 2)},
    "BF16": (2, "bfloat16"),
    **{f"I{width * 8}": (width, f"int{width * 8}") for width in (8, 4, 2, 1)},
    **{f"U{width * 8}": (width, f"uint{width * 8}") for width in (8, 4, 2, 1)},
    "BOOL": (1, "bool"),
}


def check_safetensors_file(path: Path) -> None:
    """Refuse a file whose header does not describe its bytes exactly, or whose numbers are not finite."""
    check_finite(path, [tensor for tensor, _ in _tensors(path)])


def read_safetensors_shapes(path: Path) -> Mapping[str, tuple[int, ...]]:
    """Return the shapes of the tensors in *path* by their names; refuse what `check_safetensors_file` does, but NaN."""
    return {tensor.name: shape for tensor, shape in _tensors(path)}


def _tensors(path: Path) -> Iterator[tuple[StoredTensor, tuple[int, ...]]]:
    """Yield the tensors in the order of their bytes; refuse gaps and overlaps."""
    with read_errors(path), path.open("rb") as file:
        size_bytes = path.stat().st_size
        start = file.read(8)
        length = struct.unpack("<Q", start)[0] if len(start) == 8 else -1
        if not 2 <= length <= min(_MAX_HEADER_BYTES, size_bytes - 8):
            raise _format_error(path, f"its header declares {length} bytes")
        header = _header(path, file.read(length))
    position = 0
    for name, (kind, shape, (begin, end)) in sorted(header.items(), key=lambda item: item[1][2]):
        if begin != position:
            raise _format_error(
                path, f"{name[:80]!r} begins at byte {begin}, not {position}, where the one before it ends"
            )
        position = end
        yield StoredTensor(name=name, kind=kind, start=8 + length + begin, n_bytes=end - begin), shape
    if position != size_bytes - 8 - length:
        raise _format_error(path, f"its tensors are {position} bytes, but {size_bytes - 8 - length} follow the header")


type _Entry = tuple[str, tuple[int, ...], tuple[int, int]]


def _header(path: Path, text: bytes) -> dict[str, _Entry]:
    try:
        content = json.loads(text.decode("utf-8"), object_pairs_hook=_unique) if text.startswith(b"{") else text
    except (ValueError, RecursionError) as error:
        reason = "nested too deep" if isinstance(error, RecursionError) else str(error)[:100]
        raise _format_error(path, f"its header is not a JSON object ({reason})") from error
    if not isinstance(content, dict):
        raise _format_error(path, "its header is not a JSON object")
    metadata = content.pop("__metadata__", {})
    if not isinstance(metadata, dict) or not all(isinstance(value, str) for value in metadata.values()):
        raise _format_error(path, "its metadata is not text")
    if not 1 <= len(content) <= _MAX_TENSORS:
        raise _format_error(path, f"it declares {len(content)} tensors")
    return {name: _entry(path, repr(name[:80]), value) for name, value in content.items()}


def _unique(pairs: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    content = dict(pairs)
    if len(content) != len(pairs):
        raise ValueError("a name occurs twice")
    return content


def _entry(path: Path, label: str, value: Any) -> _Entry:
    if not isinstance(value, dict) or set(value) != {"dtype", "shape", "data_offsets"}:
        raise _format_error(path, f"{label} has no dtype, shape and data_offsets")
    dtype, shape, offsets = value["dtype"], value["shape"], value["data_offsets"]
    if not isinstance(dtype, str) or dtype not in _DTYPES:
        raise _format_error(path, f"{label} has the dtype {str(dtype)[:20]}; there are {', '.join(_DTYPES)}")
    if not _are_counts(shape) or len(shape) > _MAX_RANK:
        raise _format_error(path, f"{label} has the shape {str(shape)[:80]}")
    if not _are_counts(offsets) or len(offsets) != 2:
        raise _format_error(path, f"{label} has the data_offsets {str(offsets)[:80]}")
    (width, kind), n_bytes = _DTYPES[dtype], offsets[1] - offsets[0]
    if math.prod(shape) * width != n_bytes:
        raise _format_error(path, f"{label} of shape {str(shape)[:80]} and dtype {dtype} has {n_bytes} bytes")
    return kind, tuple(shape), (offsets[0], offsets[1])


def _are_counts(values: object) -> bool:
    return isinstance(values, list) and all(type(value) is int and 0 <= value < 1 << 62 for value in values)


def _format_error(path: Path, reason: str) -> WeightsError:
    return weights_error(path, f"is not a safetensors file, or is damaged: {reason}")


_MAX_CONFIG_BYTES = 1 << 20  # Whisper's config.json has 2 KB; the objects of 1 MB of JSON take 30 MB at most


def read_json[T](path: Path, kind: type[T], *, max_bytes: int = _MAX_CONFIG_BYTES) -> T:
    """Read the JSON object or array in *path*, as *kind* is dict or list; refuse any other or larger file."""
    try:
        content = json.loads(read_small_text(path, max_bytes=max_bytes))
    except (ValueError, RecursionError) as error:
        reason = "is nested too deep" if isinstance(error, RecursionError) else f"is not JSON ({error})"
        raise weights_error(path, reason) from error
    if not isinstance(content, kind):
        needed = "object" if kind is dict else "array"
        raise weights_error(path, f"holds a {type(content).__name__} where a JSON {needed} is needed")
    return content


def read_small_text(path: Path, *, max_bytes: int) -> str:
    """Read the UTF-8 text in *path*, without changing its line ends; refuse a larger file."""
    with read_errors(path), path.open("rb") as file:
        data = file.read(max_bytes + 1)
    if len(data) > max_bytes:
        raise weights_error(path, f"is larger than {max_bytes >> 20} MiB, which no model needs")
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise weights_error(path, "is not UTF-8 text") from error
