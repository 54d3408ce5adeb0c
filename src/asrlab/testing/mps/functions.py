"""Python-level calls that never reach the dispatcher, or reach it too late."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch.overrides import TorchFunctionMode

from asrlab.testing.mps.backend import Backend
from asrlab.testing.mps.errors import not_compiled_with_cuda, not_on_one_device
from asrlab.testing.mps.report import Route
from asrlab.testing.mps.tensor import DEVICE, SimulatedTensor, is_mps, unwrap

_ATTENTION = "scaled_dot_product_attention"


class FunctionsMode(TorchFunctionMode):
    """Sets right, for one thread, what torch's C++ decides before an op is dispatched."""

    def __init__(self, backend: Backend) -> None:
        super().__init__()
        self.backend = backend

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        """Name the device in full, and take the few functions apart that need it."""
        kwargs = dict(kwargs or {})
        if "device" in kwargs:
            kwargs["device"] = _device(kwargs["device"])
        if func is torch.Tensor.cuda:
            raise not_compiled_with_cuda()
        if func in _FROM_DATA and is_mps(kwargs.get("device")):
            return func(*map(unwrap, args), **kwargs | {"device": "cpu"}).to(DEVICE)
        if func is torch.Tensor.new_tensor and isinstance(args[0], SimulatedTensor):
            device = kwargs.pop("device", DEVICE)
            return func(args[0].numbers, *args[1:], **kwargs).to(device)
        if func is torch.Tensor.to:
            args = (args[0], *(_device(argument) for argument in args[1:]))
        elif func in _INDEXED and isinstance(args[0], SimulatedTensor):
            args = (args[0], _index(args[1]), *args[2:])
        elif getattr(func, "__name__", "") == _ATTENTION and _any_simulated(args, kwargs):
            return self._attend(func, args, kwargs)
        elif func is torch.nn.functional.linear and _any_simulated(args, kwargs) and not _needs_grad(args, kwargs):
            # Linux takes it apart before the backend is asked; MPS has a kernel for the whole
            return self.backend.dispatch(torch.ops.aten.linear.default, args, kwargs)
        return func(*args, **kwargs)

    def _attend(self, func: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Attention as one op: on Linux its table of implementations has no place for MPS.

        Source: ``aten/src/ATen/native/transformers/attention.cpp``, ``_fused_sdp_choice_stub``.
        """
        tensors = [value for value in (*args, *kwargs.values()) if isinstance(value, torch.Tensor)]
        if not all(isinstance(tensor, SimulatedTensor) for tensor in tensors):
            raise not_on_one_device(_ATTENTION)
        if _needs_grad(args, kwargs):
            return _attend_by_parts(*args, **kwargs)
        self.backend.tally.add(_ATTENTION, Route.COMPOSITE)
        self.backend.tally.add("_scaled_dot_product_attention_math_for_mps", Route.KERNEL)
        inner = {name: unwrap(value) for name, value in kwargs.items()}
        return SimulatedTensor(func(*map(unwrap, args), **inner), self.backend)


_FROM_DATA = (torch.tensor, torch.as_tensor, torch.asarray)
_INDEXED = (torch.Tensor.__getitem__, torch.Tensor.__setitem__)


def _attend_by_parts(
    query: Any,
    key: Any,
    value: Any,
    attn_mask: Any = None,
    dropout_p: float = 0.0,
    is_causal: bool = False,  # noqa: FBT001, FBT002 - torch's signature
    **options: Any,
) -> Any:
    """Attention that gradients flow through."""
    parts = torch.ops.aten._scaled_dot_product_attention_math(  # noqa: SLF001 - the public function is what is replaced
        query, key, value, attn_mask, dropout_p, is_causal, **options
    )
    return parts[0]


def _device(value: Any) -> Any:
    """``mps`` with its index, which C++ would ask a driver for; CUDA is refused; anything else as it is."""
    if isinstance(value, str | torch.device):
        if str(value).partition(":")[0] == "cuda":
            raise not_compiled_with_cuda()
        return DEVICE if is_mps(value) else value
    return value


def _index(index: Any) -> Any:
    """An index whose lists and arrays are tensors: C++ would make them on the device, below the dispatcher."""
    if isinstance(index, tuple):
        return tuple(map(_index, index))
    if isinstance(index, np.ndarray):
        return torch.from_numpy(index)
    if isinstance(index, list) and index and all(isinstance(item, int | list) for item in index):
        return torch.tensor(index)
    return index


def _any_simulated(args: tuple[Any, ...], kwargs: dict[str, Any]) -> bool:
    return any(isinstance(value, SimulatedTensor) for value in (*args, *kwargs.values()))


def _needs_grad(args: tuple[Any, ...], kwargs: dict[str, Any]) -> bool:
    values = (*args, *kwargs.values())
    return torch.is_grad_enabled() and any(isinstance(value, torch.Tensor) and value.requires_grad for value in values)
