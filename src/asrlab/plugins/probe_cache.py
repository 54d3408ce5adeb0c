"""What became of plugins that were tried in a process of their own, kept on disk.

An import that ends the process, or never ends, cannot be caught where it happens. The command line tries each plugin
once in a child process, and again when a file of the plugin has changed. A plugin that failed there is set aside
everywhere; one that worked is not looked at again.
"""

from __future__ import annotations

import hashlib
import json
import os
import sys
import tempfile
from contextlib import suppress
from contextvars import ContextVar
from importlib import util
from importlib.metadata import EntryPoint
from itertools import islice
from pathlib import Path

import attrs

from asrlab._version import __version__

_MAX_FILES = 1_000

_UNKEPT: ContextVar[tuple[Verdict, ...]] = ContextVar("asrlab_unkept_verdicts", default=())
"""Verdicts of this command that could not be written."""


@attrs.frozen(kw_only=True)
class Verdict:
    """What became of a plugin in a process of its own.

    Attributes:
        plugin: The entry point, with its distribution.
        fingerprint: The files it was tried with.
        failure: What it did to the process; empty if nothing.
    """

    plugin: str
    fingerprint: str
    failure: str = ""


def find_verdict(point: EntryPoint) -> str:
    """Return what *point* did to its process when it was tried, its files being the same since; empty if nothing."""
    verdict = read_verdict(point)
    if verdict is None or not verdict.failure or verdict.fingerprint != fingerprint_of(point):
        return ""
    return verdict.failure


def is_known(point: EntryPoint) -> bool:
    """Return whether *point* was tried with the files that it has now."""
    verdict = read_verdict(point)
    return verdict is not None and verdict.fingerprint == fingerprint_of(point)


def read_verdict(point: EntryPoint) -> Verdict | None:
    """Return the last verdict on *point*, whatever it was tried with; None if there is none."""
    name = _name_of(point)
    unkept = next((verdict for verdict in _UNKEPT.get() if verdict.plugin == name), None)
    if unkept is not None:
        return unkept
    try:
        data = json.loads(_path(point).read_text(encoding="utf-8"))
        return Verdict(plugin=name, fingerprint=str(data["fingerprint"]), failure=str(data["failure"]))
    except (OSError, ValueError, TypeError, KeyError):
        return None


def keep_verdict(point: EntryPoint, failure: str) -> None:
    """Note what *point* did to its process; for this command only where nothing can be written."""
    verdict = Verdict(plugin=_name_of(point), fingerprint=fingerprint_of(point), failure=failure)
    path = _path(point)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=".")
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            json.dump(attrs.asdict(verdict), file)
        Path(temporary).replace(path)
    except OSError:
        _UNKEPT.set((verdict, *_UNKEPT.get()))


def fingerprint_of(point: EntryPoint) -> str:
    """Return a digest of the sizes and times of change of a plugin's files, and of what runs them."""
    facts = [_name_of(point), point.value, sys.version, __version__]
    facts += [f"{path} {size} {changed}" for path, size, changed in _files_of(point.value.partition(":")[0])]
    return hashlib.sha256("\n".join(facts).encode("utf-8", "replace")).hexdigest()


def _files_of(module: str) -> list[tuple[str, int, int]]:
    top = module.partition(".")[0]
    found = None
    with suppress(Exception):  # a finder of the plugin's own may raise anything
        found = util.find_spec(top)
    if found is None:
        return []
    folders = list(found.submodule_search_locations or ())
    paths = [path for folder in folders for path in islice(Path(folder).rglob("*.py"), _MAX_FILES)]
    paths += [Path(found.origin)] if found.origin and not folders else []
    facts = []
    for path in sorted(paths):
        with suppress(OSError):
            stat = path.stat()
            facts.append((str(path), stat.st_size, stat.st_mtime_ns))
    return facts


def _name_of(point: EntryPoint) -> str:
    distribution = f"{point.dist.name} {point.dist.version}" if point.dist else "unknown"
    return f"{point.name} of {distribution}"


def _path(point: EntryPoint) -> Path:
    name = hashlib.sha256(f"{sys.prefix} {_name_of(point)}".encode()).hexdigest()[:32]
    return _folder() / f"{name}.json"


def _folder() -> Path:
    chosen = os.environ.get("ASRLAB_CACHE")
    if chosen:
        return Path(chosen).expanduser().absolute() / "plugins"
    from platformdirs import user_cache_path

    return user_cache_path("asrlab") / "plugins"
