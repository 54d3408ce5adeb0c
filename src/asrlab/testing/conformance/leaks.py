"""Detection of process state that a model leaves behind, by loading, transcribing and closing twice."""

from __future__ import annotations

import gc
import logging
import os
import random
import signal
import sys
import tempfile
import threading
import warnings
from collections.abc import Iterator, Mapping
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any

import attrs

from asrlab.options import TranscribeOptions
from asrlab.plugins.manager import PluginHost
from asrlab.plugins.registry import Registry
from asrlab.testing.conformance.target import Target

# Set by packages at their first use, which an engine cannot prevent.
# Source: torch/_inductor/runtime/runtime_utils.py, cache_dir; sklearn/__init__.py
_IGNORED_VARIABLES = {"TORCHINDUCTOR_CACHE_DIR", "KMP_DUPLICATE_LIB_OK", "KMP_INIT_AT_FORK"}
# Caches of torch, and the telemetry session of onnxruntime.
_IGNORED_FILES = ("torchinductor_", ".ses")
_FOLLOWS_DTYPE = ("torch", "Storage")  # changes with torch's default dtype
# typing_extensions replaces functions of typing at its import, and joblib's loky one of SemLock
_IGNORED_MODULES = ("typing", "multiprocessing.synchronize", "asrlab.testing")

type _Members = dict[tuple[str, str], tuple[Any, Any]]
"""Owner and value by the owner's name and the attribute's name."""


@attrs.frozen
class Leak:
    """Process state that was not restored.

    Attributes:
        kind: The kind of state, such as ``environment``; ``load`` if the model could not be used at all.
        message: Description of the change, and the remedy.
    """

    kind: str
    message: str


def find_leaks(target: Target) -> tuple[Leak, ...]:
    """Load, transcribe and close twice, and compare the state of the process; for a fresh process.

    The first use of a package may change warnings filters, handlers of named loggers, threads and files for good
    reasons, so that these are compared over the second use only.
    """
    spec = Registry(PluginHost()).resolve(target.model).engine
    before = _ProcessState.capture()
    if spec.import_name:
        import_module(spec.import_name)
    before = attrs.evolve(before, torch=_ProcessState.capture().torch)
    for dotted in (spec.devices, spec.factory):
        import_module(dotted.partition(":")[0])
    module = spec.factory.partition(":")[0]
    members = _all_members(module.rpartition(".")[0] or module)  # the engine may change its own package
    _seed_generators(1)
    try:
        _use(target)
    except Exception as error:  # noqa: BLE001 - the plugin boundary
        return (Leak("load", f"{type(error).__name__}: {error}"),)
    first = _seed_generators(2)
    replaced = _replaced_members(members)
    _disturb_settings()
    between = _ProcessState.capture()
    _use(target)
    second = _seed_generators(3)
    now = _ProcessState.capture()
    return (
        *before.changes(now),
        *between.accumulations(now),
        *(
            Leak("patches", f"{name} was replaced; offer the change as a Patch, which asrlab undoes on closing")
            for name in replaced
        ),
        *(
            Leak("random", f"{name} has the same state whatever its state was before; use a generator of your own")
            for name in first
            if first[name] == second[name]
        ),
    )


def _use(target: Target) -> None:
    with target.load() as transcriber:
        # word times take many times as long as the rest in a simulation
        words = transcriber.info.capabilities.word_timestamps and not target.simulated
        transcriber.transcribe(target.load_speech(), options=TranscribeOptions(word_timestamps=words))
    del transcriber
    gc.collect()


