"""Check a ``.pt`` file of openai-whisper before PyTorch opens it, without allocating declared sizes.

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
from asrlab.weights.ctranslate2_to_openai import WhisperDims
from asrlab.weights.pickle_reader import (
    MAX_READ_BYTES,
    PickleError,
    StorageRecord,
    TensorRecord,
    read_pickle,
)
from asrlab.weights.safetensors_check import StoredTensor, first_not_finite

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

_LEGACY_MAGIC = 0x1950A86A20F9469CFC6C
_LOCAL_HEADER_BYTES = 30
_FLOATS = ("float16", "bfloat16", "float32", "float64")


def check_openai_checkpoint(path: Path) -> None:
    """Refuse a checkpoint that openai-whisper could not run, or that would need more memory than its size.

    Raises:
        WeightsError: If the file cannot be read as plain weights, its dimensions or tensors are not those of a Whisper
            model, or a number is not finite.
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
    """Return why Whisper cannot run a model of these *dims* with tensors of these *shapes*, else None."""
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
        return "its 'model_state_dict' is not a dictionary"
    for name, tensor in state.items():
        if not isinstance(tensor, TensorRecord):
            return f"{str(name)[:80]} is a {type(tensor).__name__}, not a tensor"
        if tensor.storage.kind not in _FLOATS:
            return f"{str(name)[:80]} holds {tensor.storage.kind}, not floating-point numbers"
    return why_not_whisper(content["dims"], {name: tensor.shape for name, tensor in state.items()}) or _overlap(
        state.values()
    )


def _overlap(tensors: Iterable[TensorRecord]) -> str | None:
    """Return an error if the tensors, which may share storages, are together larger than the storages."""
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
        # any other pickle; the code that it asks for has been refused already
        raise ValueError("it does not begin as torch.save writes it")
    for _ in range(2):  # the version of the protocol, and the sizes of C's types
        read_pickle(file)
    content, storages = read_pickle(file)
    keys, _ = read_pickle(file)
    if not isinstance(keys, list) or sorted(map(str, keys)) != sorted(storages):
        raise ValueError("its list of storages does not match its tensors")
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
    """A file that refuses to read more than a few MiB at once, even if a header declares more."""

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


_NAMES = tuple(WhisperDims.__annotations__)
_MELS = (80, 128)  # those that openai-whisper has filters for
_AUDIO_CTX = 1500  # positions of 30 s, to which every window is padded
_MIN_TEXT_CTX = 16
_MIN_VOCAB = 51_864  # of the English models, the smallest of Whisper's vocabularies
_STEM, _AUDIO_LAYER, _TEXT_LAYER = 11, 15, 24  # tensors
_MAX_SHOWN = 60


def check_dims(dims: object) -> WhisperDims | str:
    """Return *dims* as a record if a Whisper model can have them, else the reason against them."""
    if not isinstance(dims, dict):
        return "its 'dims' are not a dictionary"
    if set(dims) != set(_NAMES):
        odd = sorted(set(_NAMES) ^ set(map(str, dims)))[:3]
        return f"its 'dims' are not the ten of a Whisper model ({', '.join(odd)})"
    for name in _NAMES:
        value = dims[name]
        if type(value) is not int or not 1 <= value < 1 << 31:
            return f"its {name} is {_describe_value(value)}, not a whole number from 1 up"
    known = WhisperDims(**{name: dims[name] for name in _NAMES})
    return known if (reason := _impossible_dims(known)) is None else reason


