"""The layout of Whisper models, and the check of an openai-whisper ``.pt`` file before PyTorch opens it.

No declared size is allocated. Both layouts of ``torch.save`` are read: a zip archive whose entries are stored as they
are, and the older sequence of pickles followed by the numbers.

Source: ``torch/serialization.py`` of PyTorch 2.11, ``whisper/model.py`` of openai-whisper 20250625.
"""

from __future__ import annotations

import io
import math
import struct
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import attrs

from asrlab.weights.pickle_reader import MAX_READ_BYTES, PickleError, StorageRecord, TensorRecord, read_pickle
from asrlab.weights.safetensors_check import FLOAT_KINDS, StoredTensor, check_finite, read_errors, weights_error

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import torch


@attrs.frozen(kw_only=True)
class WhisperDims:
    """The dimensions of a Whisper model, named and ordered as in ``whisper.model.ModelDimensions``.

    Encoder (``audio``) and decoder (``text``) each have positions (``ctx``), a width (``state``), attention heads in
    each layer, and layers; 1500 positions of the encoder are 30 seconds.
    """

    n_mels: int
    n_audio_ctx: int
    n_audio_state: int
    n_audio_head: int
    n_audio_layer: int
    n_vocab: int
    n_text_ctx: int
    n_text_state: int
    n_text_head: int
    n_text_layer: int

    def as_dict(self) -> dict[str, int]:
        """Return the dimensions as keyword arguments of ``whisper.model.ModelDimensions``."""
        return attrs.asdict(self)


@attrs.frozen(kw_only=True)
class OpenAICheckpoint:
    """The content of an openai-whisper ``.pt`` file.

    Attributes:
        dims: The model's dimensions.
        state_dict: The parameters on the CPU, in their stored type (float16 in Systran's folders).
    """

    dims: WhisperDims
    state_dict: Mapping[str, torch.Tensor]


@attrs.frozen
class WhisperVariable:
    """A variable of a Whisper model in CTranslate2's layout, and the *tensors* of openai-whisper that make it up.

    CTranslate2 joins projections of the same input: query, key and value. The tensors are equal parts of the variable.
    An empty name is the bias of a key: zeros in CTranslate2, and no tensor of openai-whisper.
    """

    name: str
    shape: tuple[int, ...]
    tensors: tuple[str, ...]


# The attention blocks of a layer: CTranslate2's name, openai-whisper's, and the projections that CTranslate2 joins.
_SELF_ATTENTION = ("self_attention", "attn", (("query", "key", "value"), ("out",)))
_CROSS_ATTENTION = ("attention", "cross_attn", (("query",), ("key", "value"), ("out",)))


def whisper_variables(dims: WhisperDims, hidden_size: Callable[[str], int] | None = None) -> Iterator[WhisperVariable]:
    """Yield the variables of a Whisper model of these *dims*.

    Args:
        dims: The dimensions.
        hidden_size: Returns the width of the hidden layer of the layer with this name in CTranslate2; None is Whisper's
            own, four times the model's width.
    """
    sides = {
        "encoder": (dims.n_audio_ctx, dims.n_audio_state, dims.n_audio_layer, "ln_post", (_SELF_ATTENTION,)),
        "decoder": (dims.n_text_ctx, dims.n_text_state, dims.n_text_layer, "ln", (_SELF_ATTENTION, _CROSS_ATTENTION)),
    }
    width, text_width = dims.n_audio_state, dims.n_text_state
    yield from _affine("encoder/conv1", ("encoder.conv1",), (width, dims.n_mels, 3))
    yield from _affine("encoder/conv2", ("encoder.conv2",), (width, width, 3))
    yield WhisperVariable("decoder/embeddings/weight", (dims.n_vocab, text_width), ("decoder.token_embedding.weight",))
    for side, (positions, width, n_layers, norm, attentions) in sides.items():
        encodings = f"{side}/position_encodings/encodings"
        yield WhisperVariable(encodings, (positions, width), (f"{side}.positional_embedding",))
        yield from _norm(f"{side}/layer_norm", f"{side}.{norm}", width)
        for index in range(n_layers):
            layer, block = f"{side}/layer_{index}", f"{side}.blocks.{index}"
            for name, short, groups in attentions:
                yield from _norm(f"{layer}/{name}/layer_norm", f"{block}.{short}_ln", width)
                for number, group in enumerate(groups):
                    targets = tuple(f"{block}.{short}.{projection}" for projection in group)
                    yield from _affine(f"{layer}/{name}/linear_{number}", targets, (len(group) * width, width))
            hidden = 4 * width if hidden_size is None else hidden_size(layer)
            yield from _norm(f"{layer}/ffn/layer_norm", f"{block}.mlp_ln", width)
            yield from _affine(f"{layer}/ffn/linear_0", (f"{block}.mlp.0",), (hidden, width))
            yield from _affine(f"{layer}/ffn/linear_1", (f"{block}.mlp.2",), (width, hidden))


