"""Facts of the machine, the operating system, the process and the installed packages."""

from __future__ import annotations

import ctypes
import os
import platform
import re
import shutil
import subprocess
import sys
import time
from contextlib import suppress
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path

import attrs


def peak_resident_bytes() -> int | None:
    """Return the peak resident memory of this process in bytes; None if the system does not report it.

    The figure covers the interpreter, libraries, models, and the parts of mapped files that were read; not memory on a
    GPU, not child processes. It never falls, so models in one process share one peak.

    Linux: ``VmHWM``, because ``ru_maxrss`` survives ``exec``: a program started by a large process reports its parent's
    peak. macOS: ``ru_maxrss``, in bytes there. Windows: None.

    Source: proc_pid_status(5), getrusage(2).
    """
    if sys.platform == "darwin":
        import resource

        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return _status_bytes("VmHWM")


def resident_bytes() -> int | None:
    """Return the resident memory of this process in bytes; None if the system does not report it.

    Linux: ``VmRSS``, which may be a few pages off. Other systems: None.
    """
    return _status_bytes("VmRSS")


def _status_bytes(field: str) -> int | None:
    try:
        lines = Path("/proc/self/status").read_text(encoding="ascii", errors="replace").splitlines()
    except OSError:  # not Linux, or /proc is not mounted
        return None
    # such as "VmHWM:  2068 kB", where kB means 1024 bytes
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith(f"{field}:")), None)


