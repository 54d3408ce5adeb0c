"""CTranslate2's Whisper models: the reader of ``model.bin``, its check, and the conversion to openai-whisper's format.

Source: ``python/ctranslate2/specs/model_spec.py`` (``_serialize``), ``converters/transformers.py`` (``WhisperLoader``)
and ``src/layers`` of CTranslate2 4.8; little-endian throughout::

    u32 version (6), string spec, u32 revision,
    u32 number of variables, each: string name, u8 rank, u32 per dimension, u8 dtype, u32 bytes, the data
    u32 number of aliases, each: string alias, string name of the variable

A string is a u16 length, counting a closing zero byte, and the bytes.
"""

from __future__ import annotations

import math
import re
import struct
from typing import TYPE_CHECKING, Any

import attrs

from asrlab.errors import WeightsError
from asrlab.weights.openai_checkpoint import OpenAICheckpoint, WhisperDims, whisper_variables
from asrlab.weights.safetensors_check import FLOAT_KINDS, StoredTensor, read_errors, weights_error

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    import numpy as np
    import numpy.typing as npt


_VERSION = 6
# by code; NumPy has no bfloat16
_DTYPES = {"float32": "<f4", "int8": "<i1", "int16": "<i2", "int32": "<i4", "float16": "<f2", "bfloat16": "<u2"}
# Far above any real model: large-v3 has 1,289 variables of rank 3 at most.
_MAX_VARIABLES = 20_000
_MAX_RANK = 8
_MAX_LAYERS = 1000
_MIN_AUDIO_CTX = 1500  # positions of a window of 30 s
_MIN_TEXT_CTX = 448  # maximum tokens that faster-whisper decodes
_HEAD_SIZE = 64  # in every Whisper model
# The accepted values of each setting; a setting that is not listed must be 0.
_SWITCHES = {
    "decoder/activation": range(8),
    "decoder/pre_norm": range(1, 2),
    "encoder/pre_norm": range(1, 2),
    "decoder/alignment_heads": range(1 << 15),
    "decoder/alignment_layer": range(-_MAX_LAYERS, _MAX_LAYERS),
}


@attrs.frozen(kw_only=True)
class CTranslate2Model:
    """The variables of a CTranslate2 model.

    Attributes:
        path: The ``model.bin`` of the model.
        spec: The kind of model, such as ``WhisperSpec``.
        revision: The revision of that kind.
        variables: Read-only arrays by name, aliases included, mapped from the file; those of bfloat16 are of uint16.
        tensors: The position of each variable in the file and its number format, by the same names.
    """

    path: Path
    spec: str
    revision: int
    variables: Mapping[str, npt.NDArray[Any]]
    tensors: Mapping[str, StoredTensor]

    def array(self, name: str, *, rank: int) -> npt.NDArray[Any]:
        """Return the variable *name*; refuse a model without it, or with one of another rank."""
        array = self.variables.get(name)
        if array is None:
            raise self.layout_error(f"it lacks {name!r}")
        if array.ndim != rank:
            raise self.layout_error(f"{name} has {array.ndim} dimensions, not {rank}")
        return array

    def shaped(self, name: str, shape: tuple[int, ...]) -> npt.NDArray[Any]:
        """Return the variable *name*; refuse a model without it, or with one of another shape."""
        array = self.array(name, rank=len(shape))
        if array.shape != shape:
            raise self.layout_error(f"{name} has the shape {array.shape}, not {shape}")
        return array

    def whisper_dims(self) -> WhisperDims:
        """Return the dimensions of a Whisper model; refuse a model with impossible ones."""
        width, n_mels, _ = self.array("encoder/conv1/weight", rank=3).shape
        n_audio_ctx, _ = self.array("encoder/position_encodings/encodings", rank=2).shape
        n_text_ctx, _ = self.array("decoder/position_encodings/encodings", rank=2).shape
        n_vocab, text_width = self.array("decoder/embeddings/weight", rank=2).shape
        return WhisperDims(
            n_mels=n_mels,
            n_audio_ctx=n_audio_ctx,
            n_audio_state=width,
            n_audio_head=self._count_heads("encoder", width),
            n_audio_layer=self._count_layers("encoder"),
            n_vocab=n_vocab,
            n_text_ctx=n_text_ctx,
            n_text_state=text_width,
            n_text_head=self._count_heads("decoder", text_width),
            n_text_layer=self._count_layers("decoder"),
        )

    def _count_layers(self, side: str) -> int:
        pattern = re.compile(rf"{side}/layer_(\d{{1,4}})/")
        numbers = {match[1] for name in self.variables if (match := pattern.match(name))}
        if not 1 <= len(numbers) <= _MAX_LAYERS or set(map(int, numbers)) != set(range(len(numbers))):
            raise self.layout_error(f"the layers of its {side} are numbered {sorted(map(int, numbers))[:20]}")
        return len(numbers)

    def _count_heads(self, side: str, width: int) -> int:
        name = f"{side}/num_heads"
        if name not in self.variables:
            return 8  # CTranslate2's own default
        array = self.array(name, rank=0)
        if array.dtype.kind != "i":
            raise self.layout_error(f"its {name} is not a whole number")
        heads = int(array)
        if heads < 1 or width % heads:
            raise self.layout_error(f"its {side} is {width} wide, which {heads} heads do not divide")
        return heads

    def layout_error(self, reason: str) -> WeightsError:
        """Return the error for a model that is not laid out as Whisper is."""
        return weights_error(
            self.path,
            f"is not laid out as a Whisper model, or is damaged: {reason}",
            "fetch the weights again, or give another folder",
        )


