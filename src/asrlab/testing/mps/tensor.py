"""A tensor whose device is ``mps:0`` for Python and for PyTorch's C++, with its numbers in a CPU tensor."""
# ruff: noqa: SLF001 - wrapper subclasses are made through torch's own underscored functions

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
_ROOM_BYTES = 2**50


class Host(Protocol):
    """What answers the ops on a tensor.

    Attributes:
        sparse: Whether sparse tensors can be on the device.
    """

    sparse: bool

    def dispatch(self, func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Run one op."""


class SimulatedTensor(torch.Tensor):
    """A tensor on the simulated MPS device.

    It brings its own ops along, so that it works in threads without the simulation's modes, too.

    Attributes:
        numbers: The CPU tensor behind it; shape, strides, dtype and layout are this tensor's.
        host: What answers its ops.
    """

    numbers: torch.Tensor
    host: Host
    _is_param: bool

    __torch_function__ = torch._C._disabled_torch_function_impl  # type: ignore[assignment]

    @staticmethod
    def __new__(cls: type[Self], numbers: torch.Tensor, host: Host, *, requires_grad: bool = False) -> Self:
        """Put *numbers* on the device.

        Raises:
            TypeError: MPS lacks the dtype.
            NotImplementedError: It is sparse, and MPS lacks that.
        """
        refusal = unsupported_dtype(numbers.dtype)
        if refusal is not None:
            raise refusal
        if numbers.layout is not torch.strided and not host.sparse:
            raise sparse_not_implemented("_sparse_coo_tensor_with_dims_and_tensors")
        if numbers.is_conj() or numbers.is_neg():
            # C++ asks the wrapper whether it is conjugated, so its numbers must not be
            numbers = numbers.resolve_conj().resolve_neg()
        self: Self = torch.Tensor._make_wrapper_subclass(
            cls, numbers.size(), device=DEVICE, dtype=numbers.dtype, requires_grad=requires_grad, **_geometry(numbers)
        )
        self.numbers, self.host = numbers.detach(), host
        return self

    @classmethod
    def __torch_dispatch__(  # type: ignore[override]  # torch's stub leaves out the op
        cls,
        func: Any,
        types: Iterable[type],
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        """Hand the op to the host of the first simulated tensor among the arguments."""
        flat = torch.utils._pytree.tree_leaves((args, kwargs))
        host = next(leaf.host for leaf in flat if isinstance(leaf, SimulatedTensor))
        return host.dispatch(func, args, kwargs or {})

    def __repr__(self, *, tensor_contents: object = None) -> str:  # type: ignore[override]
        """The numbers, and that the device is simulated."""
        return f"SimulatedTensor({self.numbers!r}, device='{DEVICE}')"

    def __format__(self, spec: str) -> str:
        """A single number is formatted as a number, as plain tensors do."""
        return format(self.numbers, spec)

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        twin = type(self)(copy.deepcopy(self.numbers, memo), self.host, requires_grad=self.requires_grad)
        if getattr(self, "_is_param", False):
            twin._is_param = True
        memo[id(self)] = twin
        return twin

    def __reduce_ex__(self, protocol: object) -> tuple[Callable[[torch.Tensor], torch.Tensor], tuple[torch.Tensor]]:
        """Pickled as CPU numbers that go back to MPS where they are read."""
        return _to_mps, (self.numbers,)

    def __array__(self, dtype: object = None, copy: object = None) -> np.ndarray:
        raise not_to_numpy()

    def numpy(self, *, force: bool = False) -> np.ndarray:
        """Refused as on the real device, unless forced.

        Raises:
            TypeError: Without *force*.
        """
        if not force:
            raise not_to_numpy()
        return self.numbers.numpy(force=True)

    def tolist(self) -> Any:
        """The numbers as Python's."""
        return self.numbers.tolist()

    def cuda(self, *_: object, **__: object) -> torch.Tensor:
        """Refused as in a build without CUDA.

        Raises:
            AssertionError: Always.
        """
        raise not_compiled_with_cuda()

    @property
    def is_sparse(self) -> bool:  # type: ignore[override]
        """Whether it is a sparse COO tensor."""
        return self.numbers.is_sparse

    def adopt_geometry(self) -> None:
        """Take over the shape that an op, such as ``unsqueeze_``, gave in place to the numbers."""
        numbers = self.numbers
        if numbers.layout is not torch.strided:
            return
        mine = self.shape, self.stride(), self.storage_offset()
        if mine == (numbers.shape, numbers.stride(), numbers.storage_offset()):
            return
        included = torch._C._meta_in_tls_dispatch_include()
        with torch.utils._mode_utils.no_dispatch():
            # the wrapper has no memory; as a meta tensor it takes any geometry
            torch._C._set_meta_in_tls_dispatch_include(True)  # noqa: FBT003 - C++ signature
            try:
                torch.ops.aten.as_strided_.default(self, numbers.shape, numbers.stride(), numbers.storage_offset())
            finally:
                torch._C._set_meta_in_tls_dispatch_include(included)


def is_mps(device: object) -> bool:
    """Whether *device*, a name or a `torch.device`, is MPS."""
    if isinstance(device, str):
        return device.partition(":")[0] == "mps"
    return isinstance(device, torch.device) and device.type == "mps"


def unwrap(value: Any) -> Any:
    """The CPU tensor behind a simulated one; anything else as it is."""
    return value.numbers if isinstance(value, SimulatedTensor) else value


def _geometry(numbers: torch.Tensor) -> dict[str, Any]:
    if numbers.layout is not torch.strided:
        return {"layout": numbers.layout}
    geometry = {"strides": numbers.stride(), "storage_offset": numbers.storage_offset(), "layout": numbers.layout}
    # an out= argument starts empty and grows; nothing is allocated
    return geometry if numbers.numel() else geometry | {"storage_size": _ROOM_BYTES}


def _to_mps(numbers: torch.Tensor) -> torch.Tensor:
    return numbers.to("mps")
