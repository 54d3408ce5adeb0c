"""A tensor whose device is ``mps:0`` for Python and for PyTorch's C++, with its data in a CPU tensor.

The errors are those of the real MPS backend, with its messages, each marked as simulated. Source: torch 2.9.1 and
2.11.0; each function names the file.
"""
# ruff: noqa: SLF001 - torch makes wrapper subclasses only through underscored functions

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable
from typing import Any, Protocol, Self

import numpy as np
import torch

DEVICE = torch.device("mps:0")
_GROWTH_BYTES = 2**50


class Dispatcher(Protocol):
    """The backend that runs the ops on a tensor, and says whether sparse tensors can be on the device."""

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
        """Put *cpu_tensor* on the device; raise as MPS does for a dtype or a layout that it does not support."""
        require_supported(cpu_tensor.dtype)
        if cpu_tensor.layout is not torch.strided and not dispatcher.sparse:
            raise sparse_not_implemented("_sparse_coo_tensor_with_dims_and_tensors")
        if cpu_tensor.is_conj() or cpu_tensor.is_neg():
            # C++ reads the conjugate bit of the wrapper, so the CPU tensor must not have one
            cpu_tensor = cpu_tensor.resolve_conj().resolve_neg()
        geometry: dict[str, Any] = {"layout": cpu_tensor.layout}
        if cpu_tensor.layout is torch.strided:
            geometry |= {"strides": cpu_tensor.stride(), "storage_offset": cpu_tensor.storage_offset()}
            if not cpu_tensor.numel():  # an out= argument starts empty and grows; no memory is allocated
                geometry["storage_size"] = _GROWTH_BYTES
        self: Self = torch.Tensor._make_wrapper_subclass(
            cls, cpu_tensor.size(), device=DEVICE, dtype=cpu_tensor.dtype, requires_grad=requires_grad, **geometry
        )
        self.cpu_tensor, self.dispatcher = cpu_tensor.detach(), dispatcher
        return self

    @classmethod
    def __torch_dispatch__(  # type: ignore[override]  # torch's stub leaves out the op
        cls, func: Any, types: Iterable[type], args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
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
        """Raise as the real device does, unless *force* is given."""
        if not force:
            raise not_to_numpy()
        return self.cpu_tensor.numpy(force=True)

    def tolist(self) -> Any:
        """Return the data as Python numbers."""
        return self.cpu_tensor.tolist()

    def cuda(self, *_: object, **__: object) -> torch.Tensor:
        """Raise as in a build without CUDA."""
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
        geometry = cpu_tensor.shape, cpu_tensor.stride(), cpu_tensor.storage_offset()
        if geometry == (self.shape, self.stride(), self.storage_offset()):
            return
        included = torch._C._meta_in_tls_dispatch_include()
        with torch.utils._mode_utils.no_dispatch():
            # the wrapper has no memory; a meta tensor accepts any geometry
            torch._C._set_meta_in_tls_dispatch_include(True)  # noqa: FBT003 - C++ signature
            try:
                torch.ops.aten.as_strided_.default(self, *geometry)
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


def _to_mps(cpu_tensor: torch.Tensor) -> torch.Tensor:
    return cpu_tensor.to("mps")


def not_compiled_with_cuda() -> AssertionError:
    """Build the error of any CUDA call in a build for macOS. Source: ``torch/cuda/__init__.py``."""
    return AssertionError("Torch not compiled with CUDA enabled (simulated)")


def require_supported(dtype: torch.dtype | None) -> None:
    """Raise the real backend's TypeError if MPS does not support *dtype*.

    The real backend accepts a complex128 tensor and refuses its first use; the simulation refuses the tensor itself.
    Source: ``aten/src/ATen/mps/EmptyTensor.cpp``, ``aten/src/ATen/native/mps/OperationUtils.mm``.
    """
    if dtype is torch.float64:
        raise TypeError(
            "Cannot convert a MPS Tensor to float64 dtype as the MPS framework doesn't support float64. "
            "Please use float32 instead. (simulated)"
        )
    if dtype is torch.complex128:
        raise TypeError(
            "Trying to convert ComplexDouble to the MPS backend but it does not have support for that dtype. "
            "(simulated)"
        )


def not_to_numpy() -> TypeError:
    """Build the error of ``.numpy()``. Source: ``torch/csrc/utils/tensor_numpy.cpp``."""
    return TypeError(
        "can't convert mps:0 device type tensor to numpy. Use Tensor.cpu() to copy the tensor to host memory first. "
        "(simulated)"
    )


def not_on_one_device(op: str) -> RuntimeError:
    """Build TensorIterator's error of an op on two devices; other kernels word their RuntimeError differently.

    Source: ``aten/src/ATen/TensorIterator.cpp``.
    """
    return RuntimeError(
        "Expected all tensors to be on the same device, but found at least two devices, mps:0 and cpu! "
        f"(aten::{op}) (simulated)"
    )


def not_implemented(op: str) -> NotImplementedError:
    """Build the error of an op without a kernel. Source: ``aten/src/ATen/mps/MPSFallback.mm``."""
    return NotImplementedError(
        f"The operator 'aten::{op}' is not currently implemented for the MPS device. If you want this op to be "
        "considered for addition please comment on https://github.com/pytorch/pytorch/issues/141287 and mention "
        f"use-case, that resulted in missing op as well as commit hash {torch.version.git_version}. As a temporary "
        "fix, you can set the environment variable `PYTORCH_ENABLE_MPS_FALLBACK=1` to use the CPU as a fallback for "
        "this op. WARNING: this will be slower than running natively on MPS. (simulated)"
    )


def fallback_warning(op: str) -> str:
    """Return the warning for an op that falls back to the CPU. Source: ``aten/src/ATen/mps/MPSFallback.mm``."""
    return (
        f"The operator 'aten::{op}' is not currently supported on the MPS backend and will fall back to run on the "
        "CPU. This may have performance implications. (simulated)"
    )


def sparse_not_implemented(op: str) -> NotImplementedError:
    """Build the error of a sparse op without a kernel, which with torch 2.8 and earlier is every sparse op.

    Source: ``aten/src/ATen/core/dispatch/OperatorEntry.cpp``; pytorch issue 141711.
    """
    return NotImplementedError(
        f"Could not run 'aten::{op}' with arguments from the 'SparseMPS' backend. This could be because the operator "
        "doesn't exist for this backend, or was omitted during the selective/custom build process (if using custom "
        "build). (simulated)"
    )