def usable_cores() -> int:
    """Return the number of cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def platform_name() -> str:
    """Return the system and the architecture, such as ``Linux x86_64``, without versions, which updates change."""
    return f"{platform.system()} {platform.machine()}"


def processor_name() -> str:
    """Return the model name of the processor; empty if the system does not report it."""
    with suppress(OSError, subprocess.SubprocessError):
        if sys.platform == "darwin":
            command = ["/usr/sbin/sysctl", "-n", "machdep.cpu.brand_string"]
            return subprocess.run(command, capture_output=True, text=True, check=True, timeout=10).stdout.strip()
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
        return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "")
    return ""


def accelerator_name(device: str) -> str:
    """Return the model name of the device ``cuda:N`` from the driver; empty for other devices or without a driver.

    The driver numbers devices as engines do, and not every engine can name them.
    """
    kind, _, number = device.partition(":")
    if kind != "cuda":
        return ""
    handle, name = ctypes.c_int(), ctypes.create_string_buffer(_MAX_NAME_BYTES)
    with suppress(OSError, AttributeError, ValueError):  # no driver, or one without these functions
        driver = ctypes.CDLL("nvcuda.dll" if sys.platform == "win32" else "libcuda.so.1")
        # source: CUDA driver API, whose functions return 0 on success
        failed = driver.cuInit(0) or driver.cuDeviceGet(ctypes.byref(handle), int(number or 0))
        if not failed and not driver.cuDeviceGetName(name, _MAX_NAME_BYTES, handle):
            return name.value.decode(errors="replace")
    return ""


def installed_version(distribution: str) -> str | None:
    """Return the version of *distribution* without importing it; None if it is not installed."""
    try:
        return metadata.version(distribution)
    except metadata.PackageNotFoundError:
        return None


@attrs.frozen(kw_only=True)
class Machine:
    """A machine and its Python.

    Attributes:
        system: Operating system, such as ``Linux 6.8`` or ``macOS 15.1``.
        architecture: Architecture, such as ``x86_64`` or ``arm64``.
        processor: Model name of the processor; empty if the system does not report it.
        cores: Number of cores that this process may use.
        python: Implementation and version.
    """

    system: str
    architecture: str
    processor: str
    cores: int
    python: str


def this_machine() -> Machine:
    """Return the machine of this process."""
    mac = platform.mac_ver()[0]
    return Machine(
        system=f"macOS {mac}" if mac else f"{platform.system()} {platform.release()}",
        architecture=platform.machine(),
        processor=processor_name(),
        cores=usable_cores(),
        python=f"{platform.python_implementation()} {platform.python_version()}",
    )


def torch_build(kind: str) -> str:
    """Return the build of torch in this process and the GPU of *kind*; empty if torch was not imported."""
    if "torch" not in sys.modules:
        return ""
    import torch

    simulated = getattr(torch.backends.mps.is_available, "simulated", False)
    builds = [
        f"CUDA {torch.version.cuda}" if torch.version.cuda else "no CUDA",
        "MPS" if torch.backends.mps.is_built() and not simulated else "no MPS",
    ]
    gpu = f"; {torch.cuda.get_device_name()}" if kind == "cuda" and torch.cuda.is_available() else ""
    return f"torch {torch.__version__} with {', '.join(builds)}{gpu}"


_VARIABLES = (
    # threads, and where they run: OpenMP, Intel's and LLVM's, GNU's
    "OMP_NUM_THREADS", "OMP_THREAD_LIMIT", "OMP_DYNAMIC", "OMP_WAIT_POLICY", "OMP_PROC_BIND", "OMP_PLACES",
    "KMP_AFFINITY", "KMP_BLOCKTIME", "GOMP_CPU_AFFINITY", "GOMP_SPINCOUNT",
    # matrix libraries
    "MKL_NUM_THREADS", "MKL_DYNAMIC", "MKL_CBWR", "MKL_ENABLE_INSTRUCTIONS", "MKL_THREADING_LAYER",
    "OPENBLAS_NUM_THREADS", "OPENBLAS_CORETYPE", "VECLIB_MAXIMUM_THREADS", "ONEDNN_MAX_CPU_ISA", "DNNL_MAX_CPU_ISA",
    "ONEDNN_DEFAULT_FPMATH_MODE", "NUMBA_NUM_THREADS", "NUMBA_THREADING_LAYER", "NUMBA_DISABLE_JIT",
    # CTranslate2
    "CT2_VERBOSE", "CT2_FORCE_CPU_ISA", "CT2_USE_MKL", "CT2_PACKED_GEMM", "CT2_USE_EXPERIMENTAL_PACKED_GEMM",
    "CT2_CUDA_ALLOCATOR", "CT2_CUDA_CACHING_ALLOCATOR_CONFIG", "CT2_CUDA_ALLOW_BF16", "CT2_CUDA_ALLOW_FP16",
    "CT2_CUDA_TRUE_FP16_GEMM",
    # CUDA
    "CUDA_VISIBLE_DEVICES", "CUDA_DEVICE_ORDER", "CUDA_LAUNCH_BLOCKING", "CUDA_MODULE_LOADING",
    "CUBLAS_WORKSPACE_CONFIG", "NVIDIA_TF32_OVERRIDE",
    # PyTorch
    "PYTORCH_ALLOC_CONF", "PYTORCH_CUDA_ALLOC_CONF", "PYTORCH_NO_CUDA_MEMORY_CACHING", "PYTORCH_ENABLE_MPS_FALLBACK",
    "PYTORCH_MPS_FAST_MATH", "PYTORCH_MPS_PREFER_METAL", "PYTORCH_MPS_HIGH_WATERMARK_RATIO",
    "PYTORCH_MPS_LOW_WATERMARK_RATIO", "ATEN_CPU_CAPABILITY", "TORCH_ALLOW_TF32_CUBLAS_OVERRIDE",
    "TORCH_BLAS_PREFER_CUBLASLT", "TORCH_COMPILE_DISABLE", "TORCHDYNAMO_DISABLE",
    # the C library's memory
    "MALLOC_ARENA_MAX", "MALLOC_TRIM_THRESHOLD_", "MALLOC_MMAP_THRESHOLD_",
    # asrlab, and where weights come from
    "ASRLAB_PATCHES", "ASRLAB_DISABLE_PLUGINS", "ASRLAB_OFFLINE", "HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE",
)  # fmt: skip
"""Full names, because a pattern could match the name of a token."""
_GIT_TIMEOUT_S = 10.0
_MAX_NAME_BYTES = 256


@attrs.frozen(kw_only=True)
class GitState:
    """State of a git repository: the full hash of its commit, and whether tracked files differ from the commit."""

    commit: str
    changed: bool


def engine_variables() -> tuple[tuple[str, str], ...]:
    """Return the environment variables that change what engines do, by an allow-list, in alphabetical order.

    The home directory is written as ``~`` in their values.
    """
    return tuple((name, _without_home(os.environ[name])) for name in sorted(_VARIABLES) if name in os.environ)


def _without_home(value: str) -> str:
    with suppress(RuntimeError, OSError):  # a user may have no home directory
        home = Path.home()
        for folder in {str(home), str(home.resolve())} - {home.anchor}:
            value = re.sub(rf"{re.escape(folder)}(?=$|[/\\:;,])", "~", value)
    return value


def load_average() -> tuple[float, float, float] | None:
    """Return the load average over the last 1, 5 and 15 minutes; None if the system does not report it."""
    try:
        return os.getloadavg()
    except (AttributeError, OSError):
        return None


def utc_timestamp() -> str:
    """Return the time in UTC, ISO 8601, to the second."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def git_state(folder: Path) -> GitState | None:
    """Return the state of the repository of *folder*; None without a repository, a commit, or git.

    Nothing is written, not even git's index. Variables that git sets for its hooks are ignored.
    """
    lines = _git_status(folder).decode("ascii", errors="replace").splitlines()
    prefix = "# branch.oid "
    commit = next((line.removeprefix(prefix) for line in lines if line.startswith(prefix)), "(initial)")
    changed = any(not line.startswith("#") for line in lines)
    return None if commit == "(initial)" else GitState(commit=commit, changed=changed)