def read_ctranslate2(path: Path) -> CTranslate2Model:
    """Map the variables of the ``model.bin`` at *path* into memory; refuse a damaged file and other versions."""
    import numpy as np

    with read_errors(path):
        if path.stat().st_size == 0:
            raise weights_error(path, "is empty")
        return _ModelReader(path, np.memmap(path, dtype=np.uint8, mode="r")).model()


class _ModelReader:
    """A reader that walks through the bytes of a model and never reads past their end."""

    def __init__(self, path: Path, data: npt.NDArray[np.uint8]) -> None:
        self._path = path
        self._data = data
        self._offset = 0
        self._variables: dict[str, npt.NDArray[Any]] = {}
        self._tensors: dict[str, StoredTensor] = {}

    def model(self) -> CTranslate2Model:
        version = self._number("I")
        if version != _VERSION:
            raise self._error(f"its version is {version}, not {_VERSION}")
        spec, revision = self._string(), self._number("I")
        for _ in range(self._count()):
            name = self._string()
            self._add(name, *self._variable(name))
        for _ in range(self._count()):
            alias, name = self._string(), self._string()
            if name not in self._variables:
                raise self._error(f"{alias!r} refers to {name!r}, which is missing")
            self._add(alias, self._variables[name], self._tensors[name])
            scale = f"{name}_scale"  # CTranslate2 aliases the scale, too
            if scale in self._variables and f"{alias}_scale" not in self._variables:
                self._add(f"{alias}_scale", self._variables[scale], self._tensors[scale])
        if self._offset != len(self._data):
            raise self._error(f"{len(self._data) - self._offset} bytes follow its end")
        return CTranslate2Model(
            path=self._path, spec=spec, revision=revision, variables=self._variables, tensors=self._tensors
        )

    def _add(self, name: str, array: npt.NDArray[Any], tensor: StoredTensor) -> None:
        if name in self._variables:
            raise self._error(f"the name {name!r} occurs twice")
        self._variables[name], self._tensors[name] = array, tensor

    def _variable(self, name: str) -> tuple[npt.NDArray[Any], StoredTensor]:
        import numpy as np

        rank = self._number("B")
        if rank > _MAX_RANK:
            raise self._error(f"a variable has {rank} dimensions")
        shape = tuple(self._number("I") for _ in range(rank))
        code, n_bytes = self._number("B"), self._number("I")
        if code >= len(_DTYPES):
            raise self._error(f"a variable has the unknown data type {code}")
        kind = list(_DTYPES)[code]
        dtype = np.dtype(_DTYPES[kind])
        if math.prod(shape) * dtype.itemsize != n_bytes:
            raise self._error(f"a variable of shape {shape} and type {kind} has {n_bytes} bytes")
        tensor = StoredTensor(name=name, kind=kind, start=self._offset, n_bytes=n_bytes)
        try:
            return self._take(n_bytes).view(dtype).reshape(shape), tensor
        except ValueError as error:  # a shape with a zero and more than NumPy can count
            raise self._error(f"a variable has the shape {shape}") from error

    def _count(self) -> int:
        count = self._number("I")
        if count > _MAX_VARIABLES:
            raise self._error(f"it claims {count} variables")
        return count

    def _number(self, code: str) -> int:
        (number,) = struct.unpack(f"<{code}", self._take(struct.calcsize(f"<{code}")).tobytes())
        return int(number)

    def _string(self) -> str:
        try:
            text = self._take(self._number("H")).tobytes().decode("utf-8")
        except UnicodeDecodeError as error:
            raise self._error("a name is not text") from error
        if not text.endswith("\0"):
            raise self._error("a name has no end")
        return text[:-1]

    def _take(self, n_bytes: int) -> npt.NDArray[np.uint8]:
        start, self._offset = self._offset, self._offset + n_bytes
        if self._offset > len(self._data):
            raise self._error(f"it ends at byte {len(self._data)}, but a part of it ends at {self._offset}")
        return self._data[start : self._offset]

    def _error(self, reason: str) -> WeightsError:
        return weights_error(self._path, f"is not a CTranslate2 model, or is damaged: {reason}")


