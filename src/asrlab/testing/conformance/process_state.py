"""Snapshots of state that a process has once, and that an engine must not change."""

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

# Set by packages at their first use, which an engine cannot prevent.
# Source: torch/_inductor/runtime/runtime_utils.py, cache_dir; sklearn/__init__.py
_IGNORED_VARIABLES = {"TORCHINDUCTOR_CACHE_DIR", "KMP_DUPLICATE_LIB_OK", "KMP_INIT_AT_FORK"}
# Caches of torch, and the telemetry session of onnxruntime.
_IGNORED_FILES = ("torchinductor_", ".ses")


@attrs.frozen(kw_only=True)
class ProcessState:
    """State that an engine must not change at all.

    Attributes:
        environment: Environment variables.
        folder: The current folder.
        signals: Handler of each signal.
        logging: Handlers and level of the root logger and of asrlab's logger, and the disabled level.
        torch: Default dtype, and whether gradients are enabled; empty if torch was not imported.
    """

    environment: Mapping[str, str]
    folder: str
    signals: Mapping[int, Any]
    logging: tuple[Any, ...]
    torch: Mapping[str, Any]

    @classmethod
    def capture(cls) -> ProcessState:
        """Capture the present state."""
        return cls(
            environment={name: value for name, value in os.environ.items() if name not in _IGNORED_VARIABLES},
            folder=str(Path.cwd()),
            signals={int(number): signal.getsignal(number) for number in signal.valid_signals()},
            logging=_logging(),
            torch=_torch(),
        )

    def differences(self) -> Iterator[tuple[str, str]]:
        """Yield each change since the capture as its kind and a message."""
        now = ProcessState.capture()
        names = sorted(_changed(self.environment, now.environment))
        if names:
            yield "environment", f"os.environ is changed: {', '.join(names)}; pass settings as arguments instead"
        if now.folder != self.folder:
            yield "folder", f"the current folder is {now.folder}, was {self.folder}; use absolute paths"
        numbers = sorted(_changed(self.signals, now.signals))
        if numbers:
            signal_names = ", ".join(signal.Signals(number).name for number in numbers)
            yield "signals", f"the handlers of {signal_names} are changed; leave signals to the program"
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
class GrowingState:
    """State that a package may change at its first use, but must not change with every use.

    Attributes:
        filters: Warnings filters.
        torch_threads: CPU threads of torch; None if torch was not imported.
        handlers: Handlers of each named logger.
        threads: Python threads.
        files: Open files by descriptor; empty on systems without ``/proc``.
    """

    filters: tuple[Any, ...]
    torch_threads: int | None
    handlers: Mapping[str, tuple[int, ...]]
    threads: frozenset[threading.Thread]
    files: Mapping[str, str]

    @classmethod
    def capture(cls) -> GrowingState:
        """Capture the present state."""
        return cls(
            filters=tuple(map(str, warnings.filters)),
            torch_threads=sys.modules["torch"].get_num_threads() if "torch" in sys.modules else None,
            handlers=_handlers(),
            threads=frozenset(threading.enumerate()),
            files=_open_files(),
        )

    def differences(self) -> Iterator[tuple[str, str]]:
        """Yield each change since the capture, and all temporary files, as the kind and a message."""
        now = GrowingState.capture()
        if now.filters != self.filters:
            added = "; ".join(line for line in now.filters if line not in self.filters) or "their order"
            yield "warnings", f"warnings.filters is changed: {added}; use warnings.catch_warnings around a call"
        if now.torch_threads != self.torch_threads:
            yield (
                "torch",
                (
                    f"torch uses {now.torch_threads} threads, used {self.torch_threads}; do not set the number, see "
                    "asrlab.engines.pytorch.check_threads"
                ),
            )
        if names := sorted(_changed(self.handlers, now.handlers)):
            yield "logging", f"the loggers {', '.join(names)} have other handlers after each use; add no handlers"
        if threads := now.threads - self.threads:
            thread_names = ", ".join(sorted(thread.name for thread in threads))
            yield "threads", f"threads run after closing: {thread_names}; end and join them in release()"
        if files := [now.files[number] for number in now.files.keys() - self.files.keys()]:
            yield "files", f"files are open after closing: {', '.join(sorted(files))}; close them in release()"
        if remaining := _temporary_files():
            yield "temporary", f"temporary files remain: {', '.join(remaining)}; remove them in release()"


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
        except OSError:  # the descriptor of the listing itself
            continue
    return files


def _temporary_files() -> list[str]:
    return sorted(
        path.name for path in Path(tempfile.gettempdir()).iterdir() if not path.name.startswith(_IGNORED_FILES)
    )


def disturb_settings() -> None:
    """Set warnings filters and torch's threads to unusual values, so that setting them again is a difference."""
    warnings.resetwarnings()
    warnings.simplefilter("default", category=UserWarning, lineno=1)
    if torch := sys.modules.get("torch"):
        torch.set_num_threads(torch.get_num_threads() + 1)


def seed_generators(seed: int) -> Mapping[str, Any]:
    """Seed the global random generators.

    Returns:
        The previous state of each generator, comparable with ``==``.
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


_FOLLOWS_DTYPE = ("torch", "Storage")  # changes with torch's default dtype
# typing_extensions replaces functions of typing at its import, and joblib's loky one of SemLock
_IGNORED_MODULES = ("typing", "multiprocessing.synchronize", "asrlab.testing")


@attrs.frozen(kw_only=True, eq=False)
class AttributeSnapshot:
    """The functions and classes in all modules and classes at one time.

    Attributes:
        members: Owner and value by the owner's name and the attribute's name; references, so that no id is reused.
    """

    members: Mapping[tuple[str, str], tuple[Any, Any]]

    @classmethod
    def capture(cls, *, exclude: str) -> Self:
        """Capture all members except those of the package *exclude*."""
        return cls(members=dict(_all_members(exclude)))

    def changed(self) -> tuple[str, ...]:
        """Return the names of replaced members, such as ``torch.load``; added and removed members do not count."""
        return tuple(
            sorted(
                f"{owner_name}.{name}"
                for (owner_name, name), (owner, value) in self.members.items()
                if vars(owner).get(name, value) is not value
            )
        )


def _all_members(exclude: str) -> Iterator[tuple[tuple[str, str], tuple[Any, Any]]]:
    modules: list[tuple[str, Any]] = [*sys.modules.items()]
    for module_name, module in modules:
        if not isinstance(module, ModuleType):  # sys.modules may hold other objects
            continue
        if _is_within(module_name, (exclude, *_IGNORED_MODULES)):
            continue
        for name, value in [*vars(module).items()]:
            if callable(value) and (module_name, name) != _FOLLOWS_DTYPE:
                yield (module_name, name), (module, value)
            if issubclass(type(value), type) and value.__module__ == module_name:
                yield from _class_members(f"{module_name}.{name}", value)


def _is_within(module: str, packages: tuple[str, ...]) -> bool:
    return any(module == package or module.startswith(f"{package}.") for package in packages)


def _class_members(owner_name: str, owner: type) -> Iterator[tuple[tuple[str, str], tuple[Any, Any]]]:
    for name, value in [*vars(owner).items()]:
        if callable(value) or isinstance(value, property | classmethod):
            yield (owner_name, name), (owner, value)