def _git_status(folder: Path) -> bytes:
    git = shutil.which("git")
    if git is None:
        return b""
    variables = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    command = [git, "-c", "core.fsmonitor=false", "-C", str(folder), "status"]
    with suppress(OSError, ValueError, subprocess.SubprocessError):
        command += ["--porcelain=v2", "--branch", "--no-ahead-behind", "--no-renames", "--untracked-files=no"]
        quiet = variables | {"GIT_OPTIONAL_LOCKS": "0", "GIT_NO_LAZY_FETCH": "1", "GIT_TERMINAL_PROMPT": "0"}
        null = subprocess.DEVNULL
        done = subprocess.run(command, env=quiet, stdin=null, capture_output=True, timeout=_GIT_TIMEOUT_S, check=True)
        return done.stdout
    return b""


MAX_OTHERS_SHARE = 0.1
"""The share of the cores' time that other programs may take before the machine counts as busy."""
MAX_STOLEN_SHARE = 0.05
"""The share of the cores' time that the hypervisor may give to other machines before the machine counts as busy."""


@attrs.frozen(kw_only=True)
class MachineLoad:
    """Use of the cores that this process may use, over some seconds.

    Attributes:
        seconds: Wall-clock time, by the monotonic clock.
        cores: Number of cores.
        own_s: CPU seconds of this process and of its children that ended.
        others_s: CPU seconds of all other programs on these cores; None where the system does not report them.
        stolen_s: Seconds in which the hypervisor gave these cores to other machines; None if not reported.
    """

    seconds: float
    cores: int
    own_s: float
    others_s: float | None = None
    stolen_s: float | None = None

    @property
    def others_share(self) -> float:
        """Share of the cores' time that other programs took, from 0 to 1; 0 if not known."""
        return self._share(self.others_s)

    @property
    def stolen_share(self) -> float:
        """Share of the cores' time that other machines took, from 0 to 1; 0 if not known."""
        return self._share(self.stolen_s)

    @property
    def is_busy(self) -> bool:
        """True if other programs can have distorted the measurement."""
        return self.others_share > MAX_OTHERS_SHARE or self.stolen_share > MAX_STOLEN_SHARE

    def _share(self, cpu_s: float | None) -> float:
        available_s = self.seconds * self.cores
        return cpu_s / available_s if cpu_s and available_s > 0 else 0.0


class LoadMeter:
    """A meter of the machine's load since its creation."""

    def __init__(self) -> None:
        self._start = time.monotonic()
        self._own_s = _own_cpu_s()
        self._cores = _core_times_s()

    def read(self) -> MachineLoad:
        """Return the load since the meter was created."""
        now, before, own_s = _core_times_s(), self._cores, _own_cpu_s() - self._own_s
        return MachineLoad(
            seconds=time.monotonic() - self._start,
            cores=usable_cores(),
            own_s=own_s,
            others_s=max(0.0, now[0] - before[0] - own_s) if now and before else None,
            stolen_s=max(0.0, now[1] - before[1]) if now and before else None,
        )


def _own_cpu_s() -> float:
    """Return the CPU seconds of this process and of its children that have ended."""
    import resource

    usages = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(usage.ru_utime + usage.ru_stime for usage in usages)


def _core_times_s() -> tuple[float, float] | None:
    """Return the busy and the stolen seconds of the usable cores since the machine started; None if not reported.

    Source: proc_stat(5): user, nice, system, idle, iowait, irq, softirq, steal, guest, guest_nice. User and nice
    include the time of guests.
    """
    if not hasattr(os, "sched_getaffinity"):
        return None
    names = {f"cpu{core}" for core in os.sched_getaffinity(0)}
    busy = stolen = 0
    with suppress(OSError, ValueError, IndexError):
        for line in Path("/proc/stat").read_text(encoding="ascii").splitlines():
            name, *fields = line.split()
            if name in names:
                user, nice, system, _idle, _iowait, irq, softirq, steal = map(int, fields[:8])
                busy += user + nice + system + irq + softirq
                stolen += steal
                names.discard(name)
        if not names:
            ticks_per_s = os.sysconf("SC_CLK_TCK")
            return busy / ticks_per_s, stolen / ticks_per_s
    return None