def check_layout(model: CTranslate2Model) -> WhisperDims:
    """Refuse a Whisper model that CTranslate2 could not run, and return its dimensions.

    CTranslate2 trusts shapes and head counts: wrong ones kill the process with a signal. Every format that its
    converters write is accepted, with any number of layers, heads and mel bands.
    """
    dims = model.whisper_dims()
    width = dims.n_audio_state
    if not (width and dims.n_mels and dims.n_vocab):
        raise model.layout_error("a dimension of it is 0")
    if dims.n_audio_ctx < _MIN_AUDIO_CTX or dims.n_text_ctx < _MIN_TEXT_CTX:
        raise model.layout_error(
            f"it has positions for {dims.n_audio_ctx} frames and {dims.n_text_ctx} tokens; Whisper needs "
            f"{_MIN_AUDIO_CTX} and {_MIN_TEXT_CTX}"
        )

    def hidden_size(layer: str) -> int:
        hidden, _ = model.array(f"{layer}/ffn/linear_0/weight", rank=2).shape
        if not hidden:
            raise model.layout_error(f"{layer}/ffn/linear_0/weight is empty")
        return int(hidden)

    shapes = {each.name: each.shape for each in whisper_variables(attrs.evolve(dims, n_text_state=width), hidden_size)}
    shapes["decoder/projection/weight"] = (dims.n_vocab, width)
    if "decoder/projection/bias" in model.variables:
        shapes["decoder/projection/bias"] = (dims.n_vocab,)
    known = {f"{side}/num_heads" for side in ("encoder", "decoder")}
    for name, shape in shapes.items():
        known.update(_check_variable(model, name, shape))
    for name, array in model.variables.items():
        if name in known:
            continue
        # integer scalars are settings, not weights; newer converters write more of them than older ones
        if array.ndim or array.dtype.kind != "i":
            raise model.layout_error(f"it holds {name[:80]!r}, which Whisper does not have")
        if int(array) not in _SWITCHES.get(name, range(1)):
            raise model.layout_error(f"its {name} is {int(array)}, which is not Whisper's")
    return dims


def _check_variable(model: CTranslate2Model, name: str, shape: tuple[int, ...]) -> tuple[str, ...]:
    """Check a variable, and a quantised weight's scale: int8 has one for each row, int16 a single one."""
    model.shaped(name, shape)
    kind, scale = model.tensors[name].kind, f"{name}_scale"
    scale_shapes = {"int8": shape[:1], "int16": ()}
    if kind in FLOAT_KINDS:
        return (name,)
    if not name.endswith("/weight"):
        raise model.layout_error(f"{name} holds {kind}, not floating-point numbers")
    if kind not in scale_shapes:
        raise model.layout_error(f"{name} holds {kind}, which Whisper cannot compute with")
    if kind == "int16" and scale not in model.variables:
        return (name,)
    scales = model.shaped(scale, scale_shapes[kind])
    if model.tensors[scale].kind != "float32" or not (scales > 0).all():
        raise model.layout_error(f"{scale} holds scales that are not above 0")
    return (name, scale)


def convert(folder: Path) -> OpenAICheckpoint:
    """Convert the CTranslate2 Whisper model in *folder* to an openai-whisper checkpoint, without loss.

    Raises:
        WeightsError: If there is no such model, or the model is quantised, damaged, or not laid out as Whisper is.
    """
    import numpy as np
    import torch

    model = read_ctranslate2(folder / "model.bin")
    if model.spec != "WhisperSpec":
        raise WeightsError(f"{model.path} is a {model.spec}, not a Whisper model", model=str(model.path))
    dims = model.whisper_dims()
    sides = {"encoder": (dims.n_audio_state, dims.n_audio_head), "decoder": (dims.n_text_state, dims.n_text_head)}
    for side, (width, heads) in sides.items():
        if heads * _HEAD_SIZE != width:
            raise model.layout_error(
                f"its {side} is {width} wide with {heads} heads; a head of Whisper is {_HEAD_SIZE} wide"
            )
    for name, array in model.variables.items():
        if array.ndim and array.dtype.kind != "f":
            raise WeightsError(
                f"{model.path}: {name} is {model.tensors[name].kind}; quantised weights cannot be converted without "
                "loss; give the float16 folder",
                model=str(model.path),
            )
    state, known = {}, {"decoder/projection/weight"}
    for variable in whisper_variables(dims):
        known.add(variable.name)
        parts = np.split(model.shaped(variable.name, variable.shape), len(variable.tensors))
        for target, part in zip(variable.tensors, parts, strict=True):
            if target:
                state[target] = torch.from_numpy(np.array(part))
            elif part.any():
                raise model.layout_error(f"{variable.name} gives the key a bias, which Whisper does not have")
    # Whisper has one matrix for both, so a different output matrix would be lost
    tied, output = "decoder/embeddings/weight", "decoder/projection/weight"
    if output in model.variables and not np.shares_memory(model.variables[tied], model.variables[output]):
        raise model.layout_error(f"its {output} is not its {tied}")
    if unused := sorted(name for name, array in model.variables.items() if name not in known and array.ndim):
        raise model.layout_error(f"it holds {unused[0]!r}, which Whisper does not have")
    return OpenAICheckpoint(dims=dims, state_dict=state)
