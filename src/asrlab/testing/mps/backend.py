"""The simulated backend: takes each op that touches MPS, judges it as MPS would, and computes it on the CPU."""
# ruff: noqa: SLF001 - the dispatcher is only open through torch's own underscored functions

from __future__ import annotations

import warnings
from typing import Any

import attrs
import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import TreeSpec, tree_flatten, tree_unflatten

from asrlab.testing.mps.errors import (
    fallback_warning,
    not_compiled_with_cuda,
    not_implemented,
    not_on_one_device,
    sparse_not_implemented,
    unsupported_dtype,
)
from asrlab.testing.mps.op_tables import ALWAYS_ON_CPU, CROSSING, INDEXING, RUN_WHOLE, KernelTable
from asrlab.testing.mps.report import OpCounter, Route
from asrlab.testing.mps.tensor import SimulatedTensor, is_mps, unwrap

# in the order in which the dispatcher prefers them
_COMPOSITES = tuple(
    getattr(torch._C.DispatchKey, key)
    for key in ("CompositeExplicitAutogradNonFunctional", "CompositeExplicitAutograd", "CompositeImplicitAutograd")
)
# such an op has no say in devices, and knows no views: the ops that it calls do
_MADE_OF_OTHERS = torch._C.DispatchKey.CompositeImplicitAutograd
_WHOLE = frozenset(op.op for op in RUN_WHOLE)
_ALWAYS_ON_CPU = {op.op: op for op in ALWAYS_ON_CPU}


