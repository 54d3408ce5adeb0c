"""Which ops have an MPS kernel, from the yaml inside the installed torch."""

from __future__ import annotations

from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import attrs

from asrlab.errors import DeviceUnavailableError
from asrlab.installation import install_command

__all__ = ["KernelTable", "installed_kernels"]

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
