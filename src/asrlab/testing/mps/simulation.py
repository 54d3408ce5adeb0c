"""The simulated MPS device, as a context manager in this process and as a child process that simulates MPS."""

from __future__ import annotations

import atexit
import importlib
import inspect
import os
import pickle
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager, suppress
from importlib.util import find_spec, module_from_spec, spec_from_file_location
from multiprocessing import get_context
from types import ModuleType
from typing import TYPE_CHECKING, Any, Self

import attrs

from asrlab.errors import DeviceUnavailableError, OptionError
from asrlab.installation import install_command
from asrlab.testing.mps.ops import TESTED_TORCH, KernelReport, installed_kernels

if TYPE_CHECKING:
    from asrlab.testing.mps.backend import Backend
    from asrlab.testing.mps.selftest import SelfTestResult


@attrs.frozen(kw_only=True, eq=False)
class Simulation:
    """A simulated MPS device in use.

    Attributes:
        torch: Version of torch.
        sparse: True if sparse COO tensors can be on the device.
        self_test: Results of the self-test on entering; all passed. Empty for ``current_simulation``.
    """

    torch: str
    sparse: bool
    self_test: tuple[SelfTestResult, ...] = ()
    _backend: Backend = attrs.field(repr=False)

    @property
    def fallback(self) -> bool:
        """True if an op without a kernel runs on the CPU: PYTORCH_ENABLE_MPS_FALLBACK is set."""
        return self._backend.fallback

    def report(self) -> KernelReport:
        """Return the ops that all threads called since the start or the last `reset`."""
        return KernelReport.from_calls(self._backend.calls, torch=self.torch)

    def reset(self) -> None:
        """Reset the report."""
        self._backend.calls.clear()


@contextmanager
def simulated_mps(*, sparse: bool | None = None) -> Iterator[Simulation]:
    """Simulate ``device="mps"`` in a torch for Linux: results of the CPU, placement rules and errors of MPS.

    Tensors report ``mps:0``. CUDA calls, mixed devices, float64, complex128, ``.numpy()``, and ops without an MPS
    kernel fail with the real backend's errors, each ending in ``(simulated)``. The environment variable
    ``PYTORCH_ENABLE_MPS_FALLBACK`` is read on entering. The simulation shows nothing about numerical precision, speed,
    memory, or wrong kernels.

    The simulation changes torch in this process. Leaving undoes every change but one entry in a C++ table that has no
    effect, so run the simulation in a process of its own, such as `SimulatedProcess`. Only the thread that enters can
    make tensors on the device; other threads can use them.

    Args:
        sparse: True if sparse COO tensors can be on MPS; False behaves as torch 2.8 and earlier. None for the
            behaviour of the installed torch.

    Raises:
        DeviceUnavailableError: If torch is missing, untested, built with MPS, or already simulated, or if the
            self-test fails.
        OptionError: If *sparse* is True and the installed torch does not support sparse tensors on MPS.
    """
    version = _require_simulable_torch()

    from asrlab.testing.mps.backend import Backend, BackendMode
    from asrlab.testing.mps.selftest import run_self_test
    from asrlab.testing.mps.torch_patches import FunctionsMode, install_device_guard, replaced_functions

    kernels = installed_kernels()
    if sparse and not kernels.has_sparse:
        raise OptionError(
            f"torch {version} has no sparse tensors on MPS; leave sparse out or set it to False", option="sparse"
        )
    # source: aten/src/ATen/mps/MPSFallback.mm
    fallback = os.environ.get("PYTORCH_ENABLE_MPS_FALLBACK", "0") != "0"
    backend = Backend(kernels=kernels, sparse=kernels.has_sparse if sparse is None else sparse, fallback=fallback)
    install_device_guard()
    with replaced_functions(), FunctionsMode(backend), BackendMode(backend):
        results = run_self_test(sparse=backend.sparse, fallback=fallback)
        if failed := [str(result) for result in results if result.failure]:
            raise DeviceUnavailableError(
                f"the simulated MPS device fails its self-test with torch {version}: {'; '.join(failed)}", device="mps"
            )
        backend.reset()
        yield Simulation(torch=version, sparse=backend.sparse, self_test=results, backend=backend)


def current_simulation() -> Simulation | None:
    """Return the simulation that this thread has entered, if any."""
    import torch

    from asrlab.testing.mps.torch_patches import FunctionsMode

    stack: list[object] = torch.overrides._get_current_function_mode_stack()  # type: ignore[no-untyped-call]  # noqa: SLF001 - torch has no public function for this
    backend = next((mode.backend for mode in stack if isinstance(mode, FunctionsMode)), None)
    return None if backend is None else Simulation(torch=str(torch.__version__), sparse=backend.sparse, backend=backend)


