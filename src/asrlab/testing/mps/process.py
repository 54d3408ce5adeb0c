"""A child process that simulates the MPS device."""

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
        """Start the process and enter the simulation.

        Raises:
            DeviceUnavailableError: If `simulated_mps` raises it in the process.
        """
        self._pool = ProcessPoolExecutor(max_workers=1, mp_context=get_context("spawn"))
        try:
            self._submit(_enter_simulation, self._sparse, self._threads)
        except BaseException:
            self._close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
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
        # pickled here, so that the process imports the function's module before it unpickles the arguments
        return self._submit(_run, _FunctionReference.to(function), pickle.dumps(args))

    def report(self) -> KernelReport:
        """Return the ops called in the process since the start or the last `reset`."""
        report: KernelReport = self._submit(_report)
        return report

    def reset(self) -> None:
        """Reset the report."""
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
class _FunctionReference:
    """The location of a function.

    Attributes:
        module: Name of the module.
        file: File of the module; empty if the module has none.
        name: Name of the function in the module.
    """

    module: str
    file: str
    name: str

    @classmethod
    def to(cls, function: Callable[..., Any]) -> _FunctionReference:
        if not inspect.isfunction(function) or function.__qualname__ != function.__name__ or "<" in function.__name__:
            raise OptionError(
                f"{function!r} cannot be run in another process; define it with def at the top of a module",
                option="function",
            )
        file = getattr(sys.modules.get(function.__module__), "__file__", None)
        return cls(module=function.__module__, file=file or "", name=function.__name__)

    def load(self) -> Callable[..., Any]:
        function: Callable[..., Any] = getattr(self._import_module(), self.name)
        return function

    def _import_module(self) -> ModuleType:
        if self.module in sys.modules and self.module != "__main__":
            return sys.modules[self.module]
        spec = spec_from_file_location(self.module, self.file) if self.file else None
        if spec is None or spec.loader is None or self._is_importable():
            return importlib.import_module("__mp_main__" if self.module == "__main__" else self.module)
        # registered under its name and within its packages, so that pickle finds its classes
        parts = self.module.split(".")
        for size in range(1, len(parts)):
            package = ".".join(parts[:size])
            sys.modules.setdefault(package, ModuleType(package))
        module = sys.modules[self.module] = module_from_spec(spec)
        spec.loader.exec_module(module)
        return module

    def _is_importable(self) -> bool:
        if self.module == "__main__":
            return True
        try:
            spec = importlib.util.find_spec(self.module)
        except ImportError:
            return False
        return spec is not None and spec.origin == self.file


def _enter_simulation(sparse: bool | None, threads: int | None) -> None:  # noqa: FBT001 - passed through a pool
    from asrlab.testing.mps.simulation import simulated_mps

    simulation = simulated_mps(sparse=sparse)
    simulation.__enter__()
    # keeps the simulation for the life of the process
    atexit.register(simulation.__exit__, None, None, None)
    if threads is not None:
        import torch

        torch.set_num_threads(threads)


def _run(reference: _FunctionReference, args: bytes) -> Any:
    function = reference.load()
    return function(*pickle.loads(args))  # noqa: S301 - written by the process that started this one


def _report() -> KernelReport:
    return _current().report()


def _reset() -> None:
    _current().reset()


def _current() -> Simulation:
    from asrlab.testing.mps.simulation import current_simulation

    simulation = current_simulation()
    if simulation is None:
        raise OptionError("this process does not simulate an MPS device; use SimulatedProcess")
    return simulation
