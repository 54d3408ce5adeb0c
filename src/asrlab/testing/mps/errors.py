"""The errors of the real MPS backend, with its messages, each marked as simulated.

Source: torch 2.9.1 and 2.11.0; each function names the file.
"""

from __future__ import annotations

import torch


def not_compiled_with_cuda() -> AssertionError:
    """Build the error of any CUDA call in a build for macOS. Source: ``torch/cuda/__init__.py``."""
    return AssertionError("Torch not compiled with CUDA enabled (simulated)")


def unsupported_dtype(dtype: torch.dtype) -> TypeError | None:
    """Build the error for *dtype*, or return None if MPS supports it.

    The real backend accepts a complex128 tensor and refuses its first use; the simulation refuses the tensor itself.

    Source: ``aten/src/ATen/mps/EmptyTensor.cpp``, ``aten/src/ATen/native/mps/OperationUtils.mm``.
    """
    if dtype is torch.float64:
        return TypeError(
            "Cannot convert a MPS Tensor to float64 dtype as the MPS framework doesn't support float64. "
            "Please use float32 instead. (simulated)"
        )
    if dtype is torch.complex128:
        return TypeError(
            "Trying to convert ComplexDouble to the MPS backend but it does not have support for that dtype. "
            "(simulated)"
        )
    return None


def not_to_numpy() -> TypeError:
    """Build the error of ``.numpy()``. Source: ``torch/csrc/utils/tensor_numpy.cpp``."""
    return TypeError(
        "can't convert mps:0 device type tensor to numpy. Use Tensor.cpu() to copy the tensor to host memory first. "
        "(simulated)"
    )


def not_on_one_device(op: str) -> RuntimeError:
    """Build the error of an op whose tensors are on two devices.

    The message is TensorIterator's. Kernels without TensorIterator word it differently; all raise a RuntimeError.

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