def _impossible_dims(dims: WhisperDims) -> str | None:
    wrong = {
        f"its n_mels is {dims.n_mels}, not 80 or 128": dims.n_mels not in _MELS,
        f"its n_audio_ctx is {dims.n_audio_ctx}, not {_AUDIO_CTX}": dims.n_audio_ctx != _AUDIO_CTX,
        f"its n_text_ctx is {dims.n_text_ctx}, less than {_MIN_TEXT_CTX}": dims.n_text_ctx < _MIN_TEXT_CTX,
        f"its n_vocab is {dims.n_vocab}, less than Whisper's {_MIN_VOCAB}": dims.n_vocab < _MIN_VOCAB,
        f"its n_audio_state is {dims.n_audio_state} and its n_text_state {dims.n_text_state}; Whisper has one width for"
        " both": dims.n_audio_state != dims.n_text_state,
        f"its width of {dims.n_audio_state} is not divisible by {dims.n_audio_head} heads": dims.n_audio_state
        % dims.n_audio_head
        != 0
        or dims.n_audio_state % 2 != 0,
        f"its width of {dims.n_text_state} is not divisible by {dims.n_text_head} heads": dims.n_text_state
        % dims.n_text_head
        != 0,
    }
    return next((reason for reason, applies in wrong.items() if applies), None)


def _describe_value(value: object) -> str:
    if type(value) is int and value.bit_length() > _MAX_SHOWN:
        return f"a number of {value.bit_length()} bits"
    return repr(value)[:_MAX_SHOWN] if isinstance(value, int | float | str | None) else f"a {type(value).__name__}"


def check_shapes(dims: WhisperDims, shapes: Mapping[object, tuple[int, ...]]) -> str | None:
    """Return why the names and *shapes* of tensors do not fit a model of these *dims*, else None.

    The count is compared first, so that no list is built for ten million declared layers.
    """
    odd = next((name for name in shapes if not isinstance(name, str)), None)
    if odd is not None:
        return f"a tensor has the name {_describe_value(odd)}, which is not text"
    count = _STEM + _AUDIO_LAYER * dims.n_audio_layer + _TEXT_LAYER * dims.n_text_layer
    # name the tensor if one or two are missing, the counts if many are
    if abs(count - len(shapes)) > _TEXT_LAYER:
        return (
            f"it declares {dims.n_audio_layer} and {dims.n_text_layer} layers, which are {count} tensors, but holds "
            f"{len(shapes)}"
        )
    expected = dict(_expected_tensors(dims))
    if missing := sorted(set(expected) - set(shapes)):
        return f"it lacks the tensor {missing[0]} ({len(missing)} in all)"
    if extra := sorted(str(name) for name in shapes if name not in expected):
        return f"it holds the tensor {_describe_value(extra[0])}, which Whisper does not have ({len(extra)} in all)"
    for name, shape in expected.items():
        if shapes[name] != shape:
            return f"{name} has the shape {shapes[name]}, not {shape}"
    return None


def _expected_tensors(dims: WhisperDims) -> Iterator[tuple[str, tuple[int, ...]]]:
    width, text_width = dims.n_audio_state, dims.n_text_state
    yield from _affine("encoder.conv1", width, dims.n_mels, 3)
    yield from _affine("encoder.conv2", width, width, 3)
    yield "encoder.positional_embedding", (dims.n_audio_ctx, width)
    yield from _affine("encoder.ln_post", width)
    yield "decoder.token_embedding.weight", (dims.n_vocab, text_width)
    yield "decoder.positional_embedding", (dims.n_text_ctx, text_width)
    yield from _affine("decoder.ln", text_width)
    for layer in range(dims.n_audio_layer):
        yield from _block(f"encoder.blocks.{layer}", width, ("attn",))
    for layer in range(dims.n_text_layer):
        yield from _block(f"decoder.blocks.{layer}", text_width, ("attn", "cross_attn"))


def _block(prefix: str, width: int, attentions: tuple[str, ...]) -> Iterator[tuple[str, tuple[int, ...]]]:
    for attention in attentions:
        for name in ("query", "value", "out"):
            yield from _affine(f"{prefix}.{attention}.{name}", width, width)
        yield f"{prefix}.{attention}.key.weight", (width, width)
        yield from _affine(f"{prefix}.{attention}_ln", width)
    yield from _affine(f"{prefix}.mlp.0", 4 * width, width)
    yield from _affine(f"{prefix}.mlp.2", width, 4 * width)
    yield from _affine(f"{prefix}.mlp_ln", width)


def _affine(prefix: str, *shape: int) -> Iterator[tuple[str, tuple[int, ...]]]:
    yield f"{prefix}.weight", shape
    yield f"{prefix}.bias", shape[:1]
