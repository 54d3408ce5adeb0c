"""Check a ``.pt`` file of openai-whisper before PyTorch opens it: nothing is allocated for what it only declares.

Both layouts of ``torch.save`` are read: a zip archive whose entries are stored as they are, and the older sequence of
pickles followed by the numbers.

Source: ``torch/serialization.py`` of PyTorch 2.11.
"""

from __future__ import annotations

import io
import struct
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from asrlab.errors import WeightsError
from asrlab.weights.pickle_reader import (
    MAX_READ_BYTES,
    PickleError,
    StorageRecord,
    TensorRecord,
    read_pickle,
)
from asrlab.weights.safetensors_check import StoredTensor, first_not_finite
from asrlab.weights.whisper_tensors import check_dims, check_shapes

if TYPE_CHECKING:
    from collections.abc import Iterable


_LEGACY_MAGIC = 0x1950A86A20F9469CFC6C
_LOCAL_HEADER_BYTES = 30
_FLOATS = ("float16", "bfloat16", "float32", "float64")


def check_openai_checkpoint(path: Path) -> None:
    """Refuse a checkpoint that openai-whisper could not run, or that would cost more to load than it holds.

    Raises:
        WeightsError: If it cannot be read as plain weights, its dimensions or tensors are not those of a Whisper
            model, or a number in it is not finite.
    """
    try:
        with path.open("rb") as file:
            size_bytes = path.stat().st_size
            archived = file.read(4) == b"PK\x03\x04"
            file.seek(0)
            content, starts = (_read_zip if archived else _read_legacy)(_Bounded(file), size_bytes)
    except PickleError as error:
        raise WeightsError(
            f"{path} is not a checkpoint of openai-whisper that can be read as plain weights: it holds {error}; code "
            "in a checkpoint is never run. Fetch it again, or give another file",
            model=str(path),
        ) from error
    except (zipfile.BadZipFile, struct.error, ValueError, LookupError, NotImplementedError, EOFError) as error:
        raise WeightsError(
            f"{path} is not a checkpoint of openai-whisper, or is damaged ({error}); fetch it again, or give another "
            "file",
            model=str(path),
        ) from error
    except OSError as error:
        if isinstance(error, WeightsError):
            raise
        raise WeightsError(f"cannot read {path}: {error.strerror or error}", model=str(path)) from error
    reason = _why_not(content)
    if reason is None:
        reason = _not_finite(path, content["model_state_dict"], starts)
    if reason is not None:
        raise _refused(path, reason)


def why_not_whisper(dims: object, shapes: Mapping[object, tuple[int, ...]]) -> str | None:
    """Return why a model of these *dims* with tensors of these *shapes* is not one that Whisper can run, else None."""
    known = check_dims(dims)
    return known if isinstance(known, str) else check_shapes(known, shapes)


def _refused(path: Path, reason: str) -> WeightsError:
    return WeightsError(
        f"{path} is not a Whisper model that can run: {reason}; fetch it again, or give another file", model=str(path)
    )


def _why_not(content: Any) -> str | None:
    if not isinstance(content, dict) or not {"dims", "model_state_dict"} <= set(content):
        return "it has no 'dims' and 'model_state_dict'"
    state = content["model_state_dict"]
    if not isinstance(state, dict):
        return "its 'model_state_dict' is no dictionary"
    for name, tensor in state.items():
        if not isinstance(tensor, TensorRecord):
            return f"{str(name)[:80]} is a {type(tensor).__name__}, not a tensor"
        if tensor.storage.kind not in _FLOATS:
            return f"{str(name)[:80]} holds {tensor.storage.kind}, not floating-point numbers"
    return why_not_whisper(content["dims"], {name: tensor.shape for name, tensor in state.items()}) or _overlap(
        state.values()
    )


def _overlap(tensors: Iterable[TensorRecord]) -> str | None:
    """Tensors may share a storage, but all of them may not be larger than what is stored: a copy is made of each."""
    declared, storages = 0, dict[str, int]()
    for tensor in tensors:
        length = 1
        for size in tensor.shape:
            length *= size
        declared += length
        storages[tensor.storage.key] = tensor.storage.length
    stored = sum(storages.values())
    return f"its tensors declare {declared:,} numbers, but it stores {stored:,}" if declared > stored else None


def _not_finite(path: Path, state: Mapping[str, TensorRecord], starts: Mapping[str, int]) -> str | None:
    blocks = {
        tensor.storage.key: StoredTensor(
            name=name,
            kind=tensor.storage.kind,
            start=starts[tensor.storage.key],
            n_bytes=tensor.storage.n_bytes,
        )
        for name, tensor in reversed(list(state.items()))
    }
    name = first_not_finite(path, blocks.values())
    return None if name is None else f"{name} holds numbers that are not finite"


