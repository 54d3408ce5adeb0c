"""Changes to torch while MPS is simulated: replaced functions, a function mode, and an entry for MPS in a C++ table."""

from __future__ import annotations

import ctypes
import functools
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from torch.overrides import TorchFunctionMode
from torch.utils._pytree import tree_map

from asrlab.errors import DeviceUnavailableError
from asrlab.testing.mps.backend import Backend
from asrlab.testing.mps.ops import Route
from asrlab.testing.mps.tensor import DEVICE, SimulatedTensor, is_mps, not_compiled_with_cuda, not_on_one_device, unwrap

_ATTENTION = "scaled_dot_product_attention"
_FROM_DATA = (torch.tensor, torch.as_tensor, torch.asarray)
_INDEXED = (torch.Tensor.__getitem__, torch.Tensor.__setitem__)
# c10::DeviceType, c10/core/DeviceType.h
_MPS, _META, _DEVICE_TYPES = 13, 14, 20
_REGISTRY = "_ZN3c104impl26device_guard_impl_registryE"


def install_device_guard() -> None:
    """Register the device guard of meta tensors, which does nothing, for MPS, which has none in a Linux build.

    Tensors may outlive the simulation and need the guard, so the entry remains for the life of the process.
    Source: ``c10/core/impl/DeviceGuardImplInterface.h``.
    """
    library = Path(torch.__file__).parent / "lib" / "libc10.so"
    try:
        registry = (ctypes.c_void_p * _DEVICE_TYPES).in_dll(ctypes.CDLL(str(library)), _REGISTRY)
    except (OSError, ValueError) as error:
        raise DeviceUnavailableError(
            f"the simulated MPS device needs the table of device guards in {library}, which cannot be read ({error}); "
            "use a Linux build of torch",
            device="mps",
        ) from error
    if not registry[_MPS]:
        registry[_MPS] = registry[_META]


@contextmanager
def replaced_functions() -> Iterator[None]:
    """Replace functions of torch until the block ends: MPS is available, CUDA is not, files load onto MPS."""
    with ExitStack() as stack:
        for module, name, replacement in _replacements():
            stack.callback(setattr, module, name, getattr(module, name))
            setattr(module, name, replacement)
        future = torch.__future__
        stack.callback(future.set_swap_module_params_on_conversion, future.get_swap_module_params_on_conversion())
        # assigning to param.data would lose the simulated tensor; a new parameter would untie tied parameters
        future.set_swap_module_params_on_conversion(True)
        yield


def _replacements() -> list[tuple[Any, str, Callable[..., Any]]]:
    mps = torch.backends.mps
    return [
        (mps, "is_available", _constant(mps.is_available, value=True)),
        (mps, "is_built", _constant(mps.is_built, value=True)),
        (torch.cuda, "is_available", _constant(torch.cuda.is_available, value=False)),
        (torch.cuda, "device_count", _constant(torch.cuda.device_count, value=0)),
        (torch.cuda, "_lazy_init", _raise_cuda_error),
        (torch.mps, "device_count", _constant(torch.mps.device_count, value=1)),
        (torch.mps, "synchronize", _constant(torch.mps.synchronize, value=None)),
        (torch.mps, "empty_cache", _constant(torch.mps.empty_cache, value=None)),
        (torch.mps, "current_allocated_memory", _constant(torch.mps.current_allocated_memory, value=0)),
        (torch.mps, "driver_allocated_memory", _constant(torch.mps.driver_allocated_memory, value=0)),
        (torch, "Event", _event(torch.Event)),
        (torch, "load", _loader(torch.load)),
    ]


def _constant(real: Callable[..., Any], *, value: Any) -> Callable[..., Any]:
    """Return a function that returns *value*, with an attribute ``simulated``."""

    def constant(*_: object, **__: object) -> Any:
        return value

    # torch's compiler reads __wrapped__
    marked: Any = functools.wraps(real)(constant)
    marked.simulated = True
    return cast("Callable[..., Any]", marked)


def _event(real: Any) -> Any:
    """Return a ``torch.Event`` that does not wait on MPS: a simulated op is complete when its call returns."""

    class Event(real):  # type: ignore[misc]
        def record(self, stream: Any = None) -> None:
            if not is_mps(self.device):
                super().record(stream)

        def wait(self, stream: Any = None) -> None:
            if not is_mps(self.device):
                super().wait(stream)

        def synchronize(self) -> None:
            if not is_mps(self.device):
                super().synchronize()

        def query(self) -> bool:
            return is_mps(self.device) or bool(super().query())

    return Event


def _raise_cuda_error() -> None:
    raise not_compiled_with_cuda()