@attrs.frozen(kw_only=True)
class _ProcessState:
    """State that a process has once.

    Attributes:
        signals: Handler of each signal.
        logging: Handlers and level of the root logger and of asrlab's logger, and the disabled level.
        torch: Default dtype, and whether gradients are enabled; empty if torch was not imported.
        torch_threads: CPU threads of torch; None if torch was not imported.
        filters: Warnings filters.
        handlers: Handlers of each named logger.
        files: Open files by descriptor; empty on systems without ``/proc``.
    """

    environment: Mapping[str, str]
    folder: str
    signals: Mapping[int, Any]
    logging: tuple[Any, ...]
    torch: Mapping[str, Any]
    torch_threads: int | None
    filters: tuple[str, ...]
    handlers: Mapping[str, list[int]]
    threads: frozenset[threading.Thread]
    files: Mapping[str, str]

    @classmethod
    def capture(cls) -> _ProcessState:
        """Capture the present state."""
        torch = sys.modules.get("torch")
        loggers = [*logging.root.manager.loggerDict.items()]
        own_loggers = ((tuple(logger.handlers), logger.level) for logger in (logging.root, logging.getLogger("asrlab")))
        return cls(
            environment={name: value for name, value in os.environ.items() if name not in _IGNORED_VARIABLES},
            folder=str(Path.cwd()),
            signals={int(number): signal.getsignal(number) for number in signal.valid_signals()},
            logging=(*own_loggers, logging.root.manager.disable),
            torch={"default dtype": torch.get_default_dtype(), "gradients": torch.is_grad_enabled()} if torch else {},
            torch_threads=torch.get_num_threads() if torch else None,
            filters=tuple(map(str, warnings.filters)),
            handlers={name: [*map(id, item.handlers)] for name, item in loggers if isinstance(item, logging.Logger)},
            threads=frozenset(threading.enumerate()),
            files=_open_files(),
        )

    def changes(self, now: _ProcessState) -> Iterator[Leak]:
        """Yield each change of state that an engine must not change at all."""
        if names := _changed(self.environment, now.environment):
            yield Leak("environment", f"os.environ is changed: {', '.join(names)}; pass settings as arguments instead")
        if now.folder != self.folder:
            yield Leak("folder", f"the current folder is {now.folder}, was {self.folder}; use absolute paths")
        if numbers := _changed(self.signals, now.signals):
            signal_names = ", ".join(signal.Signals(number).name for number in numbers)
            yield Leak("signals", f"the handlers of {signal_names} are changed; leave signals to the program")
        if now.logging != self.logging:
            yield Leak(
                "logging",
                f"the root logger or asrlab's is changed, from {self.logging} to {now.logging}; log to a logger of "
                "your own, add no handler to it, and never call logging.basicConfig",
            )
        for name in _changed(self.torch, now.torch) if self.torch else ():
            message = f"torch's {name} is {now.torch[name]}, was {self.torch[name]}; pass dtype= where you mean one"
            yield Leak("torch", message)

    def accumulations(self, now: _ProcessState) -> Iterator[Leak]:
        """Yield each change of state that a package may change at its first use only, and all temporary files."""
        if now.filters != self.filters:
            added = "; ".join(line for line in now.filters if line not in self.filters) or "their order"
            message = f"warnings.filters is changed: {added}; use warnings.catch_warnings around a call"
            yield Leak("warnings", message)
        if now.torch_threads != self.torch_threads:
            yield Leak(
                "torch",
                f"torch uses {now.torch_threads} threads, used {self.torch_threads}; do not set the number, see "
                "asrlab.engines.pytorch.check_threads",
            )
        if names := _changed(self.handlers, now.handlers):
            message = f"the loggers {', '.join(names)} have other handlers after each use; add no handlers"
            yield Leak("logging", message)
        if threads := sorted(thread.name for thread in now.threads - self.threads):
            yield Leak("threads", f"threads run after closing: {', '.join(threads)}; end and join them in release()")
        if files := sorted(now.files[number] for number in now.files.keys() - self.files.keys()):
            yield Leak("files", f"files are open after closing: {', '.join(files)}; close them in release()")
        names = sorted(path.name for path in Path(tempfile.gettempdir()).iterdir())
        if remaining := [name for name in names if not name.startswith(_IGNORED_FILES)]:
            yield Leak("temporary", f"temporary files remain: {', '.join(remaining)}; remove them in release()")


def _changed(before: Mapping[Any, Any], now: Mapping[Any, Any]) -> list[Any]:
    return sorted(name for name in before.keys() | now.keys() if before.get(name) != now.get(name))


def _open_files() -> Mapping[str, str]:
    files = {}
    for link in sorted(Path("/proc/self/fd").glob("*")) if Path("/proc/self/fd").is_dir() else ():
        try:
            files[link.name] = str(link.readlink())
        except OSError:  # the descriptor of the listing itself
            continue
    return files


def _disturb_settings() -> None:
    """Set warnings filters and torch's threads to unusual values, so that setting them again is a difference."""
    warnings.resetwarnings()
    warnings.simplefilter("default", category=UserWarning, lineno=1)
    if torch := sys.modules.get("torch"):
        torch.set_num_threads(torch.get_num_threads() + 1)


def _seed_generators(seed: int) -> Mapping[str, Any]:
    """Seed the global random generators; return the previous state of each, comparable with ``==``."""
    states: dict[str, Any] = {"random": random.getstate()}
    random.seed(seed)
    if numpy := sys.modules.get("numpy"):
        states["numpy.random"] = str(numpy.random.get_state())
        numpy.random.seed(seed)
    if torch := sys.modules.get("torch"):
        states["torch"] = torch.get_rng_state().numpy().tobytes()
        torch.manual_seed(seed)
    return states


def _all_members(engine_package: str) -> _Members:
    """Return the functions and classes in all modules and classes; the references prevent that an id is reused."""
    members: _Members = {}
    modules: list[tuple[str, Any]] = [*sys.modules.items()]
    ignored = (engine_package, *_IGNORED_MODULES)
    for module_name, module in modules:
        is_ignored = any(module_name == package or module_name.startswith(f"{package}.") for package in ignored)
        if is_ignored or not isinstance(module, ModuleType):  # sys.modules may hold other objects
            continue
        for name, value in [*vars(module).items()]:
            if callable(value) and (module_name, name) != _FOLLOWS_DTYPE:
                members[module_name, name] = (module, value)
            if issubclass(type(value), type) and value.__module__ == module_name:
                for attribute, member in [*vars(value).items()]:
                    if callable(member) or isinstance(member, property | classmethod):
                        members[f"{module_name}.{name}", attribute] = (value, member)
    return members


def _replaced_members(members: _Members) -> list[str]:
    """Return the names of replaced members, such as ``torch.load``; added and removed members do not count."""
    return sorted(
        f"{owner_name}.{name}"
        for (owner_name, name), (owner, value) in members.items()
        if vars(owner).get(name, value) is not value
    )
