"""A tensor whose device is ``mps:0`` for Python and for PyTorch's C++, with its data in a CPU tensor."""
# ruff: noqa: SLF001 - torch makes wrapper subclasses only through underscored functions

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable
from typing import Any, Protocol, Self

import numpy as np
import torch

from asrlab.testing.mps.errors import (
    not_compiled_with_cuda,
    not_to_numpy,
    sparse_not_implemented,
    unsupported_dtype,
)

DEVICE = torch.device("mps:0")
_GROWTH_BYTES = 2**50


class Dispatcher(Protocol):
    """The backend that runs the ops on a tensor.

    Attributes:
        sparse: True if sparse tensors can be on the device.
    """

    sparse: bool

    def dispatch(self, func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Run one op."""


class SimulatedTensor(torch.Tensor):
    """A tensor on the simulated MPS device.

    The tensor refers to its dispatcher, so that it works in threads without the simulation's modes, too.

    Attributes:
        cpu_tensor: The CPU tensor with the data; shape, strides, dtype and layout are equal.
        dispatcher: The backend that runs the ops.
    """

    cpu_tensor: torch.Tensor
    dispatcher: Dispatcher
    _is_param: bool

    __torch_function__ = torch._C._disabled_torch_function_impl  # type: ignore[assignment]

    @staticmethod
    def __new__(
        cls: type[Self], cpu_tensor: torch.Tensor, dispatcher: Dispatcher, *, requires_grad: bool = False
    ) -> Self:
        """Put *cpu_tensor* on the device.

        Raises:
            TypeError: If MPS does not support the dtype.
            NotImplementedError: If the tensor is sparse and MPS does not support sparse tensors.
        """
        refusal = unsupported_dtype(cpu_tensor.dtype)
        if refusal is not None:
            raise refusal
        if cpu_tensor.layout is not torch.strided and not dispatcher.sparse:
            raise sparse_not_implemented("_sparse_coo_tensor_with_dims_and_tensors")
        if cpu_tensor.is_conj() or cpu_tensor.is_neg():
            # C++ reads the conjugate bit of the wrapper, so the CPU tensor must not have one
            cpu_tensor = cpu_tensor.resolve_conj().resolve_neg()
        self: Self = torch.Tensor._make_wrapper_subclass(
            cls,
            cpu_tensor.size(),
            device=DEVICE,
            dtype=cpu_tensor.dtype,
            requires_grad=requires_grad,
            **_geometry(cpu_tensor),
        )
        self.cpu_tensor, self.dispatcher = cpu_tensor.detach(), dispatcher
        return self

    @classmethod
    def __torch_dispatch__(  # type: ignore[override]  # torch's stub leaves out the op
        cls,
        func: Any,
        types: Iterable[type],
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        """Pass the op to the dispatcher of the first simulated tensor among the arguments."""
        flat = torch.utils._pytree.tree_leaves((args, kwargs))
        dispatcher = next(leaf.dispatcher for leaf in flat if isinstance(leaf, SimulatedTensor))
        return dispatcher.dispatch(func, args, kwargs or {})

    def __repr__(self, *, tensor_contents: object = None) -> str:  # type: ignore[override]
        return f"SimulatedTensor({self.cpu_tensor!r}, device='{DEVICE}')"

    def __format__(self, spec: str) -> str:
        return format(self.cpu_tensor, spec)

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        twin = type(self)(copy.deepcopy(self.cpu_tensor, memo), self.dispatcher, requires_grad=self.requires_grad)
        if getattr(self, "_is_param", False):
            twin._is_param = True
        memo[id(self)] = twin
        return twin

    def __reduce_ex__(self, protocol: object) -> tuple[Callable[[torch.Tensor], torch.Tensor], tuple[torch.Tensor]]:
        # pickled as a CPU tensor, which is moved to MPS where it is read
        return _to_mps, (self.cpu_tensor,)

    def __array__(self, dtype: object = None, copy: object = None) -> np.ndarray:
        raise not_to_numpy()

    def numpy(self, *, force: bool = False) -> np.ndarray:
        """Raise as the real device does, unless *force* is given.

        Raises:
            TypeError: Without *force*.
        """
        if not force:
            raise not_to_numpy()
        return self.cpu_tensor.numpy(force=True)

    def tolist(self) -> Any:
        """Return the data as Python numbers."""
        return self.cpu_tensor.tolist()

    def cuda(self, *_: object, **__: object) -> torch.Tensor:
        """Raise as in a build without CUDA.

        Raises:
            AssertionError: Always.
        """
        raise not_compiled_with_cuda()

    @property
    def is_sparse(self) -> bool:  # type: ignore[override]
        """True for a sparse COO tensor."""
        return self.cpu_tensor.is_sparse

    def copy_geometry(self) -> None:
        """Copy the geometry of the CPU tensor after an op, such as ``unsqueeze_``, changed it in place."""
        cpu_tensor = self.cpu_tensor
        if cpu_tensor.layout is not torch.strided:
            return
        own_geometry = self.shape, self.stride(), self.storage_offset()
        if own_geometry == (cpu_tensor.shape, cpu_tensor.stride(), cpu_tensor.storage_offset()):
            return
        included = torch._C._meta_in_tls_dispatch_include()
        with torch.utils._mode_utils.no_dispatch():
            # the wrapper has no memory; a meta tensor accepts any geometry
            torch._C._set_meta_in_tls_dispatch_include(True)  # noqa: FBT003 - C++ signature
            try:
                torch.ops.aten.as_strided_.default(
                    self, cpu_tensor.shape, cpu_tensor.stride(), cpu_tensor.storage_offset()
                )
            finally:
                torch._C._set_meta_in_tls_dispatch_include(included)


def is_mps(device: object) -> bool:
    """Return whether *device*, a name or a `torch.device`, is MPS."""
    if isinstance(device, str):
        return device.partition(":")[0] == "mps"
    return isinstance(device, torch.device) and device.type == "mps"


def unwrap(value: Any) -> Any:
    """Return the CPU tensor behind a simulated tensor; return any other value unchanged."""
    return value.cpu_tensor if isinstance(value, SimulatedTensor) else value


def _geometry(cpu_tensor: torch.Tensor) -> dict[str, Any]:
    if cpu_tensor.layout is not torch.strided:
        return {"layout": cpu_tensor.layout}
    geometry = {
        "strides": cpu_tensor.stride(),
        "storage_offset": cpu_tensor.storage_offset(),
        "layout": cpu_tensor.layout,
    }
    # an out= argument starts empty and grows; no memory is allocated
    return geometry if cpu_tensor.numel() else geometry | {"storage_size": _GROWTH_BYTES}


def _to_mps(cpu_tensor: torch.Tensor) -> torch.Tensor:
    return cpu_tensor.to("mps")
