"""The simulated MPS device as a context: entering checks, installs and tests it, leaving takes it away."""

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
    from asrlab.testing.mps.selftest import Check


@attrs.frozen(kw_only=True, eq=False)
class Simulation:
    """A simulated MPS device in use.

    Attributes:
        torch: Version of torch.
        sparse: Whether sparse COO tensors can be on the device.
        self_test: The programs that were run on entering; all behaved.
    """

    torch: str
    sparse: bool
    self_test: tuple[Check, ...] = ()
    _backend: Backend = attrs.field(repr=False)

    @property
    def fallback(self) -> bool:
        """Whether an op without a kernel runs on the CPU, as PYTORCH_ENABLE_MPS_FALLBACK asks."""
        return self._backend.fallback

    def report(self) -> KernelReport:
        """The ops called since the start or the last `reset`, those of all threads."""
        return self._backend.tally.report(torch=self.torch)

    def reset(self) -> None:
        """Begin a new report."""
        self._backend.tally.clear()


@contextmanager
def simulated_mps(*, sparse: bool | None = None) -> Iterator[Simulation]:
    """Make ``device="mps"`` exist in a torch for Linux: the CPU's numbers, the placement rules and errors of MPS.

    Tensors report ``mps:0``. CUDA calls, mixed devices, float64, complex128, ``.numpy()``, and ops without an MPS
    kernel fail with the real backend's errors, each ending in ``(simulated)``; the environment variable
    ``PYTORCH_ENABLE_MPS_FALLBACK`` is obeyed as it stands on entering. It shows nothing about numbers, speed, memory,
    or kernels that exist and are wrong.

    It changes torch in this process: on leaving all is as before, but for an entry in a C++ table that does nothing.
    So give it a process of its own, such as `SimulatedProcess` starts. Only the thread that enters can make tensors on
    the device; other threads can use them.

    Args:
        sparse: Whether sparse COO tensors can be on MPS; False imitates torch 2.8 and earlier. None: as the installed
            torch has it.

    Raises:
        DeviceUnavailableError: torch is missing, is not a tested version, has MPS itself, or already simulates it; or
            the self-test found that the simulation does not behave with it.
        OptionError: *sparse* asks for what the installed torch lacks.
    """
    version = _torch_version()
    _refuse_untested(version)
    _refuse_real_or_second()

    from asrlab.testing.mps.backend import Backend, BackendMode
    from asrlab.testing.mps.device_guard import install_guard
    from asrlab.testing.mps.functions import FunctionsMode
    from asrlab.testing.mps.op_tables import installed_kernels
    from asrlab.testing.mps.selftest import run_self_test
    from asrlab.testing.mps.torch_patches import replaced_functions

    kernels = installed_kernels()
    sparse = _sparse(sparse, has_sparse=kernels.has_sparse, version=version)
    backend = Backend(kernels=kernels, sparse=sparse, fallback=_fallback())
    install_guard()
    with replaced_functions(), FunctionsMode(backend), BackendMode(backend):
        checks = run_self_test(sparse=sparse, fallback=backend.fallback)
        _refuse_misbehaving(checks, version)
        backend.forget()
        yield Simulation(torch=version, sparse=sparse, self_test=checks, backend=backend)


def current_simulation() -> Simulation | None:
    """The simulation that this thread is in; its `Simulation.self_test` is not known here."""
    from torch import overrides

    from asrlab.testing.mps.functions import FunctionsMode

    stack: list[object] = overrides._get_current_function_mode_stack()  # type: ignore[no-untyped-call]  # noqa: SLF001 - torch has no public way to ask
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


def _refuse_untested(version: str) -> None:
    release = ".".join(version.split(".")[:2])
    if release not in TESTED_TORCH:
        tested = f"{', '.join(TESTED_TORCH[:-1])} and {TESTED_TORCH[-1]}"
        raise DeviceUnavailableError(
            f"the simulated MPS device is tested with torch {tested}, not with {version}; install one of those",
            device="mps",
        )


def _refuse_real_or_second() -> None:
    from torch.backends import mps

    if getattr(mps.is_available, "simulated", False):
        raise DeviceUnavailableError(
            "this process already simulates an MPS device; leave that simulation first", device="mps"
        )
    if mps.is_built():
        raise DeviceUnavailableError(
            "this torch is built with MPS, where nothing is simulated; use device 'mps' itself", device="mps"
        )


def _sparse(asked: bool | None, *, has_sparse: bool, version: str) -> bool:  # noqa: FBT001 - as the user gave it
    if asked and not has_sparse:
        raise OptionError(
            f"torch {version} has no sparse tensors on MPS; leave sparse out or set it to False", option="sparse"
        )
    return has_sparse if asked is None else asked


def _fallback() -> bool:
    """Whether the fallback is on. Source: ``aten/src/ATen/mps/MPSFallback.mm``."""
    return os.environ.get("PYTORCH_ENABLE_MPS_FALLBACK", "0") != "0"


def _refuse_misbehaving(checks: tuple[Check, ...], version: str) -> None:
    failed = [str(check) for check in checks if check.failure]
    if failed:
        raise DeviceUnavailableError(
            f"the simulated MPS device does not behave with torch {version}, so nothing can be tested on it: "
            + "; ".join(failed),
            device="mps",
        )
