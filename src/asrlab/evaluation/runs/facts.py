"""The facts of a run's surroundings: variables, load, the time, and the user's own tree."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

from asrlab.evaluation.runs.manifest import GitState

__all__ = ["environment", "git_state", "load_average", "now"]

_VARIABLES = (
    # threads, and where they run: OpenMP, Intel's and LLVM's, GNU's
    "OMP_NUM_THREADS", "OMP_THREAD_LIMIT", "OMP_DYNAMIC", "OMP_WAIT_POLICY", "OMP_PROC_BIND", "OMP_PLACES",
    "KMP_AFFINITY", "KMP_BLOCKTIME", "GOMP_CPU_AFFINITY", "GOMP_SPINCOUNT",
    # matrix libraries
    "MKL_NUM_THREADS", "MKL_DYNAMIC", "MKL_CBWR", "MKL_ENABLE_INSTRUCTIONS", "MKL_THREADING_LAYER",
    "OPENBLAS_NUM_THREADS", "OPENBLAS_CORETYPE", "VECLIB_MAXIMUM_THREADS",
    "ONEDNN_MAX_CPU_ISA", "DNNL_MAX_CPU_ISA", "ONEDNN_DEFAULT_FPMATH_MODE",
    "NUMBA_NUM_THREADS", "NUMBA_THREADING_LAYER", "NUMBA_DISABLE_JIT",
    # CTranslate2
    "CT2_VERBOSE", "CT2_FORCE_CPU_ISA", "CT2_USE_MKL", "CT2_PACKED_GEMM", "CT2_USE_EXPERIMENTAL_PACKED_GEMM",
    "CT2_CUDA_ALLOCATOR",
    "CT2_CUDA_CACHING_ALLOCATOR_CONFIG", "CT2_CUDA_ALLOW_BF16", "CT2_CUDA_ALLOW_FP16", "CT2_CUDA_TRUE_FP16_GEMM",
    # CUDA
    "CUDA_VISIBLE_DEVICES", "CUDA_DEVICE_ORDER", "CUDA_LAUNCH_BLOCKING", "CUDA_MODULE_LOADING",
    "CUBLAS_WORKSPACE_CONFIG", "NVIDIA_TF32_OVERRIDE",
    # PyTorch
    "PYTORCH_ALLOC_CONF", "PYTORCH_CUDA_ALLOC_CONF", "PYTORCH_NO_CUDA_MEMORY_CACHING",
    "PYTORCH_ENABLE_MPS_FALLBACK", "PYTORCH_MPS_FAST_MATH", "PYTORCH_MPS_PREFER_METAL",
    "PYTORCH_MPS_HIGH_WATERMARK_RATIO", "PYTORCH_MPS_LOW_WATERMARK_RATIO", "ATEN_CPU_CAPABILITY",
    "TORCH_ALLOW_TF32_CUBLAS_OVERRIDE", "TORCH_BLAS_PREFER_CUBLASLT", "TORCH_COMPILE_DISABLE",
    "TORCHDYNAMO_DISABLE",
    # the C library's memory
    "MALLOC_ARENA_MAX", "MALLOC_TRIM_THRESHOLD_", "MALLOC_MMAP_THRESHOLD_",
    # asrlab, and where weights come from
    "ASRLAB_PATCHES", "ASRLAB_DISABLE_PLUGINS", "ASRLAB_OFFLINE",
    "HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE",
)  # fmt: skip
"""Each by its whole name: a pattern could catch a token."""

_GIT_S = 10.0


def environment() -> tuple[tuple[str, str], ...]:
    """The variables that are set and change what engines do, by an allow-list, in alphabetical order.

    The home directory is written ``~`` in their values.
    """
    return tuple((name, _without_home(os.environ[name])) for name in sorted(_VARIABLES) if name in os.environ)


def _without_home(value: str) -> str:
    with suppress(RuntimeError, OSError):  # nobody has no home
        home = Path.home()
        for folder in {str(home), str(home.resolve())} - {home.anchor}:
            value = re.sub(rf"{re.escape(folder)}(?=$|[/\\:;,])", "~", value)
    return value


def load_average() -> tuple[float, float, float] | None:
    """Processes that want to run, over the last 1, 5 and 15 minutes; None where the system does not tell."""
    try:
        return os.getloadavg()
    except (AttributeError, OSError):
        return None


def now() -> str:
    """The time, UTC, ISO 8601 to the second."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def git_state(folder: Path) -> GitState | None:
    """The commit that *folder*'s tree is at; None outside of a repository, without a commit, or without git.

    Nothing is written, not even git's index, and the variables with which git tells its hooks where they are do not
    count.
    """
    answer = _git_status(folder)
    commit, changed = None, False
    for line in answer.splitlines():
        match line.split(b" "):
            case [b"#", b"branch.oid", name]:
                commit = name.decode("ascii", errors="replace")
            case [b"#", *_]:
                pass
            case _:
                changed = True
    return GitState(commit=commit, changed=changed) if commit and commit != "(initial)" else None


def _git_status(folder: Path) -> bytes:
    git = shutil.which("git")
    if git is None:
        return b""
    given = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    quiet = {"GIT_OPTIONAL_LOCKS": "0", "GIT_NO_LAZY_FETCH": "1", "GIT_TERMINAL_PROMPT": "0"}
    command = [git, "-c", "core.fsmonitor=false", "-C", str(folder), "status"]
    form = ["--porcelain=v2", "--branch", "--no-ahead-behind", "--no-renames", "--untracked-files=no"]
    with suppress(OSError, ValueError, subprocess.SubprocessError):
        done = subprocess.run(
            [*command, *form],
            env=given | quiet,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=_GIT_S,
            check=True,
        )
        return done.stdout
    return b""
