"""Checks of the plugin and of the engine's spec, before the engine is imported."""

from __future__ import annotations

import re
import sys
from collections import Counter
from collections.abc import Iterator
from functools import partial
from importlib.metadata import entry_points
from pkgutil import resolve_name
from typing import Any

from asrlab.engine.spec import PLUGIN_API, EngineSpec, ModelSpec
from asrlab.errors import AsrlabError
from asrlab.installation import install_command
from asrlab.plugins.manager import HOOKS, PluginHost
from asrlab.plugins.registry import Registry
from asrlab.testing.conformance.check import Check, CheckContext, describe_error
from asrlab.weights import entry

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
_DOTTED = re.compile(r"\w+(\.\w+)*:\w+")
_FORMATS = {"ctranslate2", "openai-pt", "safetensors"}
_TUPLES = ("aliases", "weights", "languages", "weights_formats", "compute_types", "reported_distributions", "models")
_ENGINE_PACKAGES = (
    *("torch", "tensorflow", "jax", "onnxruntime", "ctranslate2", "transformers", "faster_whisper", "whisper", "nemo"),
    *("vosk", "pocketsphinx", "librosa", "scipy", "sklearn", "pandas", "av", "soundfile"),
)


def _engine_name(context: CheckContext) -> str:
    return context.target.model.partition("/")[0].rpartition(":")[2]


def _names_of(spec: EngineSpec | ModelSpec) -> tuple[str, ...]:
    return tuple(dict.fromkeys((spec.name, *spec.aliases)))


@partial(
    Check,
    name="plugin",
    description="The plugin loads, its hooks work, and it declares a supported version of the plugin interface.",
    requires="nothing",
)
def _plugin(context: CheckContext) -> Iterator[str]:
    if context.resolve_failure:
        matching = [spec for _, spec in context.engines if _engine_name(context) in _names_of(spec)]
        if len(matching) < 2:  # otherwise the check of names fails
            install = install_command("-e", ".")
            yield f"{context.resolve_failure}\ninstall the plugin and its entry point ({install}), then: asrlab plugins"
        return
    plugin = context.plugin
    yield from (f"{failure}" for failure in context.host.failures if failure.distribution == plugin.distribution)
    versions = [getattr(module, "asrlab_plugin_api", None) for module in plugin.manager.get_plugins()]
    if plugin.distribution != "asrlab" and PLUGIN_API not in versions:
        yield (
            f"plugin {plugin.name!r} does not declare its version of the plugin interface; write asrlab_plugin_api = "
            f"{PLUGIN_API} in its module"
        )


@partial(
    Check,
    name="names",
    description="Names and aliases of the engine and its models are valid and unique.",
    requires="nothing",
)
def _names(context: CheckContext) -> Iterator[str]:
    counts = Counter(name for _, spec in context.engines for name in _names_of(spec))
    for plugin, spec in context.engines:
        if _engine_name(context) not in _names_of(spec):
            continue
        for name in _names_of(spec):
            if counts[name] > 1:
                others = sorted({other.distribution for other, spec in context.engines if name in _names_of(spec)})
                yield f"{counts[name]} engines are called {name!r} ({', '.join(others)}); choose another name or alias"
        yield from _model_names(spec, plugin.distribution)


def _model_names(spec: EngineSpec, distribution: str) -> Iterator[str]:
    counts = Counter(name for model in spec.models for name in _names_of(model))
    for name, times in counts.items():
        if times > 1:
            yield f"{times} models of engine {spec.name!r} ({distribution}) are called {name!r}; rename all but one"
    for name in (spec.name, *spec.aliases, *counts):
        # an engine that accepts any model has names of the hub, owner/name
        parts = name.split("/") if name in counts and spec.accepts_any_model else [name]
        if not all(map(_NAME.fullmatch, parts)):
            yield f"the name {name!r} has other characters than letters, digits, '.', '-' and '_'; rename it"
    if spec.default_model and spec.default_model not in counts:
        yield f"default_model {spec.default_model!r} is not one of the models {', '.join(counts)}; choose one of them"


@partial(
    Check, name="spec", description="The spec's fields are complete and have the documented types.", requires="spec"
)
def _spec(context: CheckContext) -> Iterator[str]:
    spec = context.resolved.engine
    yield from _type_errors(spec)
    if (spec.distribution is None) != (spec.import_name is None):
        yield "distribution and import_name must both be set, or neither for an engine without a package"
    if spec.distribution and not spec.install:
        yield f"install is empty; set the command that installs {spec.distribution}, such as 'pip install ...'"
    if spec.distribution not in (None, *spec.reported_distributions):
        yield f"reported_distributions lacks {spec.distribution!r}; add it, so that transcripts have its version"
    for unknown in sorted(set(spec.weights_formats) - _FORMATS):
        yield f"weights_formats has the unknown format {unknown!r}; choose from {', '.join(sorted(_FORMATS))}"
    for model in spec.models:
        yield from _model(model)


