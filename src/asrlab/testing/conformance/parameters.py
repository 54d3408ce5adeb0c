"""Where the parameters of a loaded model are, as the packages that hold them say."""

from __future__ import annotations

import sys
from collections import Counter, deque
from collections.abc import Iterable, Iterator, Mapping
from types import BuiltinFunctionType, CellType, FunctionType, MethodType, ModuleType
from typing import Any

_MOST_OBJECTS = 50_000
_NOT_WALKED = (str, bytes, int, float, type, ModuleType, BuiltinFunctionType, property)


def device_shares(transcriber: object) -> Mapping[str, float]:
    """Kinds of device, each with its share of the bytes of parameters; empty if nothing is found that tells.

    Torch's parameters count by their size. Where there are none, models of CTranslate2 and sessions of ONNX Runtime
    count alike.
    """
    sizes: Counter[str] = Counter()
    holders: Counter[str] = Counter()
    for each in _reachable(transcriber):
        for kind, size in _parameters(each):
            sizes[kind] += size
        if kind := _holder(each):
            holders[kind] += 1
    counted = sizes or holders
    return {kind: size / counted.total() for kind, size in counted.items()}


def _parameters(value: object) -> Iterator[tuple[str, int]]:
    torch = sys.modules.get("torch")
    if torch is not None and isinstance(value, torch.nn.Parameter):
        yield value.device.type, value.numel() * value.element_size()


def _holder(value: object) -> str:
    package = type(value).__module__.partition(".")[0]
    if package == "ctranslate2" and isinstance(device := getattr(value, "device", None), str):
        return device
    if package == "onnxruntime" and callable(providers := getattr(value, "get_providers", None)):
        return "cuda" if "CUDAExecutionProvider" in providers() else "cpu"
    return ""


def _reachable(root: object) -> Iterator[object]:
    """Objects that *root* holds, directly or not, each once."""
    torch = sys.modules.get("torch")
    tensor: tuple[type, ...] = (torch.Tensor,) if torch is not None else ()
    waiting, seen = deque([root]), {id(root)}
    while waiting and len(seen) < _MOST_OBJECTS:
        here = waiting.popleft()
        yield here
        for inner in () if isinstance(here, tensor) else _inside(here):
            if id(inner) not in seen and not isinstance(inner, _NOT_WALKED):
                seen.add(id(inner))
                waiting.append(inner)


def _inside(value: object) -> Iterable[Any]:
    if isinstance(value, Mapping):
        return [*value.values()]
    if isinstance(value, list | tuple | set | frozenset):
        return [*value]
    if isinstance(value, CellType):
        return _cell(value)
    if isinstance(value, FunctionType):
        return value.__closure__ or ()
    if isinstance(value, MethodType):
        return (value.__self__,)
    slots = [name for kind in type(value).__mro__ for name in vars(kind).get("__slots__", ()) if isinstance(name, str)]
    held = [getattr(value, name, None) for name in slots if not name.startswith("__")]
    return [*held, *getattr(value, "__dict__", {}).values()]


def _cell(cell: CellType) -> tuple[Any, ...]:
    try:
        return (cell.cell_contents,)
    except ValueError:  # not filled yet
        return ()
