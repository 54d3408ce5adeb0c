"""The simulated backend: accepts or refuses each op as MPS would, and computes accepted ops on the CPU."""
# ruff: noqa: SLF001 - the dispatcher is only open through torch's own underscored functions

from __future__ import annotations

import warnings
from collections import Counter
from typing import Any

import attrs
import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import TreeSpec, tree_flatten, tree_unflatten

from asrlab.testing.mps.ops import ALWAYS_ON_CPU, ATOMIC_OPS, CROSS_DEVICE_OPS, INDEXING_OPS, KernelTable, Route
from asrlab.testing.mps.tensor import (
    SimulatedTensor,
    fallback_warning,
    is_mps,
    not_compiled_with_cuda,
    not_implemented,
    not_on_one_device,
    require_supported,
    sparse_not_implemented,
    unwrap,
)

# in the dispatcher's order of preference
_COMPOSITES = tuple(
    getattr(torch._C.DispatchKey, key)
    for key in ("CompositeExplicitAutogradNonFunctional", "CompositeExplicitAutograd", "CompositeImplicitAutograd")
)
# such an op checks no devices and makes no views itself: the ops that it calls do
_COMPOSITE_IMPLICIT = torch._C.DispatchKey.CompositeImplicitAutograd


class BackendMode(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """A dispatch mode that sends every op of its thread to the backend, including the ops that make tensors."""

    def __init__(self, backend: Backend) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.backend = backend

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        """Hand the op to the backend."""
        return self.backend.dispatch(func, args, kwargs or {})

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        # True would import torch's compiler, which takes seconds
        return False


class Backend:
    """The simulated MPS backend.

    Args:
        kernels: The ops that have a kernel.
        sparse: True if sparse COO tensors can be on the device.
        fallback: True if an op without a kernel runs on the CPU instead of raising.

    Attributes:
        calls: Number of calls of each op by each route so far.
    """

    def __init__(self, *, kernels: KernelTable, sparse: bool, fallback: bool) -> None:
        self.sparse, self.fallback = sparse, fallback
        self.calls: Counter[tuple[str, Route]] = Counter()
        self._kernels = kernels
        self._routes: dict[Any, tuple[Route, Any]] = {}
        self._warned: set[str] = set()

    def dispatch(self, func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Run one op; an op without MPS tensors runs as in unchanged torch."""
        call = OpCall.parse(func, args, kwargs)
        if call.device is not None and call.device.type == "cuda":
            raise not_compiled_with_cuda()
        if not call.tensors and not call.onto_mps:
            return func(*args, **kwargs)
        if func.namespace == "prim":
            return call.on_cpu(self)
        if call.onto_mps:
            require_supported(call.kwargs.get("dtype"))
        return self._compute_sparse(call) if call.sparse else self._compute(call)

    def reset(self) -> None:
        """Reset the call counts and the warnings."""
        self.calls.clear()
        self._warned.clear()

    def _compute(self, call: OpCall) -> Any:
        if call.func not in self._routes:
            self._routes[call.func] = self._find_route(call.func, call.name)
        route, key = self._routes[call.func]
        if call.is_mixed and key is not _COMPOSITE_IMPLICIT:
            raise not_on_one_device(call.name)
        if route is Route.COMPOSITE and key is not None:
            self.calls[call.name, route] += 1
            with BackendMode(self):
                return call.func._op_dk(key, *call.args, **call.kwargs)
        if route is Route.MISSING and self.fallback:
            route = Route.FALLBACK
        self.calls[call.name, route] += 1
        if route is Route.MISSING:
            raise not_implemented(call.name)
        if route is Route.FALLBACK and call.name not in self._warned:
            self._warned.add(call.name)
            warnings.warn(fallback_warning(call.name), UserWarning, stacklevel=3)
        return call.on_cpu(self)

    def _compute_sparse(self, call: OpCall) -> Any:
        # sparse tensors have kernels of their own; views and copies are composed of those
        if call.is_mixed:
            raise not_on_one_device(call.name)
        known = call.name in self._kernels.sparse or call.func.is_view or call.name in CROSS_DEVICE_OPS
        if not self.sparse or not known:
            self.calls[call.name, Route.MISSING] += 1
            missing = "_sparse_coo_tensor_with_dims_and_tensors" if call.name in CROSS_DEVICE_OPS else call.name
            raise sparse_not_implemented(missing)
        self.calls[call.name, Route.KERNEL if call.name in self._kernels.sparse else Route.COMPOSITE] += 1
        return call.on_cpu(self)

    def _find_route(self, func: Any, name: str) -> tuple[Route, Any]:
        """Return the route of an op, and the dispatch key of its composite body if that body is to be run."""
        if name in ALWAYS_ON_CPU and ALWAYS_ON_CPU[name] not in self._kernels.dense:
            return Route.FALLBACK, None
        if name in self._kernels.dense:
            return Route.KERNEL, None
        if name in ATOMIC_OPS or torch.Tag.inplace_view in func.tags:
            return Route.COMPOSITE, None
        has_body = torch._C._dispatch_has_kernel_for_dispatch_key
        key = next((key for key in _COMPOSITES if has_body(func.name(), key.name)), None)
        # the body of a view works on the memory, which the wrapper does not have
        if func.is_view and key is not _COMPOSITE_IMPLICIT:
            return Route.COMPOSITE, None
        return (Route.MISSING if key is None else Route.COMPOSITE), key


@attrs.frozen(eq=False)
class OpCall:
    """One call of an op.

    Attributes:
        func: The overload.
        flat: All arguments, nested arguments included, with their nesting in *spec*.
        device: The ``device=`` argument.
        tensors: The simulated tensors among the arguments.
    """

    func: Any
    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    flat: list[Any]
    spec: TreeSpec
    device: torch.device | None
    tensors: tuple[SimulatedTensor, ...]

    @classmethod
    def parse(cls, func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> OpCall:
        """Find the tensors and the device among the arguments of a call."""
        args = _numbers_to_tensors(func, args)
        flat, spec = tree_flatten((args, kwargs))
        tensors = tuple(leaf for leaf in flat if isinstance(leaf, SimulatedTensor))
        device = kwargs.get("device")
        return cls(func, args, kwargs, flat, spec, None if device is None else torch.device(device), tensors)

    @property
    def name(self) -> str:
        """The op with its overload, such as ``add.Tensor``; another library's op with its namespace."""
        schema = self.func._schema
        namespace, _, op = schema.name.partition("::")
        name = f"{op}.{schema.overload_name}" if schema.overload_name else op
        return name if namespace == "aten" else f"{namespace}::{name}"

    @property
    def onto_mps(self) -> bool:
        """True if the result belongs on MPS."""
        return bool(self.tensors) if self.device is None else is_mps(self.device)

    @property
    def sparse(self) -> bool:
        """True if an argument or the result is sparse."""
        layout = self.kwargs.get("layout")
        tensors = [unwrap(leaf) for leaf in self.flat if isinstance(leaf, torch.Tensor)]
        return layout not in {None, torch.strided} or any(tensor.layout is not torch.strided for tensor in tensors)

    @property
    def is_mixed(self) -> bool:
        """True if MPS would refuse a CPU tensor among the arguments; zero-dimensional CPU tensors are accepted."""
        if not self.tensors or self.name in CROSS_DEVICE_OPS:
            return False
        indices = {torch.int32, torch.int64, torch.uint8, torch.bool} if self.name in INDEXING_OPS else set()
        others = (x for x in self.flat if isinstance(x, torch.Tensor) and not isinstance(x, SimulatedTensor))
        return any(x.dim() and x.dtype not in indices for x in others)

    def on_cpu(self, backend: Backend) -> Any:
        """Run the op on the CPU tensors behind the arguments, and wrap results that belong on MPS."""
        args, kwargs = tree_unflatten([unwrap(leaf) for leaf in self.flat], self.spec)
        if is_mps(self.device):
            kwargs = kwargs | {"device": torch.device("cpu")}
        leaves, spec = tree_flatten(self.func(*args, **kwargs))
        return tree_unflatten([self._wrap(leaf, backend) for leaf in leaves], spec)

    def _wrap(self, leaf: Any, backend: Backend) -> Any:
        if not isinstance(leaf, torch.Tensor):
            return leaf
        for given in self.flat:
            if unwrap(given) is leaf:  # changed in place: return the argument itself
                if isinstance(given, SimulatedTensor):
                    given.copy_geometry()
                return given
        return SimulatedTensor(leaf, backend) if self.onto_mps else leaf


def _numbers_to_tensors(func: Any, args: tuple[Any, ...]) -> tuple[Any, ...]:
    """Turn numbers into tensors where the op wants a tensor: C++ unpacks zero-dimensional tensors for Python."""
    if not any(isinstance(argument, int | float | complex) for argument in args):
        return args
    wanted = [argument.type.kind() == "TensorType" for argument in func._schema.arguments]
    return tuple(
        torch.tensor(argument) if tensor and isinstance(argument, int | float | complex) else argument
        for argument, tensor in zip(args, wanted, strict=False)
    )
