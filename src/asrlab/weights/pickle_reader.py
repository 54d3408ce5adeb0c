"""Read the pickle of a PyTorch checkpoint as records: no code runs, nothing is imported, and no tensor is built.

Only the opcodes that ``torch.save`` writes for dictionaries of tensors are understood, and only the functions that
rebuild a dense tensor: sparse, quantized, complex and meta tensors are named and refused.

Source: ``torch/_weights_only_unpickler.py`` and ``torch/_utils.py`` of PyTorch 2.11.
"""

from __future__ import annotations

import pickletools
from typing import TYPE_CHECKING, Any

import attrs

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping


MAX_OPCODES = 500_000  # Whisper large-v3 has 1,259 tensors, which take about 50,000
MAX_READ_BYTES = 1 << 22
_MAX_RANK = 8

_STORAGES = {  # the number format, and its width in bytes
    "HalfStorage": ("float16", 2),
    "BFloat16Storage": ("bfloat16", 2),
    "FloatStorage": ("float32", 4),
    "DoubleStorage": ("float64", 8),
    "ByteStorage": ("uint8", 1),
    "CharStorage": ("int8", 1),
    "ShortStorage": ("int16", 2),
    "IntStorage": ("int32", 4),
    "LongStorage": ("int64", 8),
    "BoolStorage": ("bool", 1),
}
_REFUSED = {
    **dict.fromkeys(
        (
            "torch._utils _rebuild_sparse_tensor",
            "torch._utils _rebuild_sparse_csr_tensor",
            "torch.serialization _get_layout",
        ),
        "a sparse tensor",
    ),
    "torch._utils _rebuild_meta_tensor_no_storage": "a meta tensor, which has no numbers",
    "torch._utils _rebuild_qtensor": "a quantized tensor",
    **dict.fromkeys((f"torch {kind}Storage" for kind in ("QInt8", "QInt32", "QUInt8")), "a quantized tensor"),
    **dict.fromkeys((f"torch Complex{kind}Storage" for kind in ("Float", "Double")), "complex numbers"),
}


class PickleError(ValueError):
    """A pickle that is not a plain checkpoint; the message completes "the file holds ..."."""


@attrs.frozen
class StorageRecord:
    """A block of *length* numbers of the format *kind* beside the pickle."""

    key: str
    kind: str
    length: int
    n_bytes: int


@attrs.frozen
class TensorRecord:
    """The description of a tensor over a storage, without its numbers."""

    storage: StorageRecord
    shape: tuple[int, ...]


@attrs.frozen
class _Global:
    name: str


class _Ordered(dict[Any, Any]):
    """An ``OrderedDict``, or an object that is built like one."""


def read_pickle(file: Any) -> tuple[Any, Mapping[str, StorageRecord]]:
    """Read one pickle from *file*, which has ``read`` and ``readline``: its content, and its storages by key.

    Raises:
        PickleError: If the pickle is damaged, too large, or does more than describe tensors.
    """
    machine = _Machine()
    return machine.run(file), machine.storages


