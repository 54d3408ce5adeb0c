"""Checks of the plugin and of what it says of its engine before anything of it is imported."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from pkgutil import resolve_name
from typing import Any

from asrlab.engine.spec import PLUGIN_API, EngineSpec, ModelSpec
from asrlab.errors import AsrlabError
from asrlab.installation import install_command
from asrlab.testing.conformance.check import Check, told
from asrlab.testing.conformance.context import CheckContext
from asrlab.testing.conformance.process import run_in_subprocess, watch_listing
from asrlab.weights import entry

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
_DOTTED = re.compile(r"\w+(\.\w+)*:\w+")
_FORMATS = {"ctranslate2", "openai-pt", "safetensors"}


def _engine_asked(case: CheckContext) -> str:
    return case.subject.model.partition("/")[0].rpartition(":")[2]


def _plugin(case: CheckContext) -> Iterator[str]:
    claimed = [spec for _, spec in case.offers if _engine_asked(case) in (spec.name, *spec.aliases)]
    if case.unknown:
        if len(claimed) < 2:  # otherwise the check of names says it
            install = install_command("-e", ".")
            yield f"{case.unknown}\ninstall the plugin with its entry point ({install}), then: asrlab plugins"
        return
    mine = case.plugin
    for failure in case.host.failures:
        if failure.distribution == mine.distribution:
            yield f"{failure}"
    stated = [getattr(plugin, "asrlab_plugin_api", None) for plugin in mine.manager.get_plugins()]
    if mine.distribution != "asrlab" and PLUGIN_API not in stated:
        yield (
            f"plugin {mine.name!r} does not state the plugin interface it was written for; write asrlab_plugin_api = "
            f"{PLUGIN_API} in its module, so that a later asrlab can tell"
        )


def _names(case: CheckContext) -> Iterator[str]:
    counted = Counter(name for _, spec in case.offers for name in dict.fromkeys((spec.name, *spec.aliases)))
    for plugin, spec in case.offers:
        if _engine_asked(case) not in (spec.name, *spec.aliases):
            continue
        for name in (spec.name, *spec.aliases):
            if counted[name] > 1:
                others = sorted(
                    {other.distribution for other, each in case.offers if name in (each.name, *each.aliases)}
                )
                yield f"{counted[name]} engines are called {name!r} ({', '.join(others)}); choose another name or alias"
        yield from _model_names(spec, plugin.distribution)


def _model_names(spec: EngineSpec, distribution: str) -> Iterator[str]:
    counted = Counter(name for model in spec.models for name in dict.fromkeys((model.name, *model.aliases)))
    for name, times in counted.items():
        if times > 1:
            yield f"{times} models of engine {spec.name!r} ({distribution}) are called {name!r}; rename all but one"
    for name in (spec.name, *spec.aliases, *counted):
        # an engine with other models names them as their hub does, owner/name
        parts = name.split("/") if name in counted and spec.other_models else [name]
        if not all(map(_NAME.fullmatch, parts)):
            yield f"the name {name!r} has more than letters, digits, '.', '-' and '_'; rename it"
    if spec.default_model and spec.default_model not in counted:
        yield f"default_model {spec.default_model!r} is none of the models {', '.join(counted)}; name one of them"


def _spec(case: CheckContext) -> Iterator[str]:
    spec = case.resolved.engine
    yield from _types(spec)
    if (spec.distribution is None) != (spec.import_name is None):
        yield "distribution and import_name belong together: state both, or neither for an engine without a package"
    if spec.distribution and not spec.install:
        yield f"install is empty; state the command that installs {spec.distribution}, such as 'pip install ...'"
    if spec.distribution not in (None, *spec.versions_of):
        yield f"versions_of lacks {spec.distribution!r}; add it, so that transcripts name its version"
    for unknown in sorted(set(spec.weights_formats) - _FORMATS):
        yield f"weights_formats names {unknown!r}, which asrlab cannot check; choose of {', '.join(sorted(_FORMATS))}"
    for model in spec.models:
        yield from _model(model)


def _types(spec: EngineSpec | ModelSpec) -> Iterator[str]:
    """Fields whose value is of another type than documented: a list or a text for a tuple, mostly."""
    for name in ("aliases", "weights", "languages", "weights_formats", "compute_types", "versions_of", "models"):
        value: Any = getattr(spec, name, ())
        of = ModelSpec if name == "models" else str
        if value is not None and not (isinstance(value, tuple) and all(isinstance(each, of) for each in value)):
            yield f"{name} of {spec.name!r} is {value!r}; give a tuple of {of.__name__}, ('a',) for a single one"


def _model(model: ModelSpec) -> Iterator[str]:
    yield from _types(model)
    weights: Any = model.weights
    for key in weights if isinstance(weights, tuple) else ():
        try:
            entry(key)
        except AsrlabError as error:
            yield f"weights of model {model.name!r}: {error}; name keys of asrlab's catalogue, or none"
    if model.wer_bound is not None and not 0 < model.wer_bound <= 1:
        yield f"wer_bound of model {model.name!r} is {model.wer_bound}; give a fraction, 0.1 for 10 %, or None"


def broken_code(case: CheckContext) -> Iterator[str]:
    """The functions that the spec names and that cannot be had."""
    spec = case.resolved.engine
    for field in ("factory", "devices"):
        dotted = getattr(spec, field)
        if not _DOTTED.fullmatch(dotted):
            yield f"{field} is {dotted!r}; write it as 'package.module:function'"
            continue
        try:
            function = resolve_name(dotted)
        except Exception as error:  # noqa: BLE001 - the plugin boundary
            yield f"{field}={dotted!r} cannot be imported ({told(error)}); name a function that is there"
            continue
        if not callable(function):
            yield f"{field}={dotted!r} is a {type(function).__name__}, which cannot be called; name a function"


def _not_installed(case: CheckContext) -> str:
    spec = case.resolved.engine
    return "" if spec.installed() else f"{spec.distribution or spec.import_name} is not installed; run: {spec.install}"


def _listing(case: CheckContext) -> Iterator[str]:
    mine = case.plugin
    seen = run_in_subprocess(
        watch_listing, mine.name, mine.distribution, case.resolved.engine.name, limit_s=case.subject.limit_s
    )
    if seen.heavy:
        yield (
            f"importing plugin {mine.name!r} and listing its models imports {', '.join(seen.heavy)}; name the engine's "
            "code by dotted strings, and import its packages in the factory's module only"
        )
    if seen.sockets:
        yield (
            f"importing plugin {mine.name!r} and listing its models uses the network ({', '.join(seen.sockets)}); ask "
            "nothing of a server before a model is loaded"
        )


CHECKS = (
    Check(
        name="plugin",
        sentence="The plugin loads, its hooks work, and it states a plugin interface that this asrlab has.",
        problems=_plugin,
        needs="nothing",
    ),
    Check(
        name="names",
        sentence="Names and aliases of engine and models are well formed and stand for one thing each.",
        problems=_names,
        needs="nothing",
    ),
    Check(name="spec", sentence="The spec's fields are complete and of their types.", problems=_spec, needs="spec"),
    Check(
        name="code",
        sentence="The functions that the spec names can be imported.",
        problems=broken_code,
        unless=_not_installed,
        needs="spec",
    ),
    Check(
        name="listing",
        sentence="Importing the plugin and listing its models loads no engine and opens no socket.",
        problems=_listing,
        needs="spec",
        apart=True,
    ),
)