def _read_zip(file: _Bounded, size_bytes: int) -> tuple[Any, Mapping[str, int]]:
    with zipfile.ZipFile(file) as archive:
        entries = {info.filename: info for info in archive.infolist()}
        if len(entries) != len(archive.infolist()):
            raise zipfile.BadZipFile("two of its entries have the same name")
        packed = [info.filename for info in entries.values() if info.compress_type != zipfile.ZIP_STORED]
        if packed:
            raise zipfile.BadZipFile(f"{packed[0][:80]!r} in it is compressed, which torch.save never does")
        if sum(info.file_size for info in entries.values()) > size_bytes:
            raise zipfile.BadZipFile("its entries claim more bytes than it has")
        root = next(iter(entries), "").partition("/")[0]
        if f"{root}/data.pkl" not in entries or f"{root}/constants.pkl" in entries:
            raise zipfile.BadZipFile("it holds no data.pkl as torch.save writes it")
        if entries[f"{root}/data.pkl"].file_size > MAX_READ_BYTES:
            raise zipfile.BadZipFile(f"its data.pkl is larger than {MAX_READ_BYTES >> 20} MiB")
        order = f"{root}/byteorder"
        if order in entries and archive.open(order).read(8) != b"little":
            raise zipfile.BadZipFile("its numbers are not little-endian")
        content, storages = read_pickle(io.BytesIO(archive.read(f"{root}/data.pkl")))
    return content, _zip_starts(file, storages.values(), entries, f"{root}/data/")


def _zip_starts(
    file: _Bounded, storages: Iterable[StorageRecord], entries: Mapping[str, zipfile.ZipInfo], prefix: str
) -> Mapping[str, int]:
    starts = {}
    for storage in storages:
        info = entries.get(f"{prefix}{storage.key}")
        if info is None or info.file_size < storage.n_bytes:
            raise zipfile.BadZipFile(
                f"storage {storage.key[:40]!r} declares {storage.n_bytes} bytes, which are not there"
            )
        file.seek(info.header_offset)
        header = file.read(_LOCAL_HEADER_BYTES)
        name_bytes, extra_bytes = struct.unpack_from("<HH", header, 26)
        starts[storage.key] = info.header_offset + _LOCAL_HEADER_BYTES + name_bytes + extra_bytes
    return starts


def _read_legacy(file: _Bounded, size_bytes: int) -> tuple[Any, Mapping[str, int]]:
    if file.read(1) != b"\x80":
        raise ValueError("it is neither a zip archive nor a pickle")
    file.seek(0)
    first, _ = read_pickle(file)
    if first != _LEGACY_MAGIC:
        # anything else that is pickled: what it asks for has been refused, what it is, is not a checkpoint
        raise ValueError("it does not begin as torch.save begins")
    for _ in range(2):  # the version of the protocol, and the sizes of C's types
        read_pickle(file)
    content, storages = read_pickle(file)
    keys, _ = read_pickle(file)
    if not isinstance(keys, list) or sorted(map(str, keys)) != sorted(storages):
        raise ValueError("the list of its storages is not that of its tensors")
    starts, position = {}, file.tell()
    for key in map(str, keys):
        file.seek(position)
        (length,) = struct.unpack("<q", file.read(8))
        if length != storages[key].length:
            raise ValueError(f"storage {key[:40]!r} has {length} numbers and declares {storages[key].length}")
        starts[key] = position + 8
        position = starts[key] + storages[key].n_bytes
        if position > size_bytes:
            raise ValueError(f"it ends at byte {size_bytes}, within a storage that ends at {position}")
    return content, starts


class _Bounded:
    """A file that refuses to read more than a few MiB at once, whatever a header declares."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file

    def read(self, size: int = -1) -> bytes:
        data = b"" if size > MAX_READ_BYTES else self._file.read(size if size >= 0 else MAX_READ_BYTES + 1)
        if size > MAX_READ_BYTES or len(data) > MAX_READ_BYTES:
            raise ValueError(f"a part of it declares more than {MAX_READ_BYTES >> 20} MiB")
        return data

    def readline(self) -> bytes:
        line = self._file.readline(MAX_READ_BYTES)
        if len(line) == MAX_READ_BYTES:
            raise ValueError("a line of it does not end")
        return line

    def seek(self, offset: int, whence: int = 0) -> int:
        return self._file.seek(offset, whence)

    def tell(self) -> int:
        return self._file.tell()

    def seekable(self) -> bool:
        return True