class _Machine:
    """A pickle machine: stack, memo and a function for each opcode."""

    def __init__(self) -> None:
        self._stack: list[Any] = []
        self._marks: list[int] = []
        self._memo: dict[int, Any] = {}
        self.storages: dict[str, StorageRecord] = {}
        self._opcodes = self._make_opcodes()

    def run(self, file: Any) -> object:
        try:
            for count, (opcode, argument, _) in enumerate(pickletools.genops(file)):
                if count >= MAX_OPCODES:
                    raise PickleError(f"a pickle of more than {MAX_OPCODES:,} steps")
                if opcode.name == "STOP":
                    return self._pop()
                handler = self._opcodes.get(opcode.name)
                if handler is None:
                    raise PickleError(f"the pickle opcode {opcode.name}, which plain weights do not need")
                handler(argument)
        except (ValueError, LookupError, TypeError, UnicodeError) as error:
            if isinstance(error, PickleError):
                raise
            raise PickleError(f"a pickle that is damaged ({str(error)[:200]})") from error
        raise PickleError("a pickle that does not end")

    def _make_opcodes(self) -> Mapping[str, Callable[[Any], None]]:
        push = self._stack.append
        values = ("BININT", "BININT1", "BININT2", "LONG1", "BINFLOAT", "BINUNICODE", "SHORT_BINSTRING")
        return {
            **dict.fromkeys(values, push),
            "NONE": lambda _: push(None),
            "NEWTRUE": lambda _: push(True),  # noqa: FBT003 - the value itself
            "NEWFALSE": lambda _: push(False),  # noqa: FBT003 - as above
            "PROTO": lambda _: None,
            "MARK": lambda _: self._marks.append(len(self._stack)),
            "EMPTY_TUPLE": lambda _: push(()),
            "EMPTY_LIST": lambda _: push([]),
            "EMPTY_DICT": lambda _: push({}),
            "TUPLE": lambda _: push(tuple(self._pop_mark())),
            "TUPLE1": lambda _: push(tuple(self._pop_many(1))),
            "TUPLE2": lambda _: push(tuple(self._pop_many(2))),
            "TUPLE3": lambda _: push(tuple(self._pop_many(3))),
            "APPEND": lambda _: self._extend(self._pop_many(1)),
            "APPENDS": lambda _: self._extend(self._pop_mark()),
            "SETITEM": lambda _: self._set(self._pop_many(2)),
            "SETITEMS": lambda _: self._set(self._pop_mark()),
            **dict.fromkeys(("BINPUT", "LONG_BINPUT"), lambda index: self._memo.update({index: self._stack[-1]})),
            **dict.fromkeys(("BINGET", "LONG_BINGET"), lambda index: push(self._memo[index])),
            "GLOBAL": lambda name: push(_Global(name)),
            "BINPERSID": lambda _: push(self._storage(self._pop())),
            "REDUCE": lambda _: push(_rebuild(*self._pop_many(2))),
            "BUILD": lambda _: self._build(),
        }

    def _storage(self, reference: object) -> StorageRecord:
        match reference:
            case ("storage", _Global(name), str(key), _, int(length), *_) if not isinstance(length, bool):
                module, _, kind = name.partition(" ")
                if name in _REFUSED:
                    raise PickleError(_REFUSED[name])
                if module != "torch" or kind not in _STORAGES:
                    raise PickleError(f"numbers of the type {name.replace(' ', '.')[:80]}")
                if length < 0:
                    raise PickleError("a storage of negative length")
            case _:
                raise PickleError("a reference to something other than a storage")
        number_format, width = _STORAGES[kind]
        storage = StorageRecord(key, number_format, length, length * width)
        if self.storages.setdefault(key, storage) != storage:
            raise PickleError(f"the storage {key[:40]!r} in two forms")
        return storage

    def _pop(self) -> Any:
        if not self._stack:
            raise PickleError("a pickle that pops from an empty stack")
        return self._stack.pop()

    def _pop_many(self, count: int) -> list[Any]:
        return [self._pop() for _ in range(count)][::-1]

    def _pop_mark(self) -> list[Any]:
        if not self._marks or self._marks[-1] > len(self._stack):
            raise PickleError("a pickle that pops from an empty stack")
        start = self._marks.pop()
        values = self._stack[start:]
        del self._stack[start:]
        return values

    def _extend(self, values: list[Any]) -> None:
        if not isinstance(self._stack[-1], list):
            raise PickleError("a pickle that appends to something other than a list")
        self._stack[-1].extend(values)

    def _set(self, pairs: list[Any]) -> None:
        target = self._stack[-1]
        if not isinstance(target, dict) or len(pairs) % 2:
            raise PickleError("a pickle that sets items of something other than a dictionary")
        for key, value in zip(pairs[::2], pairs[1::2], strict=True):
            # hashing a tuple of nested tuples can take forever
            if not isinstance(key, str | int | float | None):
                raise PickleError(f"a dictionary with a {type(key).__name__} for a key")
            target[key] = value

    def _build(self) -> None:
        self._pop()  # attributes of a state dictionary: the versions of its modules
        if not isinstance(self._stack[-1], _Ordered):
            raise PickleError("an object that is neither a dictionary nor a tensor")


def _rebuild(function: object, arguments: object) -> object:
    name = function.name if isinstance(function, _Global) else ""
    if name in _REFUSED:
        raise PickleError(_REFUSED[name])
    match name, arguments:
        case "collections OrderedDict", ():
            return _Ordered()
        case "torch._utils _rebuild_parameter", (TensorRecord() as tensor, *_):
            return tensor
        case "torch._utils _rebuild_tensor_v2", (StorageRecord() as storage, offset, shape, stride, *_):
            return _tensor(storage, offset, shape, stride)
    raise PickleError(f"the code {name.replace(' ', '.')[:80] or 'of an object'}")


def _tensor(storage: StorageRecord, offset: Any, shape: object, stride: object) -> TensorRecord:
    sizes, steps = _counts(shape), _counts(stride)
    if sizes is None or steps is None or len(sizes) != len(steps) or not _is_count(offset):
        raise PickleError("a tensor with an invalid shape")
    last = offset + sum((size - 1) * step for size, step in zip(sizes, steps, strict=True))
    if 0 not in sizes and last >= storage.length:
        raise PickleError(f"a tensor of shape {sizes} that reaches beyond the {storage.length} numbers of its storage")
    return TensorRecord(storage, sizes)


def _counts(value: object) -> tuple[int, ...] | None:
    if not isinstance(value, tuple | list) or len(value) > _MAX_RANK or not all(map(_is_count, value)):
        return None
    return tuple(value)


def _is_count(value: object) -> bool:
    return type(value) is int and 0 <= value < 1 << 62
