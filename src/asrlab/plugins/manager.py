"""The plugin host, which isolates plugins: a broken plugin is reported, and all others work.

An import that ends the process, or never ends, cannot be caught in the same process. The command line probes each
plugin once in a child process, and again after a file of the plugin has changed. The results are cached on disk. A
plugin that failed its probe is not loaded; a plugin that passed is not probed again.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import sys
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from importlib import import_module, util
from importlib.metadata import EntryPoint, entry_points
from itertools import islice
from pathlib import Path
from typing import Any

import attrs
import pluggy

from asrlab._version import __version__
from asrlab.engine.spec import PLUGIN_API, EngineSpec, guarded_plugin_code
from asrlab.evaluation.datasets import DatasetSpec
from asrlab.installation import is_removable, uninstall_command
from asrlab.output_files import cache_folder, write_file
from asrlab.patches import Patch
from asrlab.plugins import hookspecs

BUILTINS: Mapping[str, str] = {
    "echo": "asrlab.engines.echo",
    "faster-whisper": "asrlab.engines.faster_whisper",
    "openai-whisper": "asrlab.engines.openai_whisper",
    "liquid-audio": "asrlab.engines.liquid_audio",
}
HOOKS: Mapping[str, type[Any]] = {"asrlab_engines": EngineSpec, "asrlab_datasets": DatasetSpec, "asrlab_patches": Patch}
"""The hooks that return what a plugin adds, and the class of the objects that they return."""
DISABLE = "ASRLAB_DISABLE_PLUGINS"
MAX_ITEMS = 10_000
"""Maximum number of objects that a hook may return."""
_MAX_FILES = 1_000

_UNSAVED: ContextVar[tuple[ProbeResult, ...]] = ContextVar("asrlab_unsaved_probe_results", default=())
"""Probe results of this command that could not be written."""
_log = logging.getLogger("asrlab.plugins")


@attrs.frozen(kw_only=True)
class LoadedPlugin:
    """A plugin whose module was imported and whose hooks are valid.

    Attributes:
        name: Name of the entry point.
        distribution: The distribution of the plugin; ``asrlab`` for a built-in plugin.
        version: Version of the distribution; empty for a built-in plugin.
        manager: A plugin manager with only this plugin, so that the faults of others do not affect it.
    """

    name: str
    distribution: str
    version: str
    manager: pluggy.PluginManager = attrs.field(repr=False, eq=False)


@attrs.frozen(kw_only=True)
class PluginFailure:
    """A plugin, or one of its hooks, that does not work.

    Attributes:
        name: Name of the entry point.
        distribution: The distribution of the plugin.
        version: Version of the distribution.
        stage: ``import``, ``api``, ``hooks`` or the hook that failed.
        message: Description of the error.
        remove: The command that removes the distribution, or else disables the plugin; empty for a built-in plugin.
    """

    name: str
    distribution: str
    version: str
    stage: str
    message: str
    remove: str

    def __str__(self) -> str:
        """Return a sentence with the error and the cure."""
        alternative = "" if self.remove.startswith("export ") else f" (or set {DISABLE}={self.name})"
        cure = f"; to remove it: {self.remove}{alternative}" if self.remove else ""
        plugin = f"{self.name!r} of {self.distribution} {self.version}"
        return f"plugin {plugin} failed at {self.stage}: {self.message}{cure}"


class PluginHost:
    """The plugins of this environment, each loaded in isolation.

    Args:
        points: Entry points to use instead of the installed ones, for tests and embedding.
        disabled: Names of plugins that are not loaded; ``*`` for all that are not built in. None reads
            ``ASRLAB_DISABLE_PLUGINS``, names separated by commas.

    Attributes:
        plugins: The loaded plugins, the built-in ones first.
        points: The entry points as given.
        disabled: The names of disabled plugins.
    """

    def __init__(self, *, points: Iterable[EntryPoint] | None = None, disabled: Iterable[str] | None = None) -> None:
        names = os.environ.get(DISABLE, "").split(",") if disabled is None else disabled
        self.disabled = frozenset(name.strip() for name in names if name.strip())
        self.points = None if points is None else tuple(points)
        self._failures: dict[tuple[str, str, str], PluginFailure] = {}
        self.plugins: tuple[LoadedPlugin, ...] = tuple(
            plugin for source in self._sources() if (plugin := self._load(source)) is not None
        )

    @property
    def failures(self) -> tuple[PluginFailure, ...]:
        """The failures so far; a hook can fail when it is first called."""
        return tuple(self._failures.values())

    def collect[Item](self, hook: str, kind: type[Item]) -> list[tuple[LoadedPlugin, Item]]:
        """Return the objects of all plugins for *hook*, each with its plugin; a plugin that fails is skipped."""
        return [(plugin, item) for plugin in self.plugins for item in self._call(plugin, hook, kind)]

    def notify(self, hook: str, **facts: Any) -> None:
        """Call *hook* of all plugins; a plugin that fails is recorded and does not stop the others."""
        for plugin in self.plugins:
            try:
                with _plugin_code():
                    getattr(plugin.manager.hook, hook)(**facts)
            except BaseException as error:  # noqa: BLE001 - the plugin boundary
                self._fail(plugin, hook, error)

    def _call[Item](self, plugin: LoadedPlugin, hook: str, kind: type[Item]) -> list[Item]:
        try:
            with _plugin_code():
                results = getattr(plugin.manager.hook, hook)()
                items = [*islice((item for result in results for item in result), MAX_ITEMS + 1)]
            if len(items) > MAX_ITEMS:
                raise TypeError(f"{hook} returns more than {MAX_ITEMS} objects")
            wrong = next((item for item in items if not isinstance(item, kind)), None)
            if wrong is not None:
                raise TypeError(f"{hook} must return {kind.__name__} objects, not {type(wrong).__name__}")
        except BaseException as error:  # noqa: BLE001 - the plugin boundary
            self._fail(plugin, hook, error)
            return []
        return items

    def _sources(self) -> list[_PluginSource]:
        entries = entry_points(group="asrlab") if self.points is None else self.points
        installed = [
            _PluginSource(
                point.name,
                point.dist.name if point.dist else "unknown",
                point.dist.version if point.dist else "",
                point,
            )
            for point in entries
        ]
        installed.sort(key=lambda source: (source.distribution, source.name))
        sources = [_PluginSource(name, "asrlab", "") for name in BUILTINS] + installed
        return [
            source
            for source in sources
            if source.name not in self.disabled and ("*" not in self.disabled or source.distribution == "asrlab")
        ]

    def _load(self, source: _PluginSource) -> LoadedPlugin | None:
        point, stage = source.point, "import"
        try:
            # entry points that were given are not probed
            if self.points is None and point and (failure := _find_probe_failure(point)):
                raise _ProbeFailedError(failure)
            with _plugin_code():
                plugin = point.load() if point else import_module(BUILTINS[source.name])
            stage = "api"
            number = getattr(plugin, "asrlab_plugin_api", PLUGIN_API)
            if number != PLUGIN_API:
                raise TypeError(
                    f"it requires plugin API {number!r}, but this asrlab has {PLUGIN_API}; install a matching version"
                )
            stage = "hooks"
            manager = pluggy.PluginManager("asrlab")
            manager.add_hookspecs(hookspecs)
            manager.register(plugin, source.name)
            manager.check_pending()  # raises for a mistyped hook
        except BaseException as error:  # noqa: BLE001 - the plugin boundary; a module may call sys.exit
            self._fail(source, stage, error)
            return None
        return LoadedPlugin(name=source.name, distribution=source.distribution, version=source.version, manager=manager)

    def _fail(self, plugin: LoadedPlugin | _PluginSource, stage: str, error: BaseException) -> None:
        if isinstance(error, KeyboardInterrupt):
            _log.warning("interrupted at %s of plugin %r of %s", stage, plugin.name, plugin.distribution)
            raise error
        failure = PluginFailure(
            name=plugin.name,
            distribution=plugin.distribution,
            version=plugin.version,
            stage=stage,
            message=str(error) if isinstance(error, _ProbeFailedError) else f"{type(error).__name__}: {error}",
            remove=_removal_command(plugin),
        )
        if self._failures.setdefault((plugin.distribution, plugin.name, stage), failure) is failure:
            _log.warning("%s", failure)


class _ProbeFailedError(Exception):
    """A plugin is not loaded because it harmed its process when it was probed."""


@contextmanager
def _plugin_code() -> Iterator[None]:
    with guarded_plugin_code() as replaced:
        yield
    if replaced:
        raise TypeError(
            f"it replaces {', '.join(replaced)} for the whole process, which asrlab undoes; remove this from the plugin"
        )


@attrs.frozen
class _PluginSource:
    """The place that a plugin is loaded from: an entry point, or None for a built-in plugin."""

    name: str
    distribution: str
    version: str
    point: EntryPoint | None = None


def _removal_command(plugin: LoadedPlugin | _PluginSource) -> str:
    """Return the command that removes or disables *plugin*; empty for a built-in plugin."""
    if plugin.distribution == "asrlab":
        return ""
    if is_removable(plugin.distribution):
        return uninstall_command(plugin.distribution)
    return f'export {DISABLE}="${DISABLE},{plugin.name}"'  # several such commands can be combined


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


def _find_probe_failure(point: EntryPoint) -> str:
    """Return the harm that *point* did when it was probed with its present files; empty if none."""
    result = read_probe_result(point)
    return result.failure if result and result.failure and result.fingerprint == _fingerprint(point) else ""


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
        write_file(path, json.dumps(attrs.asdict(result)).encode())
    except OSError:
        _UNSAVED.set((result, *_UNSAVED.get()))


def _fingerprint(point: EntryPoint) -> str:
    """Return a digest of the sizes and modification times of a plugin's files, and of the versions that run them."""
    facts = [_full_name(point), point.value, sys.version, __version__]
    spec = None
    with suppress(Exception):  # a finder of the plugin may raise anything
        spec = util.find_spec(point.value.partition(":")[0].partition(".")[0])
    folders = (spec and spec.submodule_search_locations) or ()
    paths = [path for folder in folders for path in islice(Path(folder).rglob("*.py"), _MAX_FILES)]
    paths += [Path(spec.origin)] if spec and spec.origin and not folders else []
    for path in sorted(paths):
        with suppress(OSError):
            stat = path.stat()
            facts.append(f"{path} {stat.st_size} {stat.st_mtime_ns}")
    return hashlib.sha256("\n".join(facts).encode("utf-8", "replace")).hexdigest()


def _full_name(point: EntryPoint) -> str:
    distribution = f"{point.dist.name} {point.dist.version}" if point.dist else "unknown"
    return f"{point.name} of {distribution}"


def _path(point: EntryPoint) -> Path:
    name = hashlib.sha256(f"{sys.prefix} {_full_name(point)}".encode()).hexdigest()[:32]
    return cache_folder() / "plugins" / f"{name}.json"
