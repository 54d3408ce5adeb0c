"""The simulated MPS device as a context manager, which installs and tests the simulation and removes it at the end."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import attrs

from asrlab.errors import DeviceUnavailableError, OptionError
from asrlab.installation import install_command
from asrlab.testing.mps.op_tables import TESTED_TORCH
from asrlab.testing.mps.report import KernelReport

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
        return self._backend.op_counter.report(torch=self.torch)

    def reset(self) -> None:
        """Reset the report."""
        self._backend.op_counter.clear()


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
    version = _torch_version()
    _require_tested(version)
    _require_no_mps()

    from asrlab.testing.mps.backend import Backend, BackendMode
    from asrlab.testing.mps.op_tables import installed_kernels
    from asrlab.testing.mps.selftest import run_self_test
    from asrlab.testing.mps.torch_patches import FunctionsMode, install_device_guard, replaced_functions

    kernels = installed_kernels()
    sparse = _resolve_sparse(sparse, has_sparse=kernels.has_sparse, version=version)
    backend = Backend(kernels=kernels, sparse=sparse, fallback=_has_fallback())
    install_device_guard()
    with replaced_functions(), FunctionsMode(backend), BackendMode(backend):
        results = run_self_test(sparse=sparse, fallback=backend.fallback)
        _require_passed(results, version)
        backend.reset()
        yield Simulation(torch=version, sparse=sparse, self_test=results, backend=backend)


def current_simulation() -> Simulation | None:
    """Return the simulation that this thread has entered, if any."""
    from torch import overrides

    from asrlab.testing.mps.torch_patches import FunctionsMode

    stack: list[object] = overrides._get_current_function_mode_stack()  # type: ignore[no-untyped-call]  # noqa: SLF001 - torch has no public function for this
    backends = (mode.backend for mode in stack if isinstance(mode, FunctionsMode))
    backend = next(backends, None)
    return None if backend is None else Simulation(torch=_torch_version(), sparse=backend.sparse, backend=backend)


def _torch_version() -> str:
    try:
        import torch
    except ImportError as error:
        raise DeviceUnavailableError(
            f"the simulated MPS device needs torch, which cannot be imported ({error}); "
            f"run: {install_command('asrlab[openai-whisper]')}",
            device="mps",
        ) from error
    return str(torch.__version__)


def _require_tested(version: str) -> None:
    release = ".".join(version.split(".")[:2])
    if release not in TESTED_TORCH:
        tested = f"{', '.join(TESTED_TORCH[:-1])} and {TESTED_TORCH[-1]}"
        raise DeviceUnavailableError(
            f"the simulated MPS device is tested with torch {tested}, not with {version}; install one of them",
            device="mps",
        )


def _require_no_mps() -> None:
    from torch.backends import mps

    if getattr(mps.is_available, "simulated", False):
        raise DeviceUnavailableError(
            "this process already simulates an MPS device; leave that simulation first", device="mps"
        )
    if mps.is_built():
        raise DeviceUnavailableError(
            "this torch is built with MPS, which is not simulated; use device 'mps' itself", device="mps"
        )


def _resolve_sparse(requested: bool | None, *, has_sparse: bool, version: str) -> bool:  # noqa: FBT001 - three values
    if requested and not has_sparse:
        raise OptionError(
            f"torch {version} has no sparse tensors on MPS; leave sparse out or set it to False", option="sparse"
        )
    return has_sparse if requested is None else requested


def _has_fallback() -> bool:
    # source: aten/src/ATen/mps/MPSFallback.mm
    return os.environ.get("PYTORCH_ENABLE_MPS_FALLBACK", "0") != "0"


def _require_passed(results: tuple[SelfTestResult, ...], version: str) -> None:
    failed = [str(result) for result in results if result.failure]
    if failed:
        raise DeviceUnavailableError(
            f"the simulated MPS device fails its self-test with torch {version}: " + "; ".join(failed),
            device="mps",
        )