def _type_errors(spec: EngineSpec | ModelSpec) -> Iterator[str]:
    for name in _TUPLES:  # a common mistake is a list or a string instead of a tuple
        value: Any = getattr(spec, name, ())
        item_type = ModelSpec if name == "models" else str
        if value is not None and not (isinstance(value, tuple) and all(isinstance(item, item_type) for item in value)):
            yield f"{name} of {spec.name!r} is {value!r}; use a tuple of {item_type.__name__}, such as ('a',)"


def _model(model: ModelSpec) -> Iterator[str]:
    yield from _type_errors(model)
    weights: Any = model.weights
    for key in weights if isinstance(weights, tuple) else ():
        try:
            entry(key)
        except AsrlabError as error:
            yield f"weights of model {model.name!r}: {error}; use keys of asrlab's catalogue, or none"
    if model.wer_bound is not None and not 0 < model.wer_bound <= 1:
        yield f"wer_bound of model {model.name!r} is {model.wer_bound}; use a fraction such as 0.1 for 10 %, or None"


def _not_installed(context: CheckContext) -> str:
    spec = context.resolved.engine
    package = spec.distribution or spec.import_name
    return "" if spec.is_installed() else f"{package} is not installed; run: {spec.install}"


@partial(
    Check,
    name="code",
    description="The functions named in the spec can be imported.",
    skip_reason=_not_installed,
    requires="spec",
)
def code(context: CheckContext) -> Iterator[str]:
    """Yield the functions of the spec that cannot be imported or called."""
    spec = context.resolved.engine
    for field in ("factory", "devices"):
        dotted = getattr(spec, field)
        if not _DOTTED.fullmatch(dotted):
            yield f"{field} is {dotted!r}; write it as 'package.module:function'"
            continue
        try:
            function = resolve_name(dotted)
        except Exception as error:  # noqa: BLE001 - the plugin boundary
            yield f"{field}={dotted!r} cannot be imported ({describe_error(error)}); name an existing function"
            continue
        if not callable(function):
            yield f"{field}={dotted!r} is a {type(function).__name__}, which is not callable; name a function"


@partial(
    Check,
    name="listing",
    description="Importing the plugin and listing its models loads no engine and opens no socket.",
    requires="spec",
    in_fresh_process=True,
)
def _listing(context: CheckContext) -> Iterator[str]:
    plugin = context.plugin
    imports, sockets = context.target.run_in_subprocess(
        record_listing, plugin.name, plugin.distribution, context.resolved.engine.name
    )
    if imports:
        yield (
            f"importing plugin {plugin.name!r} and listing its models imports {', '.join(imports)}; use dotted names "
            "for the engine's code, and import its packages in the factory's module only"
        )
    if sockets:
        yield (
            f"importing plugin {plugin.name!r} and listing its models uses the network ({', '.join(sockets)}); use the "
            "network only when a model is loaded"
        )


def record_listing(plugin: str, distribution: str, engine: str) -> tuple[list[str], list[str]]:
    """Load one plugin and the built-in plugins, and read all that a listing prints; for a fresh process.

    Args:
        plugin: Name of the entry point.
        distribution: Distribution of the plugin; ``asrlab`` for a built-in plugin.
        engine: Name of the engine.

    Returns:
        The imported packages of engines, and the kinds of socket events.
    """
    events: dict[str, None] = {}
    before = set(sys.modules)

    def record(event: str, _arguments: tuple[Any, ...]) -> None:
        if event.startswith("socket."):
            events[event] = None

    sys.addaudithook(record)
    points = [
        point
        for point in entry_points(group="asrlab", name=plugin)
        if point.dist is not None and point.dist.name == distribution
    ]
    host = PluginHost(points=points, disabled=())
    for hook, kind in HOOKS.items():
        host.collect(hook, kind)
    spec = next(spec for spec in reversed(Registry(host).engines()) if spec.name == engine)
    spec.is_installed()
    spec.packages()
    plugin_modules = {point.value.partition(".")[0].partition(":")[0] for point in points}
    heavy = {spec.import_name, *_ENGINE_PACKAGES} - plugin_modules
    return sorted(name for name in set(sys.modules) - before if name in heavy), [*events]


CHECKS = (_plugin, _names, _spec, code, _listing)
