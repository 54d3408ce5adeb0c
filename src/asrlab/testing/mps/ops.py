"""The ops of PyTorch's MPS backend: which have a kernel, which are exceptions, and which a program called.

``native_functions.yaml`` names nearly every kernel of the backend. For torch 2.9.1 and 2.11.0 it was compared with the
registrations compiled into PyTorch's macOS libraries. They have all 847 and all 867 MPS ops of the yaml, and only
four ops more, which are registered by hand: ``_slow_conv2d_forward``, which only raises, and the three ops of
``ALWAYS_ON_CPU`` whose source is ``MPSFallback.mm``. The yaml of torch 2.14 is the first with a kernel for
``_linalg_svd``. For torch 2.12 to 2.15 no such comparison was made.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import attrs

from asrlab.errors import DeviceUnavailableError
from asrlab.installation import install_command

TESTED_TORCH = ("2.9", "2.11", "2.12", "2.13", "2.14", "2.15")
"""Releases of torch that the simulation is tested with."""
CROSS_DEVICE_OPS = frozenset({"_copy_from", "_copy_from_and_resize", "_to_copy", "copy_", "copy_sparse_to_sparse_"})
"""Ops that accept tensors of several devices."""
INDEXING_OPS = frozenset({"_index_put_impl_", "_unsafe_index.Tensor", "index.Tensor", "index_put", "index_put_"})
"""Ops whose index tensors may be on the CPU."""
ALWAYS_ON_CPU = {
    # registered to run on the CPU whatever PYTORCH_ENABLE_MPS_FALLBACK says: aten/src/ATen/mps/MPSFallback.mm
    "embedding_renorm_": "",
    "linalg_svd": "_linalg_svd",
    "linalg_svd.U": "_linalg_svd",
    # autograd decomposes linalg_svd into this op on Linux: aten/src/ATen/native/BatchLinearAlgebra.cpp
    "_linalg_svd": "_linalg_svd",
}
"""Ops that run on the CPU, each with the op whose kernel, if the installed torch has it, ends this; empty if none."""
ATOMIC_OPS = frozenset(
    {
        # the dispatch to MPS is compiled only with USE_MPS: aten/src/ATen/native/Copy.cpp, Convolution.cpp
        *("copy_", "convolution", "_convolution"),
        # a view of the memory that the schema does not declare: aten/src/ATen/native/TensorShape.cpp
        *("_reshape_alias", "_unsafe_view"),
        # allocates and copies; one op, so that it can cross devices: aten/src/ATen/native/TensorConversions.cpp
        "_to_copy",
    }
)
"""Composite ops whose body cannot run on simulated tensors, and which are therefore computed as one op."""
_YAML = Path("packaged", "ATen", "native", "native_functions.yaml")


@attrs.frozen(kw_only=True)
class KernelTable:
    """The ops with a kernel, by name with overload: for MPS, and from torch 2.9 on for sparse COO tensors on MPS."""

    dense: frozenset[str]
    sparse: frozenset[str]

    @property
    def has_sparse(self) -> bool:
        """True if sparse COO tensors can be on MPS."""
        return "_sparse_coo_tensor_with_dims_and_tensors" in self.sparse


def installed_kernels() -> KernelTable:
    """Read the table of the installed torch from its ``native_functions.yaml``, without importing torch.

    Raises:
        DeviceUnavailableError: If PyYAML or the yaml is missing.
    """
    spec = find_spec("torchgen")
    path = Path(spec.origin).parent / _YAML if spec and spec.origin else None
    if path is None or not path.is_file():
        raise DeviceUnavailableError(
            f"the simulated MPS device reads torch's table of kernels ({_YAML.name}), which this installation lacks; "
            "install torch from its wheel",
            device="mps",
        )
    try:
        yaml = import_module("yaml")
    except ImportError as error:
        raise DeviceUnavailableError(
            f"the simulated MPS device needs PyYAML to read torch's table of kernels; run: {install_command('pyyaml')}",
            device="mps",
        ) from error
    with path.open(encoding="utf-8") as stream:
        items: list[dict[str, Any]] = yaml.load(stream, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))
    entries = {entry["func"].partition("(")[0]: entry for entry in items}
    return KernelTable(dense=_with_kernel(entries, "MPS"), sparse=_with_kernel(entries, "SparseMPS"))


def _with_kernel(entries: dict[str, dict[str, Any]], key: str) -> frozenset[str]:
    """Return the ops registered for *key*; a structured op shares the kernel of its ``out=`` variant."""
    keys = {
        name: {key.strip() for keys in entry.get("dispatch") or () for key in keys.split(",")}
        for name, entry in entries.items()
    }
    return frozenset(
        name
        for name, entry in entries.items()
        if key in keys[name] | keys.get(entry.get("structured_delegate", ""), set())
    )


class Route(StrEnum):
    """The way in which MPS computes an op."""

    KERNEL = "kernel"
    COMPOSITE = "composite"
    FALLBACK = "fallback"
    MISSING = "missing"


_ROUTE_LABELS = {
    Route.KERNEL: "",
    Route.COMPOSITE: "composite",
    Route.FALLBACK: "no kernel: ran on the CPU",
    Route.MISSING: "no kernel: raised",
}


@attrs.frozen(kw_only=True)
class OpUse:
    """One op that was called.

    Attributes:
        op: Name with the overload, such as ``add.Tensor``.
        calls: Number of calls.
        route: ``kernel``: MPS has a kernel; ``composite``: PyTorch composes the op of other ops, which are listed too,
            or of a view of the memory; ``fallback``: no kernel, the op ran on the CPU with a warning; ``missing``: no
            kernel, the op raised.
    """

    op: str
    calls: int
    route: Route

    @property
    def has_kernel(self) -> bool:
        """True if MPS computes the op with a kernel or composes the op of others."""
        return self.route in {Route.KERNEL, Route.COMPOSITE}


@attrs.frozen(kw_only=True)
class KernelReport:
    """The ops that a program called on the simulated MPS device.

    Attributes:
        torch: Version of torch, which decides which ops have a kernel.
        uses: One entry for each op and route: ops without a kernel first, then the most called.
    """

    torch: str
    uses: tuple[OpUse, ...]

    @classmethod
    def from_calls(cls, calls: Mapping[tuple[str, Route], int], *, torch: str) -> KernelReport:
        """Return the report of the number of calls of each op by each route."""
        uses = [OpUse(op=op, calls=number, route=route) for (op, route), number in dict(calls).items()]
        return cls(torch=torch, uses=tuple(sorted(uses, key=lambda use: (use.has_kernel, -use.calls, use.op))))

    @property
    def without_kernel(self) -> tuple[OpUse, ...]:
        """The ops without a kernel for MPS."""
        return tuple(use for use in self.uses if not use.has_kernel)

    @property
    def composites(self) -> tuple[OpUse, ...]:
        """The ops that PyTorch composes of others."""
        return tuple(use for use in self.uses if use.route is Route.COMPOSITE)

    @property
    def title(self) -> str:
        """The report in one line."""
        missing = len(self.without_kernel)
        return f"simulated MPS, torch {self.torch}: {len(self.uses)} ops seen, {missing} without a kernel"

    def table(self) -> str:
        """Format the report for a terminal: the title, then one line for each op."""
        width = max((len(use.op) for use in self.uses), default=0)
        lines = (f"  {use.op:<{width}}  {use.calls:>8}  {_ROUTE_LABELS[use.route]}".rstrip() for use in self.uses)
        return "\n".join([self.title, *lines])

    def as_dict(self) -> dict[str, Any]:
        """Return the report as plain values for JSON."""
        uses = [{"op": use.op, "calls": use.calls, "route": use.route.value} for use in self.uses]
        return {"simulated": True, "device": "mps", "torch": self.torch, "ops": uses}
