"""Loads each plugin alone, so that one that is broken is reported and everything else works."""

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

from asrlab.engine.plugin_code import guarded_plugin_code
from asrlab.engine.spec import PLUGIN_API, EngineSpec
from asrlab.evaluation.datasets import DatasetSpec
from asrlab.installation import is_removable, uninstall_command
from asrlab.patches import Patch
from asrlab.plugins import hookspecs
from asrlab.plugins.probe_cache import find_verdict

BUILTINS: Mapping[str, str] = {
    "echo": "asrlab.engines.echo",
    "faster-whisper": "asrlab.engines.faster_whisper",
    "openai-whisper": "asrlab.engines.openai_whisper",
    "liquid-audio": "asrlab.engines.liquid_audio",
}
HOOKS: Mapping[str, type[Any]] = {"asrlab_engines": EngineSpec, "asrlab_datasets": DatasetSpec, "asrlab_patches": Patch}
"""The hooks that say what a plugin offers, and what they give."""
DISABLE = "ASRLAB_DISABLE_PLUGINS"
MAX_ITEMS = 10_000
"""Objects that a hook may give; one without an end is refused."""

_log = logging.getLogger("asrlab.plugins")


@attrs.frozen(kw_only=True)
class LoadedPlugin:
    """A plugin whose module imported and whose hooks are known ones.

    Attributes:
        name: The entry point's name.
        distribution: The distribution that brought it; ``asrlab`` for what is built in.
        version: That distribution's version; empty for what is built in.
        manager: A host of its own, so that no other plugin's fault reaches it.
    """

    name: str
    distribution: str
    version: str
    manager: pluggy.PluginManager = attrs.field(repr=False, eq=False)


@attrs.frozen(kw_only=True)
class PluginFailure:
    """A plugin, or one of its hooks, that does not work.

    Attributes:
        name: The entry point's name.
        distribution: The distribution that brought it.
        version: That distribution's version.
        stage: ``import``, ``api``, ``hooks`` or the hook that failed.
        message: What went wrong.
        remove: The command that removes the distribution, or leaves the plugin out where no installer can remove it;
            empty for what is built in.
    """

    name: str
    distribution: str
    version: str
    stage: str
    message: str
    remove: str

    def __str__(self) -> str:
        """As a sentence that says how to go on."""
        instead = "" if self.remove.startswith("export ") else f" (or set {DISABLE}={self.name})"
        cure = f"; to remove it: {self.remove}{instead}" if self.remove else ""
        return (
            f"plugin {self.name!r} of {self.distribution} {self.version} failed at {self.stage}: {self.message}{cure}"
        )


