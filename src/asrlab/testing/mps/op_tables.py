"""What PyTorch's MPS backend has beside its yaml of kernels, and what a Linux build leaves out of its C++.

`native_functions.yaml` names nearly every kernel of the backend. For torch 2.9.1 and 2.11.0 it was compared with the
registrations compiled into PyTorch's own macOS libraries: all 847 and all 867 MPS ops of the yaml are there, and beside
them only four that are registered by hand: ``_slow_conv2d_forward``, which only raises, and the three of
`ALWAYS_ON_CPU` that carry the source ``MPSFallback.mm``. The yaml of torch 2.14 is the first that has a kernel for
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
"""The releases of torch that the simulation is tested with."""
CROSSING = frozenset({"_copy_from", "_copy_from_and_resize", "_to_copy", "copy_", "copy_sparse_to_sparse_"})
"""Ops that may meet tensors of several devices."""
INDEXING = frozenset({"_index_put_impl_", "_unsafe_index.Tensor", "index.Tensor", "index_put", "index_put_"})
"""Ops whose index tensors may be on the CPU."""


@attrs.frozen(kw_only=True)
class Exceptional:
    """An op that the yaml says too little about.

    Attributes:
        op: Its name, with the overload.
        reason: What it does on the real backend, or why the simulation treats it apart.
        source: The file of PyTorch that shows it.
        until: The op whose kernel, where the installed torch has one, ends the exception; empty if nothing does.
    """

    op: str
    reason: str
    source: str
    until: str = ""


_FALLBACK = "aten/src/ATen/mps/MPSFallback.mm"
_TO_CPU = "registered to run on the CPU whatever PYTORCH_ENABLE_MPS_FALLBACK says"
ALWAYS_ON_CPU = (
    Exceptional(op="embedding_renorm_", reason=_TO_CPU, source=_FALLBACK),
    Exceptional(op="linalg_svd", reason=_TO_CPU, source=_FALLBACK, until="_linalg_svd"),
    Exceptional(op="linalg_svd.U", reason=_TO_CPU, source=_FALLBACK, until="_linalg_svd"),
    Exceptional(
        op="_linalg_svd",
        reason="what linalg_svd becomes where autograd takes it apart, as it does on Linux",
        source="aten/src/ATen/native/BatchLinearAlgebra.cpp",
        until="_linalg_svd",
    ),
)
_VIEW = "a view of the memory that its schema does not call one"
_WITHOUT_USE_MPS = "its way to the MPS kernel is compiled only with USE_MPS"
RUN_WHOLE = (
    Exceptional(op="copy_", reason=_WITHOUT_USE_MPS, source="aten/src/ATen/native/Copy.cpp"),
    Exceptional(op="convolution", reason=_WITHOUT_USE_MPS, source="aten/src/ATen/native/Convolution.cpp"),
    Exceptional(op="_convolution", reason=_WITHOUT_USE_MPS, source="aten/src/ATen/native/Convolution.cpp"),
    Exceptional(op="_reshape_alias", reason=_VIEW, source="aten/src/ATen/native/TensorShape.cpp"),
    Exceptional(op="_unsafe_view", reason=_VIEW, source="aten/src/ATen/native/TensorShape.cpp"),
    Exceptional(
        op="_to_copy",
        reason="allocates and copies; taken as one so that it can cross devices",
        source="aten/src/ATen/native/TensorConversions.cpp",
    ),
)
"""Composite ops whose body cannot run over simulated tensors, and so are computed as one."""
_YAML = Path("packaged", "ATen", "native", "native_functions.yaml")


@attrs.frozen(kw_only=True)
class KernelTable:
    """The ops that have a kernel of their own, by name with overload, such as ``add.Tensor``.

    Attributes:
        dense: On MPS.
        sparse: On MPS for sparse COO tensors; empty with torch 2.8 and earlier.
    """

    dense: frozenset[str]
    sparse: frozenset[str]

    @property
    def has_sparse(self) -> bool:
        """Whether sparse COO tensors can be on MPS at all."""
        return "_sparse_coo_tensor_with_dims_and_tensors" in self.sparse


def installed_kernels() -> KernelTable:
    """The table of the installed torch, without importing it.

    Raises:
        DeviceUnavailableError: PyYAML or the yaml is not there.

    Source: ``aten/src/ATen/native/native_functions.yaml``, which torch's wheels carry.
    """
    entries = {entry["func"].partition("(")[0]: entry for entry in _read(_path())}
    return KernelTable(dense=_with_kernel(entries, "MPS"), sparse=_with_kernel(entries, "SparseMPS"))


def _path() -> Path:
    spec = find_spec("torchgen")
    path = Path(spec.origin).parent / _YAML if spec and spec.origin else None
    if path is None or not path.is_file():
        raise DeviceUnavailableError(
            f"the simulated MPS device reads the table of kernels in torch's wheels ({_YAML.name}), which is not here; "
            "install torch from its wheel",
            device="mps",
        )
    return path


def _read(path: Path) -> list[dict[str, Any]]:
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
    """The ops registered for *key*; a structured op has the kernel that its ``out=`` variant has."""

    def registered(entry: dict[str, Any]) -> bool:
        delegate = entry.get("structured_delegate")
        return key in _keys(entry) or (delegate is not None and key in _keys(entries[delegate]))

    return frozenset(name for name, entry in entries.items() if registered(entry))


def _keys(entry: dict[str, Any]) -> set[str]:
    return {key.strip() for keys in entry.get("dispatch") or () for key in keys.split(",")}