def _loader(real: Callable[..., Any]) -> Callable[..., Any]:
    """Return a ``torch.load`` that loads to the CPU and then moves, if ``map_location`` is MPS."""

    def load(f: Any, map_location: Any = None, *arguments: Any, **options: Any) -> Any:
        if not is_mps(map_location):
            return real(f, map_location, *arguments, **options)
        return tree_map(_move_to_mps, real(f, "cpu", *arguments, **options))

    return load


def _move_to_mps(value: Any) -> Any:
    if isinstance(value, torch.nn.Parameter):
        return torch.nn.Parameter(value.detach().to("mps"), requires_grad=value.requires_grad)
    return value.to("mps") if isinstance(value, torch.Tensor) else value


class FunctionsMode(TorchFunctionMode):
    """A function mode for calls that torch's C++ decides before the dispatcher is asked; for one thread."""

    def __init__(self, backend: Backend) -> None:
        super().__init__()
        self.backend = backend

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        """Add the index to the device, and handle the functions that do not reach the dispatcher."""
        kwargs = dict(kwargs or {})
        if "device" in kwargs:
            kwargs["device"] = _with_index(kwargs["device"])
        if func is torch.Tensor.cuda:
            raise not_compiled_with_cuda()
        if func in _FROM_DATA and is_mps(kwargs.get("device")):
            return func(*map(unwrap, args), **kwargs | {"device": "cpu"}).to(DEVICE)
        if func is torch.Tensor.new_tensor and isinstance(args[0], SimulatedTensor):
            device = kwargs.pop("device", DEVICE)
            return func(args[0].cpu_tensor, *args[1:], **kwargs).to(device)
        if func is torch.Tensor.to:
            args = (args[0], *(_with_index(argument) for argument in args[1:]))
        elif func in _INDEXED and isinstance(args[0], SimulatedTensor):
            args = (args[0], _index_to_tensors(args[1]), *args[2:])
        elif getattr(func, "__name__", "") == _ATTENTION and _has_simulated(args, kwargs):
            return self._attend(func, args, kwargs)
        elif func is torch.nn.functional.linear and _has_simulated(args, kwargs) and not _needs_grad(args, kwargs):
            # Linux decomposes linear before dispatch; MPS has a kernel for linear
            return self.backend.dispatch(torch.ops.aten.linear.default, args, kwargs)
        return func(*args, **kwargs)

    def _attend(self, func: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Compute attention as one op: the table of attention implementations of a Linux build has no entry for MPS.

        Source: ``aten/src/ATen/native/transformers/attention.cpp``, ``_fused_sdp_choice_stub``.
        """
        tensors = [value for value in (*args, *kwargs.values()) if isinstance(value, torch.Tensor)]
        if not all(isinstance(tensor, SimulatedTensor) for tensor in tensors):
            raise not_on_one_device(_ATTENTION)
        if _needs_grad(args, kwargs):  # gradients flow through the composite only
            attention = torch.ops.aten._scaled_dot_product_attention_math  # noqa: SLF001 - not public
            return attention(*args, **kwargs)[0]
        self.backend.calls[_ATTENTION, Route.COMPOSITE] += 1
        self.backend.calls["_scaled_dot_product_attention_math_for_mps", Route.KERNEL] += 1
        cpu_kwargs = {name: unwrap(value) for name, value in kwargs.items()}
        return SimulatedTensor(func(*map(unwrap, args), **cpu_kwargs), self.backend)


def _with_index(value: Any) -> Any:
    """Add the index to ``mps``, which C++ would request from a driver; raise for CUDA."""
    if isinstance(value, str | torch.device):
        if str(value).partition(":")[0] == "cuda":
            raise not_compiled_with_cuda()
        return DEVICE if is_mps(value) else value
    return value


def _index_to_tensors(index: Any) -> Any:
    """Convert lists and arrays in an index to tensors: C++ would make them on the device, below the dispatcher."""
    if isinstance(index, tuple):
        return tuple(map(_index_to_tensors, index))
    if isinstance(index, np.ndarray):
        return torch.from_numpy(index)
    if isinstance(index, list) and index and all(isinstance(item, int | list) for item in index):
        return torch.tensor(index)
    return index


def _has_simulated(args: tuple[Any, ...], kwargs: dict[str, Any]) -> bool:
    return any(isinstance(value, SimulatedTensor) for value in (*args, *kwargs.values()))


def _needs_grad(args: tuple[Any, ...], kwargs: dict[str, Any]) -> bool:
    values = (*args, *kwargs.values())
    return torch.is_grad_enabled() and any(isinstance(value, torch.Tensor) and value.requires_grad for value in values)
