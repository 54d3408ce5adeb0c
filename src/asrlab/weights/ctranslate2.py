"""The reader of ``model.bin``, the file of a CTranslate2 model.

Source: ``ctranslate2/specs/model_spec.py`` (``_serialize``) of CTranslate2 4; little-endian throughout::

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
from asrlab.weights.safetensors_check import StoredTensor

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    import numpy as np
    import numpy.typing as npt


_VERSION = 6
_KINDS = ("float32", "int8", "int16", "int32", "float16", "bfloat16")  # by code
_DTYPES = {"bfloat16": "<u2", "float16": "<f2", "float32": "<f4", "int8": "<i1", "int16": "<i2", "int32": "<i4"}
# Far above any real model: large-v3 has 1,289 variables of rank 3 at most.
_MAX_VARIABLES = 20_000
_MAX_RANK = 8
MAX_LAYERS = 1000


@attrs.frozen(kw_only=True)
class CTranslate2Model:
    """The variables of a CTranslate2 model.

    Attributes:
        path: The ``model.bin`` of the model.
        spec: The kind of model, such as ``WhisperSpec``.
        revision: The revision of that kind.
        variables: Read-only arrays by name, aliases included, mapped from the file. NumPy has no bfloat16: such numbers
            are arrays of uint16.
        tensors: The position of each variable in the file and its number format, by the same names.
    """

    path: Path
    spec: str
    revision: int
    variables: Mapping[str, npt.NDArray[Any]]
    tensors: Mapping[str, StoredTensor]

    def array(self, name: str, *, rank: int) -> npt.NDArray[Any]:
        """Return the variable *name*.

        Raises:
            WeightsError: If there is no such variable, or one of another rank.
        """
        array = self.variables.get(name)
        if array is None:
            raise self.layout_error(f"it lacks {name!r}")
        if array.ndim != rank:
            raise self.layout_error(f"{name} has {array.ndim} dimensions, not {rank}")
        return array

    def count_layers(self, side: str) -> int:
        """Return the number of layers of the encoder or decoder.

        Raises:
            WeightsError: If the layers are not numbered from 0 without gaps.
        """
        pattern = re.compile(rf"{side}/layer_(\d{{1,4}})/")
        numbers = {match[1] for name in self.variables if (match := pattern.match(name))}
        if not 1 <= len(numbers) <= MAX_LAYERS or set(map(int, numbers)) != set(range(len(numbers))):
            raise self.layout_error(f"the layers of its {side} are numbered {sorted(map(int, numbers))[:20]}")
        return len(numbers)

    def layout_error(self, reason: str) -> WeightsError:
        """Return the error for a model that is not laid out as Whisper is."""
        return WeightsError(
            f"{self.path} is not laid out as a Whisper model, or is damaged: {reason}; fetch the weights again, or "
            "give another folder",
            model=str(self.path),
        )


def read_ctranslate2(path: Path) -> CTranslate2Model:
    """Map the variables of the ``model.bin`` at *path* into memory.

    Raises:
        WeightsError: If the file is missing, truncated, or not a CTranslate2 model of a supported version.
    """
    import numpy as np

    try:
        if path.stat().st_size == 0:
            raise WeightsError(f"{path} is empty; fetch the weights again", model=str(path))
        data = np.memmap(path, dtype=np.uint8, mode="r")
    except OSError as error:
        if isinstance(error, WeightsError):
            raise
        raise WeightsError(f"cannot read {path}: {error.strerror or error}", model=str(path)) from error
    return _ModelReader(path, data).model()


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
            raise self._bad(f"its version is {version}, not {_VERSION}")
        spec, revision = self._string(), self._number("I")
        for _ in range(self._count()):
            self._variable(self._string())
        for _ in range(self._count()):
            alias, name = self._string(), self._string()
            if name not in self._variables:
                raise self._bad(f"{alias!r} refers to {name!r}, which is missing")
            self._add(alias, self._variables[name], self._tensors[name])
            scale = f"{name}_scale"  # CTranslate2 aliases the scale, too
            if scale in self._variables and f"{alias}_scale" not in self._variables:
                self._add(f"{alias}_scale", self._variables[scale], self._tensors[scale])
        if self._offset != len(self._data):
            raise self._bad(f"{len(self._data) - self._offset} bytes follow its end")
        return CTranslate2Model(
            path=self._path, spec=spec, revision=revision, variables=self._variables, tensors=self._tensors
        )

    def _add(self, name: str, array: npt.NDArray[Any], tensor: StoredTensor) -> None:
        if name in self._variables:
            raise self._bad(f"the name {name!r} occurs twice")
        self._variables[name], self._tensors[name] = array, tensor

    def _variable(self, name: str) -> None:
        import numpy as np

        rank = self._number("B")
        if rank > _MAX_RANK:
            raise self._bad(f"a variable has {rank} dimensions")
        shape = tuple(self._number("I") for _ in range(rank))
        code, n_bytes = self._number("B"), self._number("I")
        if code >= len(_KINDS):
            raise self._bad(f"a variable has the unknown data type {code}")
        kind = _KINDS[code]
        dtype = np.dtype(_DTYPES[kind])
        if math.prod(shape) * dtype.itemsize != n_bytes:
            raise self._bad(f"a variable of shape {shape} and type {kind} has {n_bytes} bytes")
        tensor = StoredTensor(name=name, kind=kind, start=self._offset, n_bytes=n_bytes)
        try:
            array = self._take(n_bytes).view(dtype).reshape(shape)
        except ValueError as error:  # a shape with a zero and more than NumPy can count
            raise self._bad(f"a variable has the shape {shape}") from error
        self._add(name, array, tensor)

    def _count(self) -> int:
        count = self._number("I")
        if count > _MAX_VARIABLES:
            raise self._bad(f"it claims {count} variables")
        return count

    def _number(self, code: str) -> int:
        (number,) = struct.unpack(f"<{code}", self._take(struct.calcsize(f"<{code}")).tobytes())
        return int(number)

    def _string(self) -> str:
        raw = self._take(self._number("H")).tobytes()
        try:
            text = raw.decode("utf-8")
        except UnicodeDecodeError as error:
            raise self._bad("a name is not text") from error
        if not text.endswith("\0"):
            raise self._bad("a name has no end")
        return text[:-1]

    def _take(self, n_bytes: int) -> npt.NDArray[np.uint8]:
        end = self._offset + n_bytes
        if end > len(self._data):
            raise self._bad(f"it ends at byte {len(self._data)}, but a part of it ends at {end}")
        block = self._data[self._offset : end]
        self._offset = end
        return block

    def _bad(self, reason: str) -> WeightsError:
        return WeightsError(
            f"{self._path} is not a CTranslate2 model, or is damaged: {reason}; fetch the weights again",
            model=str(self._path),
        )
