"""What PyTorch's MPS backend has beside its yaml of kernels, and what a Linux build leaves out of its C++.

`native_functions.yaml` names nearly every kernel of the backend. For torch 2.9.1 and 2.11.0 it was compared with the
registrations compiled into PyTorch's own macOS libraries: all 847 and all 867 MPS ops of the yaml are there, and beside
them only four that are registered by hand: ``_slow_conv2d_forward``, which only raises, and the three of
`ALWAYS_ON_CPU` that carry the source ``MPSFallback.mm``. The yaml of torch 2.14 is the first that has a kernel for
``_linalg_svd``. For torch 2.12 to 2.15 no such comparison was made.
"""

from __future__ import annotations

import attrs

__all__ = ["ALWAYS_ON_CPU", "CROSSING", "INDEXING", "RUN_WHOLE", "TESTED_TORCH", "Exceptional"]

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