def _affine(name: str, targets: tuple[str, ...], shape: tuple[int, ...]) -> Iterator[WhisperVariable]:
    biases = tuple("" if target.endswith(".key") else f"{target}.bias" for target in targets)
    yield WhisperVariable(f"{name}/weight", shape, tuple(f"{target}.weight" for target in targets))
    yield WhisperVariable(f"{name}/bias", shape[:1], biases)


def _norm(name: str, target: str, width: int) -> Iterator[WhisperVariable]:
    yield WhisperVariable(f"{name}/gamma", (width,), (f"{target}.weight",))
    yield WhisperVariable(f"{name}/beta", (width,), (f"{target}.bias",))


_LEGACY_MAGIC = 0x1950A86A20F9469CFC6C
_LOCAL_HEADER_BYTES = 30


def check_openai_checkpoint(path: Path) -> None:
    """Refuse a checkpoint that openai-whisper could not run, or that would need more memory than its size."""
    cure = "fetch it again, or give another file"
    try:
        with read_errors(path), path.open("rb") as file:
            archived = file.read(4) == b"PK\x03\x04"
            file.seek(0)
            content, starts = (_read_zip if archived else _read_legacy)(_Bounded(file), path.stat().st_size)
    except PickleError as error:
        raise weights_error(
            path,
            f"is not a checkpoint of openai-whisper that can be read as plain weights: it holds {error}; code in a "
            "checkpoint is never run",
            cure,
        ) from error
    except (zipfile.BadZipFile, struct.error, ValueError, LookupError, NotImplementedError, EOFError) as error:
        raise weights_error(path, f"is not a checkpoint of openai-whisper, or is damaged ({error})", cure) from error
    reason = _why_not(content)
    if reason is not None:
        raise weights_error(path, f"is not a Whisper model that can run: {reason}", cure)
    storages = {tensor.storage: name for name, tensor in reversed(content["model_state_dict"].items())}
    check_finite(
        path,
        [
            StoredTensor(name=name, kind=storage.kind, start=starts[storage.key], n_bytes=storage.n_bytes)
            for storage, name in storages.items()
        ],
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
        if tensor.storage.kind not in FLOAT_KINDS:
            return f"{str(name)[:80]} holds {tensor.storage.kind}, not floating-point numbers"
    reason = why_not_whisper(content["dims"], {name: tensor.shape for name, tensor in state.items()})
    # tensors may share a storage
    declared = sum(math.prod(tensor.shape) for tensor in state.values())
    stored = sum({tensor.storage.key: tensor.storage.length for tensor in state.values()}.values())
    if reason is None and declared > stored:
        return f"its tensors declare {declared:,} numbers, but it stores {stored:,}"
    return reason


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
    return content, {
        key: _zip_start(file, storage, entries.get(f"{root}/data/{key}")) for key, storage in storages.items()
    }


def _zip_start(file: _Bounded, storage: StorageRecord, info: zipfile.ZipInfo | None) -> int:
    if info is None or info.file_size < storage.n_bytes:
        raise zipfile.BadZipFile(f"storage {storage.key[:40]!r} declares {storage.n_bytes} bytes, which are not there")
    file.seek(info.header_offset)
    name_bytes, extra_bytes = struct.unpack_from("<HH", file.read(_LOCAL_HEADER_BYTES), 26)
    return int(info.header_offset + _LOCAL_HEADER_BYTES + name_bytes + extra_bytes)


def _read_legacy(file: _Bounded, size_bytes: int) -> tuple[Any, Mapping[str, int]]:
    if file.read(1) != b"\x80":
        raise ValueError("it is neither a zip archive nor a pickle")
    file.seek(0)
    if read_pickle(file)[0] != _LEGACY_MAGIC:
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
        self.seek, self.tell, self.seekable = file.seek, file.tell, file.seekable

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


_MELS = (80, 128)  # those that openai-whisper has filters for
_AUDIO_CTX = 1500  # positions of 30 s, to which every window is padded
_MIN_TEXT_CTX = 16
_MIN_VOCAB = 51_864  # of the English models, the smallest of Whisper's vocabularies
_STEM, _AUDIO_LAYER, _TEXT_LAYER = 11, 15, 24  # tensors
_MAX_SHOWN = 60


def why_not_whisper(dims: object, shapes: Mapping[object, tuple[int, ...]]) -> str | None:
    """Return why Whisper cannot run a model of these *dims* with tensors of these *shapes*, else None."""
    if not isinstance(dims, dict):
        return "its 'dims' are not a dictionary"
    names = [field.name for field in attrs.fields(WhisperDims)]
    if set(dims) != set(names):
        odd = sorted(set(names) ^ set(map(str, dims)))[:3]
        return f"its 'dims' are not the ten of a Whisper model ({', '.join(odd)})"
    for name in names:
        if type(dims[name]) is not int or not 1 <= dims[name] < 1 << 31:
            return f"its {name} is {_describe_value(dims[name])}, not a whole number from 1 up"
    known = WhisperDims(**dims)
    return _impossible_dims(known) or _wrong_shapes(known, shapes)


def _impossible_dims(dims: WhisperDims) -> str | None:
    width, text_width = dims.n_audio_state, dims.n_text_state
    rules = {
        f"its n_mels is {dims.n_mels}, not 80 or 128": dims.n_mels in _MELS,
        f"its n_audio_ctx is {dims.n_audio_ctx}, not {_AUDIO_CTX}": dims.n_audio_ctx == _AUDIO_CTX,
        f"its n_text_ctx is {dims.n_text_ctx}, less than {_MIN_TEXT_CTX}": dims.n_text_ctx >= _MIN_TEXT_CTX,
        f"its n_vocab is {dims.n_vocab}, less than Whisper's {_MIN_VOCAB}": dims.n_vocab >= _MIN_VOCAB,
        f"its n_audio_state is {width} and its n_text_state {text_width}; Whisper has one width for both": (
            width == text_width
        ),
        f"its width of {width} is not divisible by {dims.n_audio_head} heads": (
            width % dims.n_audio_head == width % 2 == 0
        ),
        f"its width of {text_width} is not divisible by {dims.n_text_head} heads": text_width % dims.n_text_head == 0,
    }
    return next((reason for reason, holds in rules.items() if not holds), None)


def _describe_value(value: object) -> str:
    if type(value) is int and value.bit_length() > _MAX_SHOWN:
        return f"a number of {value.bit_length()} bits"
    return repr(value)[:_MAX_SHOWN] if isinstance(value, int | float | str | None) else f"a {type(value).__name__}"


def _wrong_shapes(dims: WhisperDims, shapes: Mapping[object, tuple[int, ...]]) -> str | None:
    """Compare the counts first, so that no list is built for ten million declared layers."""
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
    expected = {
        name: (variable.shape[0] // len(variable.tensors), *variable.shape[1:])
        for variable in whisper_variables(dims)
        for name in filter(None, variable.tensors)
    }
    if missing := sorted(set(expected) - set(shapes)):
        return f"it lacks the tensor {missing[0]} ({len(missing)} in all)"
    if extra := sorted(str(name) for name in shapes if name not in expected):
        return f"it holds the tensor {_describe_value(extra[0])}, which Whisper does not have ({len(extra)} in all)"
    for name, shape in expected.items():
        if shapes[name] != shape:
            return f"{name} has the shape {shapes[name]}, not {shape}"
    return None