class PluginHost:
    """The plugins of this environment, each loaded alone.

    Args:
        points: Entry points instead of those installed, for tests and embedding.
        disabled: Names of plugins not to load; ``*`` for all that are not built in. None reads
            ``ASRLAB_DISABLE_PLUGINS``, names with commas between.

    Attributes:
        plugins: Those that loaded, the built-in ones first.
        points: As they were given.
        disabled: The names that were given.
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
        """What has failed so far; a hook's failure joins when the hook is first called."""
        return tuple(self._failures.values())

    def collect[Item](self, hook: str, kind: type[Item]) -> list[tuple[LoadedPlugin, Item]]:
        """What all plugins return for *hook*, each item with the plugin it is from. One that fails is left out."""
        items: list[tuple[LoadedPlugin, Item]] = []
        for plugin in self.plugins:
            items += [(plugin, item) for item in self._ask(plugin, hook, kind)]
        return items

    def notify(self, hook: str, **facts: Any) -> None:
        """Tell all plugins; one that fails is recorded and does not stop the others."""
        for plugin in self.plugins:
            try:
                with _plugin_code():
                    getattr(plugin.manager.hook, hook)(**facts)
            except BaseException as error:  # noqa: BLE001 - the plugin boundary
                self._fail(plugin, hook, error)

    def _ask[Item](self, plugin: LoadedPlugin, hook: str, kind: type[Item]) -> list[Item]:
        try:
            with _plugin_code():
                results = getattr(plugin.manager.hook, hook)()
                items = [*islice((item for result in results for item in result), MAX_ITEMS + 1)]
            if len(items) > MAX_ITEMS:
                raise TypeError(f"{hook} gives more than {MAX_ITEMS} objects")
            wrong = next((item for item in items if not isinstance(item, kind)), None)
            if wrong is not None:
                raise TypeError(f"{hook} must give {kind.__name__} objects, not {type(wrong).__name__}")
        except BaseException as error:  # noqa: BLE001 - the plugin boundary
            self._fail(plugin, hook, error)
            return []
        return items

    def _load(self, source: _Source) -> LoadedPlugin | None:
        builtin = source.distribution == "asrlab"
        if source.name in self.disabled or ("*" in self.disabled and not builtin):
            return None
        stage = "import"
        try:
            source.check_verdict()
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

    def _fail(self, plugin: LoadedPlugin | _Source, stage: str, error: BaseException) -> None:
        if isinstance(error, KeyboardInterrupt):
            _log.warning("interrupted at %s of plugin %r of %s", stage, plugin.name, plugin.distribution)
            raise error
        failure = PluginFailure(
            name=plugin.name,
            distribution=plugin.distribution,
            version=plugin.version,
            stage=stage,
            message=str(error) if isinstance(error, _SetAsideError) else f"{type(error).__name__}: {error}",
            remove=_removal(plugin),
        )
        key = (plugin.distribution, plugin.name, stage)
        if key not in self._failures:
            self._failures[key] = failure
            _log.warning("%s", failure)


class _SetAsideError(Exception):
    """The plugin is not loaded, for a reason that is known."""


@contextmanager
def _plugin_code() -> Iterator[None]:
    with guarded_plugin_code() as replaced:
        yield
    if replaced:
        raise TypeError(f"it replaces {', '.join(replaced)} for the whole process, which is undone; it must not")


@attrs.frozen
class _Source:
    """Where a plugin is to be loaded from."""

    name: str
    distribution: str
    version: str
    point: EntryPoint | None = None
    judged: bool = False

    def check_verdict(self) -> None:
        """Refuse a plugin that ended its process, or did not end, when it was tried in a process of its own."""
        failure = "" if self.point is None or not self.judged else find_verdict(self.point)
        if failure:
            raise _SetAsideError(failure)

    def load(self) -> Any:
        return self.point.load() if self.point else import_module(BUILTINS[self.name])


def _sources(points: Iterable[EntryPoint] | None) -> list[_Source]:
    found = entry_points(group="asrlab") if points is None else points
    installed = [
        _Source(
            point.name,
            point.dist.name if point.dist else "unknown",
            point.dist.version if point.dist else "",
            point,
            judged=points is None,
        )
        for point in found
    ]
    return [_Source(name, "asrlab", "") for name in BUILTINS] + sorted(
        installed, key=lambda source: (source.distribution, source.name)
    )


def _check_api(plugin: Any) -> None:
    number = getattr(plugin, "asrlab_plugin_api", PLUGIN_API)
    if number != PLUGIN_API:
        raise TypeError(
            f"it is written for plugin API {number!r}, this asrlab has {PLUGIN_API}; install a version that fits"
        )


def _register(plugin: Any, name: str) -> pluggy.PluginManager:
    manager = pluggy.PluginManager("asrlab")
    manager.add_hookspecs(hookspecs)
    manager.register(plugin, name)
    manager.check_pending()  # a hook without a specification is a mistyped one
    return manager


def _removal(plugin: LoadedPlugin | _Source) -> str:
    """Return the command after which *plugin* is not loaded any more; empty for what is built in."""
    if plugin.distribution == "asrlab":
        return ""
    if is_removable(plugin.distribution):
        return uninstall_command(plugin.distribution)
    return f'export {DISABLE}="${DISABLE},{plugin.name}"'  # several of these add up