class BackendMode(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Brings every op of its thread to the backend, those that make tensors too."""

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
        """Kept out of the compiler, which would be imported, seconds long, only to be told to stay away."""
        return False


class Backend:
    """The imitated backend.

    Args:
        kernels: What has a kernel.
        sparse: Whether sparse COO tensors can be on the device.
        fallback: Whether an op without a kernel runs on the CPU instead of raising.

    Attributes:
        tally: The ops called so far.
    """

    def __init__(self, *, kernels: KernelTable, sparse: bool, fallback: bool) -> None:
        self.sparse, self.fallback = sparse, fallback
        self.tally = OpCounter()
        self._kernels = kernels
        self._routes: dict[Any, tuple[Route, Any]] = {}
        self._warned: set[str] = set()

    def dispatch(self, func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Run one op; one that has nothing to do with MPS runs as ever."""
        call = Call.of(func, args, kwargs)
        if call.device is not None and call.device.type == "cuda":
            raise not_compiled_with_cuda()
        if not call.held and not call.onto_mps:
            return func(*args, **kwargs)
        if func.namespace == "prim":
            return call.on_cpu(self)
        self._refuse_dtype(call)
        return self._compute_sparse(call) if call.sparse else self._compute(call)

    def forget(self) -> None:
        """Begin anew: no op was called, none was warned of."""
        self.tally.clear()
        self._warned.clear()

    def _refuse_dtype(self, call: Call) -> None:
        dtype = call.kwargs.get("dtype")
        refusal = unsupported_dtype(dtype) if call.onto_mps and dtype is not None else None
        if refusal is not None:
            raise refusal

    def _compute(self, call: Call) -> Any:
        route, key = self._route(call.func, call.name)
        if call.is_mixed and key is not _MADE_OF_OTHERS:
            raise not_on_one_device(call.name)
        if route is Route.COMPOSITE and key is not None:
            self.tally.add(call.name, route)
            with BackendMode(self):
                return call.func._op_dk(key, *call.args, **call.kwargs)
        if route is Route.MISSING and self.fallback:
            route = Route.FALLBACK
        self.tally.add(call.name, route)
        if route is Route.MISSING:
            raise not_implemented(call.name)
        if route is Route.FALLBACK:
            self._warn(call.name)
        return call.on_cpu(self)

    def _compute_sparse(self, call: Call) -> Any:
        """A sparse tensor has its own kernels; views and copies are made of those."""
        if call.is_mixed:
            raise not_on_one_device(call.name)
        known = call.name in self._kernels.sparse or call.func.is_view or call.name in CROSSING
        if not self.sparse or not known:
            self.tally.add(call.name, Route.MISSING)
            lacking = "_sparse_coo_tensor_with_dims_and_tensors" if call.name in CROSSING else call.name
            raise sparse_not_implemented(lacking)
        self.tally.add(call.name, Route.KERNEL if call.name in self._kernels.sparse else Route.COMPOSITE)
        return call.on_cpu(self)

    def _route(self, func: Any, name: str) -> tuple[Route, Any]:
        if func not in self._routes:
            self._routes[func] = self._find_route(func, name)
        return self._routes[func]

    def _find_route(self, func: Any, name: str) -> tuple[Route, Any]:
        """The route, and for a composite whose body is to be run the dispatch key of that body."""
        exceptional = _ALWAYS_ON_CPU.get(name)
        if exceptional and exceptional.until not in self._kernels.dense:
            return Route.FALLBACK, None
        if name in self._kernels.dense:
            return Route.KERNEL, None
        if name in _WHOLE or torch.Tag.inplace_view in func.tags:
            return Route.COMPOSITE, None
        has_body = torch._C._dispatch_has_kernel_for_dispatch_key
        key = next((key for key in _COMPOSITES if has_body(func.name(), key.name)), None)
        # a view changes no number, and its body works on the memory, which the wrapper does not have
        if func.is_view and key is not _MADE_OF_OTHERS:
            return Route.COMPOSITE, None
        return (Route.MISSING if key is None else Route.COMPOSITE), key

    def _warn(self, name: str) -> None:
        if name not in self._warned:
            self._warned.add(name)
            warnings.warn(fallback_warning(name), UserWarning, stacklevel=4)


@attrs.frozen(eq=False)
class Call:
    """One call of an op.

    Attributes:
        func: The overload.
        args: As given.
        kwargs: As given.
        flat: All arguments, nested ones too.
        spec: How to nest them again.
        device: The ``device=`` argument.
        held: The simulated tensors among the arguments.
    """

    func: Any
    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    flat: list[Any]
    spec: TreeSpec
    device: torch.device | None
    held: tuple[SimulatedTensor, ...]

    @classmethod
    def of(cls, func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Call:
        """Take a call apart."""
        args = _with_tensors(func, args)
        flat, spec = tree_flatten((args, kwargs))
        held = tuple(leaf for leaf in flat if isinstance(leaf, SimulatedTensor))
        device = kwargs.get("device")
        return cls(func, args, kwargs, flat, spec, None if device is None else torch.device(device), held)

    @property
    def name(self) -> str:
        """The op with its overload, such as ``add.Tensor``; of another library with its namespace."""
        schema = self.func._schema
        namespace, _, op = schema.name.partition("::")
        name = f"{op}.{schema.overload_name}" if schema.overload_name else op
        return name if namespace == "aten" else f"{namespace}::{name}"

    @property
    def onto_mps(self) -> bool:
        """Whether the result is to be on MPS."""
        return bool(self.held) if self.device is None else is_mps(self.device)

    @property
    def sparse(self) -> bool:
        """Whether it is about a sparse tensor."""
        layout = self.kwargs.get("layout")
        tensors = [unwrap(leaf) for leaf in self.flat if isinstance(leaf, torch.Tensor)]
        return layout not in {None, torch.strided} or any(tensor.layout is not torch.strided for tensor in tensors)

    @property
    def is_mixed(self) -> bool:
        """Whether a CPU tensor stands where MPS accepts none; a single number may come from the CPU."""
        if not self.held or self.name in CROSSING:
            return False
        others = [
            x for x in self.flat if isinstance(x, torch.Tensor) and not isinstance(x, SimulatedTensor) and x.dim()
        ]
        if self.name in INDEXING:
            others = [x for x in others if x.dtype not in {torch.int32, torch.int64, torch.uint8, torch.bool}]
        return bool(others)

    def on_cpu(self, backend: Backend) -> Any:
        """Run it over the CPU tensors behind the arguments; what comes out is on MPS where it is to be."""
        args, kwargs = tree_unflatten([unwrap(leaf) for leaf in self.flat], self.spec)
        if is_mps(self.device):
            kwargs = kwargs | {"device": torch.device("cpu")}
        leaves, spec = tree_flatten(self.func(*args, **kwargs))
        return tree_unflatten([self._wrapped(leaf, backend) for leaf in leaves], spec)

    def _wrapped(self, leaf: Any, backend: Backend) -> Any:
        if not isinstance(leaf, torch.Tensor):
            return leaf
        for given in self.flat:
            if unwrap(given) is leaf:  # changed in place: the very same tensor comes back
                if isinstance(given, SimulatedTensor):
                    given.adopt_geometry()
                return given
        return SimulatedTensor(leaf, backend) if self.onto_mps else leaf


def _with_tensors(func: Any, args: tuple[Any, ...]) -> tuple[Any, ...]:
    """The arguments with a tensor wherever C++ unpacked a single number for Python, but the op wants a tensor."""
    if not any(isinstance(argument, int | float | complex) for argument in args):
        return args
    wanted = [argument.type.kind() == "TensorType" for argument in func._schema.arguments]
    return tuple(
        torch.tensor(argument) if tensor and isinstance(argument, int | float | complex) else argument
        for argument, tensor in zip(args, wanted, strict=False)
    )
