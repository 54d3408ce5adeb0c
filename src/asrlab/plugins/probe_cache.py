"""A cache on disk of the results of plugin probes.

An import that ends the process, or never ends, cannot be caught in the same process. The command line probes each
plugin once in a child process, and again after a file of the plugin has changed. A plugin that failed its probe is not
loaded; a plugin that passed is not probed again.
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
from asrlab.output_files import cache_folder

_MAX_FILES = 1_000

_UNSAVED: ContextVar[tuple[ProbeResult, ...]] = ContextVar("asrlab_unsaved_probe_results", default=())
"""Probe results of this command that could not be written."""


@attrs.frozen(kw_only=True)
class ProbeResult:
    """The result of probing a plugin in a child process.

    Attributes:
        plugin: Name of the entry point, with its distribution.
        fingerprint: Digest of the files that were probed.
        failure: Harm that the plugin did to the process; empty if none.
    """

    plugin: str
    fingerprint: str
    failure: str = ""


def find_probe_failure(point: EntryPoint) -> str:
    """Return the harm that *point* did when it was probed with its present files; empty if none."""
    result = read_probe_result(point)
    if result is None or not result.failure or result.fingerprint != _fingerprint(point):
        return ""
    return result.failure


def is_probed(point: EntryPoint) -> bool:
    """Return whether *point* was probed with its present files."""
    result = read_probe_result(point)
    return result is not None and result.fingerprint == _fingerprint(point)


def read_probe_result(point: EntryPoint) -> ProbeResult | None:
    """Return the last result for *point*, with any files; None if there is none."""
    name = _full_name(point)
    unsaved = next((result for result in _UNSAVED.get() if result.plugin == name), None)
    if unsaved is not None:
        return unsaved
    try:
        data = json.loads(_path(point).read_text(encoding="utf-8"))
        return ProbeResult(plugin=name, fingerprint=str(data["fingerprint"]), failure=str(data["failure"]))
    except (OSError, ValueError, TypeError, KeyError):
        return None


def save_probe_result(point: EntryPoint, failure: str) -> None:
    """Save the result for *point*, in memory if the cache cannot be written."""
    result = ProbeResult(plugin=_full_name(point), fingerprint=_fingerprint(point), failure=failure)
    path = _path(point)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=".")
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            json.dump(attrs.asdict(result), file)
        Path(temporary).replace(path)
    except OSError:
        _UNSAVED.set((result, *_UNSAVED.get()))


def _fingerprint(point: EntryPoint) -> str:
    """Return a digest of the sizes and modification times of a plugin's files, and of the versions that run them."""
    facts = [_full_name(point), point.value, sys.version, __version__]
    facts += [f"{path} {size} {mtime_ns}" for path, size, mtime_ns in _list_files(point.value.partition(":")[0])]
    return hashlib.sha256("\n".join(facts).encode("utf-8", "replace")).hexdigest()


def _list_files(module: str) -> list[tuple[str, int, int]]:
    top = module.partition(".")[0]
    spec = None
    with suppress(Exception):  # a finder of the plugin may raise anything
        spec = util.find_spec(top)
    if spec is None:
        return []
    folders = list(spec.submodule_search_locations or ())
    paths = [path for folder in folders for path in islice(Path(folder).rglob("*.py"), _MAX_FILES)]
    paths += [Path(spec.origin)] if spec.origin and not folders else []
    facts = []
    for path in sorted(paths):
        with suppress(OSError):
            stat = path.stat()
            facts.append((str(path), stat.st_size, stat.st_mtime_ns))
    return facts


def _full_name(point: EntryPoint) -> str:
    distribution = f"{point.dist.name} {point.dist.version}" if point.dist else "unknown"
    return f"{point.name} of {distribution}"


def _path(point: EntryPoint) -> Path:
    name = hashlib.sha256(f"{sys.prefix} {_full_name(point)}".encode()).hexdigest()[:32]
    return cache_folder() / "plugins" / f"{name}.json"
