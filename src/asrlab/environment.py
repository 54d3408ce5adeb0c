"""Resident memory of this process, now and at its peak."""

from __future__ import annotations

import ctypes
import os
import platform
import re
import shutil
import subprocess
import sys
from contextlib import suppress
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path

import attrs


def peak_resident_bytes() -> int | None:
    """The most memory that this process has had resident so far, in bytes; None where the system does not tell.

    It is of the whole process since it began: the interpreter, every library and every model loaded until now, and
    memory mapped from files as far as it was read; not memory on a GPU, not child processes. It never falls, so models
    compared in one process share one peak.

    Linux: ``VmHWM``. ``ru_maxrss`` would not do: it survives ``exec``, so a program started by a large process
    reports its parent's peak as its own. macOS: ``ru_maxrss``, which there is in bytes. Windows: None.

    Source: proc_pid_status(5), getrusage(2).
    """
    if sys.platform == "darwin":
        import resource

        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return _status("VmHWM")


def resident_bytes() -> int | None:
    """The memory that this process has resident now, in bytes, by the same boundary; None where it cannot be told.

    Linux: ``VmRSS``, which the kernel may have a few pages off. Elsewhere: None.
    """
    return _status("VmRSS")


def _status(field: str) -> int | None:
    try:
        lines = Path("/proc/self/status").read_text(encoding="ascii", errors="replace").splitlines()
    except OSError:  # not Linux, or /proc is not mounted
        return None
    return next((_kibibytes(line) for line in lines if line.startswith(f"{field}:")), None)


def _kibibytes(line: str) -> int:
    """The bytes in a line such as ``VmHWM:  2068 kB``, where kB means 1024 bytes."""
    return int(line.split()[1]) * 1024


_LONGEST_NAME = 256


def usable_cores() -> int:
    """Those that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def platform_name() -> str:
    """The system and the architecture, such as ``Linux x86_64``; without versions, which updates change."""
    return f"{platform.system()} {platform.machine()}"


def processor_name() -> str:
    """Its model's name; empty where the system does not tell."""
    with suppress(OSError, subprocess.SubprocessError):
        if sys.platform == "darwin":
            command = ["/usr/sbin/sysctl", "-n", "machdep.cpu.brand_string"]
            return subprocess.run(command, capture_output=True, text=True, check=True, timeout=10).stdout.strip()
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
        return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "")
    return ""


def accelerator_name(device: str) -> str:
    """The model's name of ``cuda:N``, as the driver tells it; empty for other devices and where it does not.

    The driver is asked, not an engine: engines differ in whether they can tell, and the numbers are the same.
    """
    kind, _, number = device.partition(":")
    if kind != "cuda":
        return ""
    with suppress(OSError, AttributeError, ValueError):  # no driver, or one without these functions
        return _cuda_name(ctypes.CDLL("nvcuda.dll" if sys.platform == "win32" else "libcuda.so.1"), int(number or 0))
    return ""


def _cuda_name(driver: ctypes.CDLL, number: int) -> str:
    """Source: CUDA driver API, ``cuInit``, ``cuDeviceGet`` and ``cuDeviceGetName``; each gives 0 if all is well."""
    handle, name = ctypes.c_int(), ctypes.create_string_buffer(_LONGEST_NAME)
    if driver.cuInit(0) or driver.cuDeviceGet(ctypes.byref(handle), number):
        return ""
    if driver.cuDeviceGetName(name, _LONGEST_NAME, handle):
        return ""
    return name.value.decode(errors="replace")


def installed_version(distribution: str) -> str | None:
    """The version of *distribution*; None if it is not installed. Imports nothing of it."""
    try:
        return metadata.version(distribution)
    except metadata.PackageNotFoundError:
        return None


@attrs.frozen(kw_only=True)
class Machine:
    """A machine.

    Attributes:
        system: Such as ``Linux 6.8`` or ``macOS 15.1``.
        architecture: Such as ``x86_64`` or ``arm64``.
        processor: Its model's name; empty where the system does not tell.
        cores: Those that this process may use.
        python: Implementation and version.
    """

    system: str
    architecture: str
    processor: str
    cores: int
    python: str


def this_machine() -> Machine:
    """The one that this process runs on."""
    mac = platform.mac_ver()[0]
    return Machine(
        system=f"macOS {mac}" if mac else f"{platform.system()} {platform.release()}",
        architecture=platform.machine(),
        processor=processor_name(),
        cores=usable_cores(),
        python=f"{platform.python_implementation()} {platform.python_version()}",
    )


def torch_build(kind: str) -> str:
    """The build of torch in this process, and the device behind *kind*; empty if torch was not imported."""
    if "torch" not in sys.modules:
        return ""
    import torch

    simulated = getattr(torch.backends.mps.is_available, "simulated", False)
    builds = [
        f"CUDA {torch.version.cuda}" if torch.version.cuda else "no CUDA",
        "MPS" if torch.backends.mps.is_built() and not simulated else "no MPS",
    ]
    named = f"; {torch.cuda.get_device_name()}" if kind == "cuda" and torch.cuda.is_available() else ""
    return f"torch {torch.__version__} with {', '.join(builds)}{named}"


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


@attrs.frozen(kw_only=True)
class GitState:
    """The user's own tree, where the run was started in one.

    Attributes:
        commit: Full hash.
        changed: Whether tracked files differ from it.
    """

    commit: str
    changed: bool


def engine_variables() -> tuple[tuple[str, str], ...]:
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


def utc_timestamp() -> str:
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
