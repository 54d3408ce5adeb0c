"""A process of its own for the simulated MPS device."""

from __future__ import annotations

import atexit
import importlib
import inspect
import pickle
import sys
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from importlib.util import module_from_spec, spec_from_file_location
from multiprocessing import get_context
from types import ModuleType, TracebackType
from typing import TYPE_CHECKING, Any, Self

import attrs

from asrlab.errors import OptionError
from asrlab.testing.mps.report import KernelReport

if TYPE_CHECKING:
    from asrlab.testing.mps.simulation import Simulation


class SimulatedProcess:
    """A spawned process that simulates MPS for all of its life; a context manager.

    Functions run there one after another, so that what one leaves behind, a loaded model say, is there for the next.

    Args:
        sparse: As for `simulated_mps`.
        threads: CPU threads that torch uses there; None: as torch decides.
    """

    def __init__(self, *, sparse: bool | None = None, threads: int | None = None) -> None:
        self._sparse, self._threads = sparse, threads
        self._pool: ProcessPoolExecutor | None = None

    def __enter__(self) -> Self:
        """Start it.

        Raises:
            DeviceUnavailableError: As `simulated_mps` raises it there.
        """
        self._pool = ProcessPoolExecutor(max_workers=1, mp_context=get_context("spawn"))
        try:
            self._submit(_enter, self._sparse, self._threads)
        except BaseException:
            self._close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._close()

    def run(self, function: Callable[..., Any], *args: Any) -> Any:
        """Run *function* there and return what it returns.

        Args:
            function: One at the top of a module; a module that cannot be imported, as a test file, is read from its
                file.
            args: Passed on; they and the result are pickled, simulated tensors as CPU tensors that are moved.

        Raises:
            OptionError: The function is a lambda, a method or nested, which another process cannot find.
            Exception: Whatever it raises.
        """
        # pickled here, so that the function's module is there before the arguments are read
        return self._submit(_run, _Reference.to(function), pickle.dumps(args))

    def report(self) -> KernelReport:
        """The ops called there since the start or the last `reset`."""
        report: KernelReport = self._submit(_report)
        return report

    def reset(self) -> None:
        """Begin a new report there."""
        self._submit(_reset)

    def _submit(self, function: Callable[..., Any], *args: Any) -> Any:
        if self._pool is None:
            raise OptionError("this SimulatedProcess is not running; use it in a with block")
        return self._pool.submit(function, *args).result()

    def _close(self) -> None:
        if self._pool is not None:
            self._pool.shutdown()
            self._pool = None


@attrs.frozen(kw_only=True)
class _Reference:
    """Where a function is found.

    Attributes:
        module: Name of its module.
        file: The module's file; empty if it has none.
        name: Its name there.
    """

    module: str
    file: str
    name: str

    @classmethod
    def to(cls, function: Callable[..., Any]) -> _Reference:
        if not inspect.isfunction(function) or function.__qualname__ != function.__name__ or "<" in function.__name__:
            raise OptionError(
                f"{function!r} cannot be run in another process; define it with def at the top of a module",
                option="function",
            )
        file = getattr(sys.modules.get(function.__module__), "__file__", None)
        return cls(module=function.__module__, file=file or "", name=function.__name__)

    def find(self) -> Callable[..., Any]:
        found: Callable[..., Any] = getattr(self._import(), self.name)
        return found

    def _import(self) -> ModuleType:
        if self.module in sys.modules and self.module != "__main__":
            return sys.modules[self.module]
        spec = spec_from_file_location(self.module, self.file) if self.file else None
        if spec is None or spec.loader is None or self._importable():
            return importlib.import_module("__mp_main__" if self.module == "__main__" else self.module)
        # under its name and within its packages, so that pickle finds what it defines
        parts = self.module.split(".")
        for size in range(1, len(parts)):
            package = ".".join(parts[:size])
            sys.modules.setdefault(package, ModuleType(package))
        module = sys.modules[self.module] = module_from_spec(spec)
        spec.loader.exec_module(module)
        return module

    def _importable(self) -> bool:
        if self.module == "__main__":
            return True
        try:
            found = importlib.util.find_spec(self.module)
        except ImportError:
            return False
        return found is not None and found.origin == self.file


def _enter(sparse: bool | None, threads: int | None) -> None:  # noqa: FBT001 - passed through a pool
    from asrlab.testing.mps.simulation import simulated_mps

    simulation = simulated_mps(sparse=sparse)
    simulation.__enter__()
    # holds on to it for the life of the process
    atexit.register(simulation.__exit__, None, None, None)
    if threads is not None:
        import torch

        torch.set_num_threads(threads)


def _run(reference: _Reference, args: bytes) -> Any:
    function = reference.find()
    return function(*pickle.loads(args))  # noqa: S301 - written by the process that started this one


def _report() -> KernelReport:
    return _current().report()


def _reset() -> None:
    _current().reset()


def _current() -> Simulation:
    from asrlab.testing.mps.simulation import current_simulation

    simulation = current_simulation()
    if simulation is None:
        raise OptionError("this process simulates no MPS device; call it through SimulatedProcess")
    return simulation
