"""The state that a process has only once, and that belongs to whoever started it."""

from __future__ import annotations

import logging
import os
import random
import signal
import sys
import tempfile
import threading
import warnings
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import ModuleType
from typing import Any, Self

import attrs

# What packages do when they are first used, and what no engine can keep them from.
# Source: torch/_inductor/runtime/runtime_utils.py, cache_dir; sklearn/__init__.py
_IGNORED_VARIABLES = {"TORCHINDUCTOR_CACHE_DIR", "KMP_DUPLICATE_LIB_OK", "KMP_INIT_AT_FORK"}
# Caches of torch, and the session of onnxruntime's telemetry.
_FILES_OF_PACKAGES = ("torchinductor_", ".ses")


@attrs.frozen(kw_only=True)
class State:
    """What nobody but the program may change, not even once.

    Attributes:
        environment: ``os.environ``.
        folder: The current one.
        signals: Each signal's handler.
        logging: Handlers and level of the root logger and of asrlab's, and what is disabled.
        torch: Its default dtype and whether gradients are kept; empty where torch was not imported.
    """

    environment: Mapping[str, str]
    folder: str
    signals: Mapping[int, Any]
    logging: tuple[Any, ...]
    torch: Mapping[str, Any]

    @classmethod
    def now(cls) -> State:
        """As it is."""
        return cls(
            environment={name: value for name, value in os.environ.items() if name not in _IGNORED_VARIABLES},
            folder=str(Path.cwd()),
            signals={int(number): signal.getsignal(number) for number in signal.valid_signals()},
            logging=_logging(),
            torch=_torch(),
        )

    def differences(self) -> Iterator[tuple[str, str]]:
        """What is different now: pairs of a kind, and what to do."""
        now = State.now()
        names = sorted(_changed(self.environment, now.environment))
        if names:
            yield "environment", f"os.environ is changed: {', '.join(names)}; pass settings as arguments instead"
        if now.folder != self.folder:
            yield "folder", f"the current folder is {now.folder}, was {self.folder}; use absolute paths"
        numbers = sorted(_changed(self.signals, now.signals))
        if numbers:
            told = ", ".join(signal.Signals(number).name for number in numbers)
            yield "signals", f"the handlers of {told} are changed; leave signals to the program"
        if now.logging != self.logging:
            yield (
                "logging",
                (
                    f"the root logger or asrlab's is changed, from {self.logging} to {now.logging}; log to a logger of "
                    "your own, add no handler to it, and never call logging.basicConfig"
                ),
            )
        yield from _torch_differences(self.torch, now.torch)


def _logging() -> tuple[Any, ...]:
    loggers = (logging.root, logging.getLogger("asrlab"))
    return (*((tuple(logger.handlers), logger.level) for logger in loggers), logging.root.manager.disable)


def _torch() -> Mapping[str, Any]:
    torch = sys.modules.get("torch")
    if torch is None:
        return {}
    return {
        "default dtype": torch.get_default_dtype(),
        "gradients": torch.is_grad_enabled(),
    }


