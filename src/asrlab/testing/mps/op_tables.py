"""The ops of PyTorch's MPS backend: the kernels in torch's yaml, and the ops that the yaml does not describe.

`native_functions.yaml` names nearly every kernel of the backend. For torch 2.9.1 and 2.11.0 the yaml was compared with
the registrations compiled into PyTorch's macOS libraries. They have all 847 and all 867 MPS ops of the yaml, and only
four ops more, which are registered by hand: ``_slow_conv2d_forward``, which only raises, and the three ops of
`ALWAYS_ON_CPU` whose source is ``MPSFallback.mm``. The yaml of torch 2.14 is the first with a kernel for
``_linalg_svd``. For torch 2.12 to 2.15 no such comparison was made.
"""

from __future__ import annotations

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


@attrs.frozen(kw_only=True)
class SpecialOp:
    """An op that the yaml does not describe completely.

    Attributes:
        op: Name, with the overload.
        reason: Behaviour on the real backend, or the reason for the simulation's exception.
        source: The file of PyTorch that shows it.
        until: The op whose kernel, if the installed torch has it, ends the exception; empty if none does.
    """

    op: str
    reason: str
    source: str
    until: str = ""


_FALLBACK = "aten/src/ATen/mps/MPSFallback.mm"
_TO_CPU = "registered to run on the CPU whatever PYTORCH_ENABLE_MPS_FALLBACK says"
ALWAYS_ON_CPU = (
    SpecialOp(op="embedding_renorm_", reason=_TO_CPU, source=_FALLBACK),
    SpecialOp(op="linalg_svd", reason=_TO_CPU, source=_FALLBACK, until="_linalg_svd"),
    SpecialOp(op="linalg_svd.U", reason=_TO_CPU, source=_FALLBACK, until="_linalg_svd"),
    SpecialOp(
        op="_linalg_svd",
        reason="autograd decomposes linalg_svd into this op on Linux",
        source="aten/src/ATen/native/BatchLinearAlgebra.cpp",
        until="_linalg_svd",
    ),
)
_VIEW = "a view of the memory that its schema does not declare"
_WITHOUT_USE_MPS = "its dispatch to the MPS kernel is compiled only with USE_MPS"
ATOMIC_OPS = (
    SpecialOp(op="copy_", reason=_WITHOUT_USE_MPS, source="aten/src/ATen/native/Copy.cpp"),
    SpecialOp(op="convolution", reason=_WITHOUT_USE_MPS, source="aten/src/ATen/native/Convolution.cpp"),
    SpecialOp(op="_convolution", reason=_WITHOUT_USE_MPS, source="aten/src/ATen/native/Convolution.cpp"),
    SpecialOp(op="_reshape_alias", reason=_VIEW, source="aten/src/ATen/native/TensorShape.cpp"),
    SpecialOp(op="_unsafe_view", reason=_VIEW, source="aten/src/ATen/native/TensorShape.cpp"),
    SpecialOp(
        op="_to_copy",
        reason="allocates and copies; computed as one op so that it can cross devices",
        source="aten/src/ATen/native/TensorConversions.cpp",
    ),
)
"""Composite ops whose body cannot run on simulated tensors, and which are therefore computed as one op."""
_YAML = Path("packaged", "ATen", "native", "native_functions.yaml")


@attrs.frozen(kw_only=True)
class KernelTable:
    """The ops that have a kernel of their own, by name with overload, such as ``add.Tensor``.

    Attributes:
        dense: Ops for MPS.
        sparse: Ops for sparse COO tensors on MPS; empty with torch 2.8 and earlier.
    """

    dense: frozenset[str]
    sparse: frozenset[str]

    @property
    def has_sparse(self) -> bool:
        """True if sparse COO tensors can be on MPS."""
        return "_sparse_coo_tensor_with_dims_and_tensors" in self.sparse


def installed_kernels() -> KernelTable:
    """Read the table of the installed torch, without importing torch.

    Raises:
        DeviceUnavailableError: If PyYAML or the yaml is missing.

    Source: ``aten/src/ATen/native/native_functions.yaml``, which torch's wheels carry.
    """
    entries = {entry["func"].partition("(")[0]: entry for entry in _read_yaml(_yaml_path())}
    return KernelTable(dense=_with_kernel(entries, "MPS"), sparse=_with_kernel(entries, "SparseMPS"))


def _yaml_path() -> Path:
    spec = find_spec("torchgen")
    path = Path(spec.origin).parent / _YAML if spec and spec.origin else None
    if path is None or not path.is_file():
        raise DeviceUnavailableError(
            f"the simulated MPS device reads torch's table of kernels ({_YAML.name}), which this installation lacks; "
            "install torch from its wheel",
            device="mps",
        )
    return path


def _read_yaml(path: Path) -> list[dict[str, Any]]:
    try:
        yaml = import_module("yaml")
    except ImportError as error:
        raise DeviceUnavailableError(
            f"the simulated MPS device needs PyYAML to read torch's table of kernels; run: {install_command('pyyaml')}",
            device="mps",
        ) from error
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    with path.open(encoding="utf-8") as stream:
        entries: list[dict[str, Any]] = yaml.load(stream, Loader=loader)
    return entries


def _with_kernel(entries: dict[str, dict[str, Any]], key: str) -> frozenset[str]:
    """Return the ops registered for *key*; a structured op shares the kernel of its ``out=`` variant."""

    def registered(entry: dict[str, Any]) -> bool:
        delegate = entry.get("structured_delegate")
        return key in _keys(entry) or (delegate is not None and key in _keys(entries[delegate]))

    return frozenset(name for name, entry in entries.items() if registered(entry))


def _keys(entry: dict[str, Any]) -> set[str]:
    return {key.strip() for keys in entry.get("dispatch") or () for key in keys.split(",")}
