"""The plugin host, which isolates plugins: a broken plugin is reported, and all others work."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from importlib import import_module
from importlib.metadata import EntryPoint, entry_points
from itertools import islice
from typing import Any

import attrs
import pluggy

from asrlab.engine.spec import PLUGIN_API, EngineSpec, guarded_plugin_code
from asrlab.evaluation.datasets import DatasetSpec
from asrlab.installation import is_removable, uninstall_command
from asrlab.patches import Patch
from asrlab.plugins import hookspecs
from asrlab.plugins.probe_cache import find_probe_failure

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
        remove: The command that removes the distribution, or disables the plugin if no installer can remove it; empty
            for a built-in plugin.
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
        return (
            f"plugin {self.name!r} of {self.distribution} {self.version} failed at {self.stage}: {self.message}{cure}"
        )


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
            plugin for source in _sources(self.points) if (plugin := self._load(source)) is not None
        )

    @property
    def failures(self) -> tuple[PluginFailure, ...]:
        """The failures so far; a hook can fail when it is first called."""
        return tuple(self._failures.values())

    def collect[Item](self, hook: str, kind: type[Item]) -> list[tuple[LoadedPlugin, Item]]:
        """Return the objects of all plugins for *hook*, each with its plugin; a plugin that fails is skipped."""
        items: list[tuple[LoadedPlugin, Item]] = []
        for plugin in self.plugins:
            items += [(plugin, item) for item in self._call(plugin, hook, kind)]
        return items

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

    def _load(self, source: _PluginSource) -> LoadedPlugin | None:
        is_builtin = source.distribution == "asrlab"
        if source.name in self.disabled or ("*" in self.disabled and not is_builtin):
            return None
        stage = "import"
        try:
            source.check_probe()
            with _plugin_code():
                plugin = source.load()
            stage = "api"
            _check_api(plugin)
            stage = "hooks"
            manager = _register(plugin, source.name)
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
        key = (plugin.distribution, plugin.name, stage)
        if key not in self._failures:
            self._failures[key] = failure
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
    has_probe: bool = False

    def check_probe(self) -> None:
        """Raise if the plugin ended its process, or did not end, when it was probed."""
        failure = "" if self.point is None or not self.has_probe else find_probe_failure(self.point)
        if failure:
            raise _ProbeFailedError(failure)

    def load(self) -> Any:
        return self.point.load() if self.point else import_module(BUILTINS[self.name])


def _sources(points: Iterable[EntryPoint] | None) -> list[_PluginSource]:
    entries = entry_points(group="asrlab") if points is None else points
    installed = [
        _PluginSource(
            point.name,
            point.dist.name if point.dist else "unknown",
            point.dist.version if point.dist else "",
            point,
            has_probe=points is None,
        )
        for point in entries
    ]
    return [_PluginSource(name, "asrlab", "") for name in BUILTINS] + sorted(
        installed, key=lambda source: (source.distribution, source.name)
    )


def _check_api(plugin: Any) -> None:
    number = getattr(plugin, "asrlab_plugin_api", PLUGIN_API)
    if number != PLUGIN_API:
        raise TypeError(
            f"it requires plugin API {number!r}, but this asrlab has {PLUGIN_API}; install a matching version"
        )


def _register(plugin: Any, name: str) -> pluggy.PluginManager:
    manager = pluggy.PluginManager("asrlab")
    manager.add_hookspecs(hookspecs)
    manager.register(plugin, name)
    manager.check_pending()  # raises for a mistyped hook
    return manager


def _removal_command(plugin: LoadedPlugin | _PluginSource) -> str:
    """Return the command that removes or disables *plugin*; empty for a built-in plugin."""
    if plugin.distribution == "asrlab":
        return ""
    if is_removable(plugin.distribution):
        return uninstall_command(plugin.distribution)
    return f'export {DISABLE}="${DISABLE},{plugin.name}"'  # several such commands can be combined