def _torch_differences(before: Mapping[str, Any], now: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    for name in sorted(_changed(before, now)) if before else ():
        yield (
            "torch",
            (f"torch's {name} is {now[name]}, was {before[name]}; pass dtype= where you mean one"),
        )


def _changed(before: Mapping[Any, Any], now: Mapping[Any, Any]) -> set[Any]:
    return {name for name in before.keys() | now.keys() if before.get(name) != now.get(name)}


@attrs.frozen(kw_only=True)
class Growing:
    """What may be there once, as packages leave it when they are first used, but must not grow with every use.

    Attributes:
        filters: Warnings filters.
        torch_threads: CPU threads that torch uses; None where it was not imported.
        handlers: Of each named logger.
        threads: Those of Python.
        files: Open ones, by descriptor; empty where the system does not tell.
    """

    filters: tuple[Any, ...]
    torch_threads: int | None
    handlers: Mapping[str, tuple[int, ...]]
    threads: frozenset[threading.Thread]
    files: Mapping[str, str]

    @classmethod
    def now(cls) -> Growing:
        """As it is."""
        return cls(
            filters=tuple(map(str, warnings.filters)),
            torch_threads=sys.modules["torch"].get_num_threads() if "torch" in sys.modules else None,
            handlers=_handlers(),
            threads=frozenset(threading.enumerate()),
            files=_open_files(),
        )

    def differences(self) -> Iterator[tuple[str, str]]:
        """What has come since: pairs of a kind, and what to do. Temporary files count from the start."""
        now = Growing.now()
        if now.filters != self.filters:
            added = "; ".join(each for each in now.filters if each not in self.filters) or "their order"
            yield "warnings", f"warnings.filters is changed: {added}; use warnings.catch_warnings around a call"
        if now.torch_threads != self.torch_threads:
            yield (
                "torch",
                (
                    f"torch uses {now.torch_threads} threads, used {self.torch_threads}; take the number as set, see "
                    "asrlab.engines.pytorch.refuse_threads does"
                ),
            )
        if names := sorted(_changed(self.handlers, now.handlers)):
            yield "logging", f"the loggers {', '.join(names)} have other handlers each time; add none"
        if threads := now.threads - self.threads:
            told = ", ".join(sorted(thread.name for thread in threads))
            yield "threads", f"threads go on after closing: {told}; end and join them in release()"
        if files := [now.files[number] for number in now.files.keys() - self.files.keys()]:
            yield "files", f"files stay open after closing: {', '.join(sorted(files))}; close them in release()"
        if left := _temporary_files():
            yield "temporary", f"temporary files stay: {', '.join(left)}; remove them in release(), or at once"


def _handlers() -> Mapping[str, tuple[int, ...]]:
    loggers = logging.root.manager.loggerDict
    return {
        name: tuple(map(id, logger.handlers))
        for name, logger in [*loggers.items()]
        if isinstance(logger, logging.Logger)
    }


def _open_files() -> Mapping[str, str]:
    files = {}
    for link in sorted(Path("/proc/self/fd").glob("*")) if Path("/proc/self/fd").is_dir() else ():
        try:
            files[link.name] = str(link.readlink())
        except OSError:  # that of the listing itself
            continue
    return files


def _temporary_files() -> list[str]:
    return sorted(
        path.name for path in Path(tempfile.gettempdir()).iterdir() if not path.name.startswith(_FILES_OF_PACKAGES)
    )


def unsettle() -> None:
    """Set warnings filters and torch's threads to what nobody else would, so that setting them again is seen."""
    warnings.resetwarnings()
    warnings.simplefilter("default", category=UserWarning, lineno=1)
    if torch := sys.modules.get("torch"):
        torch.set_num_threads(torch.get_num_threads() + 1)


def seed_generators(seed: int) -> Mapping[str, Any]:
    """Seed the generators that all share, after a look at them.

    Returns:
        The state of each as it was, comparable.
    """
    states: dict[str, Any] = {"random": random.getstate()}
    random.seed(seed)
    if numpy := sys.modules.get("numpy"):
        states["numpy.random"] = str(numpy.random.get_state())
        numpy.random.seed(seed)
    if torch := sys.modules.get("torch"):
        states["torch"] = torch.get_rng_state().numpy().tobytes()
        torch.manual_seed(seed)
    return states


_FOLLOWS_DTYPE = ("torch", "Storage")  # told as torch's default dtype
# When they are imported, typing_extensions replaces functions of typing, and joblib's loky one of SemLock.
_IGNORED_MODULES = ("typing", "multiprocessing.synchronize", "asrlab.testing")


@attrs.frozen(kw_only=True, eq=False)
class Attributes:
    """The functions and classes that modules and classes held at one time.

    Attributes:
        held: Each by the object that holds it and its name; kept alive, so that no identity is given twice.
        without: A package that is left out.
    """

    held: Mapping[tuple[str, str], tuple[Any, Any]]
    without: str

    @classmethod
    def now(cls, *, without: str) -> Self:
        """As they are, but for those of the package *without*."""
        return cls(held=dict(_all(without)), without=without)

    def changed(self) -> tuple[str, ...]:
        """The names of those that are another object now, such as ``torch.load``; what came or went is left out."""
        return tuple(
            sorted(
                f"{place}.{name}"
                for (place, name), (holder, value) in self.held.items()
                if vars(holder).get(name, value) is not value
            )
        )


def _all(without: str) -> Iterator[tuple[tuple[str, str], tuple[Any, Any]]]:
    modules: list[tuple[str, Any]] = [*sys.modules.items()]
    for module_name, module in modules:
        if not isinstance(module, ModuleType):  # packages put other objects there
            continue
        if _is_within(module_name, (without, *_IGNORED_MODULES)):
            continue
        for name, value in [*vars(module).items()]:
            if callable(value) and (module_name, name) != _FOLLOWS_DTYPE:
                yield (module_name, name), (module, value)
            if issubclass(type(value), type) and value.__module__ == module_name:
                yield from _of_class(f"{module_name}.{name}", value)


def _is_within(module: str, packages: tuple[str, ...]) -> bool:
    return any(module == package or module.startswith(f"{package}.") for package in packages)


def _of_class(place: str, holder: type) -> Iterator[tuple[tuple[str, str], tuple[Any, Any]]]:
    for name, value in [*vars(holder).items()]:
        if callable(value) or isinstance(value, property | classmethod):
            yield (place, name), (holder, value)