def _require_simulable_torch() -> str:
    """Return the version of torch; raise if MPS cannot be simulated with this torch."""
    try:
        import torch
        from torch.backends import mps
    except ImportError as error:
        raise DeviceUnavailableError(
            f"the simulated MPS device needs torch, which cannot be imported ({error}); "
            f"run: {install_command('asrlab[openai-whisper]')}",
            device="mps",
        ) from error
    version = str(torch.__version__)
    if ".".join(version.split(".")[:2]) not in TESTED_TORCH:
        tested = f"{', '.join(TESTED_TORCH[:-1])} and {TESTED_TORCH[-1]}"
        problem = f"the simulated MPS device is tested with torch {tested}, not with {version}; install one of them"
    elif getattr(mps.is_available, "simulated", False):
        problem = "this process already simulates an MPS device; leave that simulation first"
    elif mps.is_built():
        problem = "this torch is built with MPS, which is not simulated; use device 'mps' itself"
    else:
        return version
    raise DeviceUnavailableError(problem, device="mps")


class SimulatedProcess:
    """A spawned process that simulates MPS until its end; a context manager.

    Functions run in the process one after another, so that a model that one function loads serves the next.

    Args:
        sparse: Passed to `simulated_mps`.
        threads: CPU threads of torch in the process; None for torch's default.
    """

    def __init__(self, *, sparse: bool | None = None, threads: int | None = None) -> None:
        self._sparse, self._threads = sparse, threads
        self._pool: ProcessPoolExecutor | None = None

    def __enter__(self) -> Self:
        """Start the process and enter the simulation, which may raise `DeviceUnavailableError`."""
        self._pool = ProcessPoolExecutor(max_workers=1, mp_context=get_context("spawn"))
        try:
            self._submit(_enter_simulation, self._sparse, self._threads)
        except BaseException:
            self._close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._close()

    def run(self, function: Callable[..., Any], *args: Any) -> Any:
        """Run *function* in the process and return its result.

        Args:
            function: A function at the top of a module. A module that cannot be imported, such as a test file, is
                loaded from its file.
            args: Arguments of the function. Arguments and result are pickled, simulated tensors as CPU tensors that
                are moved.

        Raises:
            OptionError: If the function is a lambda, a method or nested, which another process cannot import.
            Exception: If the function raises.
        """
        if not inspect.isfunction(function) or function.__qualname__ != function.__name__ or "<" in function.__name__:
            raise OptionError(
                f"{function!r} cannot be run in another process; define it with def at the top of a module",
                option="function",
            )
        file = getattr(sys.modules.get(function.__module__), "__file__", None) or ""
        # pickled here, so that the process imports the function's module before it unpickles the arguments
        return self._submit(_run, function.__module__, file, function.__name__, pickle.dumps(args))

    def report(self) -> KernelReport:
        """Return the ops called in the process since the start or the last `reset`."""
        report: KernelReport = self._submit(_call_simulation, "report")
        return report

    def reset(self) -> None:
        """Reset the report."""
        self._submit(_call_simulation, "reset")

    def _submit(self, function: Callable[..., Any], *args: Any) -> Any:
        if self._pool is None:
            raise OptionError("this SimulatedProcess is not running; use it in a with block")
        return self._pool.submit(function, *args).result()

    def _close(self) -> None:
        if self._pool is not None:
            self._pool.shutdown()
            self._pool = None


def _enter_simulation(sparse: bool | None, threads: int | None) -> None:  # noqa: FBT001 - passed through a pool
    simulation = simulated_mps(sparse=sparse)
    simulation.__enter__()
    # keeps the simulation for the life of the process
    atexit.register(simulation.__exit__, None, None, None)
    if threads is not None:
        import torch

        torch.set_num_threads(threads)


def _run(module: str, file: str, name: str, args: bytes) -> Any:
    function = getattr(_load_module(module, file), name)
    return function(*pickle.loads(args))  # noqa: S301 - written by the process that started this one


def _load_module(name: str, file: str) -> ModuleType:
    """Return a module of the other process; load the module from *file* if its name cannot be imported."""
    if name == "__main__":
        return importlib.import_module("__mp_main__")
    if name in sys.modules:
        return sys.modules[name]
    known = None
    with suppress(ImportError):
        known = find_spec(name)
    spec = spec_from_file_location(name, file) if file and (known is None or known.origin != file) else None
    if spec is None or spec.loader is None:
        return importlib.import_module(name)
    # registered under its name and within its packages, so that pickle finds its classes
    parts = name.split(".")
    for size in range(1, len(parts)):
        package = ".".join(parts[:size])
        sys.modules.setdefault(package, ModuleType(package))
    module = sys.modules[name] = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def _call_simulation(method: str) -> Any:
    return getattr(current_simulation(), method)()
