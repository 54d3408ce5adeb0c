"""The registry of engines and models, which resolves model names."""

from __future__ import annotations

import re
from collections.abc import Iterable
from difflib import get_close_matches
from pathlib import Path

import attrs

from asrlab.engine.spec import EngineSpec, ModelSpec
from asrlab.errors import EngineNotFoundError
from asrlab.plugins.manager import DISABLE, LoadedPlugin, PluginHost

_PATH = re.compile(r"[/~.]|[A-Za-z]:[\\/]")


@attrs.frozen(kw_only=True)
class ResolvedModel:
    """The engine and the model that a name refers to.

    Attributes:
        name: The full name, ``engine/model``; ``distribution:engine/model`` if two plugins offer that engine.
        engine: Spec of the engine.
        model: Spec of the model; None if the name contains a path.
        path: Path of the user's weights; None if the name contains a model.
        distribution: The distribution that offers the engine.
    """

    name: str
    engine: EngineSpec
    model: ModelSpec | None
    path: Path | None
    distribution: str


@attrs.frozen
class _Offer:
    """An engine and the plugin that offers it."""

    plugin: LoadedPlugin
    spec: EngineSpec


class Registry:
    """The engines and models that the plugins of a host offer.

    Args:
        host: The plugins.
    """

    def __init__(self, host: PluginHost) -> None:
        self._host = host
        self._offers = [_Offer(plugin, spec) for plugin, spec in host.collect("asrlab_engines", EngineSpec)]

    def engines(self) -> tuple[EngineSpec, ...]:
        """Return all engines, the built-in ones first."""
        return tuple(offer.spec for offer in self._offers)

    def offers(self, names: Iterable[str] = ()) -> tuple[tuple[EngineSpec, str], ...]:
        """Return engines, each with the distribution that offers it.

        Args:
            names: Names or aliases of the engines; empty for all.

        Raises:
            EngineNotFoundError: If there is no engine of one of the names.
        """
        requested = set(names)
        known = [name for offer in self._offers for name in _names(offer.spec)]
        for name in sorted(requested - set(known)):
            near = get_close_matches(name, known, n=3, cutoff=0.5)
            engines = ", ".join(spec.name for spec in self.engines())
            hint = f"did you mean {' or '.join(near)}?" if near else f"choose from {engines}"
            raise EngineNotFoundError(f"there is no engine {name!r}; {hint}", name=name, near=near)
        return tuple(
            (offer.spec, offer.plugin.distribution)
            for offer in self._offers
            if not requested or requested & {*_names(offer.spec)}
        )

    def models(self) -> tuple[ResolvedModel, ...]:
        """Return all named models, in the order of their engines."""
        return tuple(self._build(offer, model) for offer in self._offers for model in offer.spec.models)

    def resolve(self, name: str) -> ResolvedModel:
        """Resolve a model name.

        Args:
            name: ``engine/model``, an engine or its alias alone for that engine's default model,
                ``distribution:engine/model`` if two distributions offer the same name, or ``engine/PATH`` with a
                path that begins with ``/``, ``./``, ``../``, ``~`` or a drive letter. If the engine has
                ``accepts_any_model``, any name is one of them.

        Raises:
            EngineNotFoundError: If there is no model of this name, or more than one.
        """
        distribution, bare = _split_distribution(name)
        engine, slash, model = bare.partition("/")
        offer = self._offer(name, engine, distribution)
        if slash and _PATH.match(model):
            path = Path(model).expanduser()
            return ResolvedModel(
                name=f"{self._prefix(offer)}/{path.name or path}",
                engine=offer.spec,
                model=None,
                path=path,
                distribution=offer.plugin.distribution,
            )
        return self._build(offer, self._model(name, offer.spec, model if slash else offer.spec.default_model))

    def _build(self, offer: _Offer, model: ModelSpec) -> ResolvedModel:
        return ResolvedModel(
            name=f"{self._prefix(offer)}/{model.name}",
            engine=offer.spec,
            model=model,
            path=None,
            distribution=offer.plugin.distribution,
        )

    def _prefix(self, offer: _Offer) -> str:
        """Return an unambiguous name of the engine."""
        others = [other for other in self._offers if offer.spec.name in _names(other.spec)]
        return offer.spec.name if len(others) == 1 else f"{offer.plugin.distribution}:{offer.spec.name}"

    def _offer(self, name: str, engine: str, distribution: str | None) -> _Offer:
        offers = [
            offer
            for offer in self._offers
            if engine in _names(offer.spec) and distribution in (None, offer.plugin.distribution)
        ]
        if not offers:
            raise self._unknown_model(name)
        if len(offers) > 1:
            raise _ambiguous_engine(name, engine, [offer.plugin for offer in offers])
        return offers[0]

    def _model(self, name: str, spec: EngineSpec, model: str) -> ModelSpec:
        for known in spec.models:
            if model in (known.name, *known.aliases):
                return known
        if spec.accepts_any_model and model:
            return ModelSpec(name=model)
        raise self._unknown_model(name)

    def _unknown_model(self, name: str) -> EngineNotFoundError:
        known = [resolved.name for resolved in self.models()]
        # an engine's name alone can be used only if it has a default model
        aliases = [alias for spec in self.engines() if spec.default_model for alias in _names(spec)]
        near = get_close_matches(name, known + aliases, n=3, cutoff=0.5)
        broken = "".join(f"\n{failure}" for failure in self._host.failures)
        hint = f"did you mean {' or '.join(near)}?" if near else "to list all, run: asrlab models"
        return EngineNotFoundError(f"there is no model {name!r}; {hint}{broken}", name=name, near=near)


def _split_distribution(name: str) -> tuple[str | None, str]:
    head, colon, rest = name.partition(":")
    return (head, rest) if colon and "/" not in head and "\\" not in head else (None, name)


def _names(spec: EngineSpec) -> tuple[str, ...]:
    return (spec.name, *spec.aliases)


def _ambiguous_engine(name: str, engine: str, plugins: list[LoadedPlugin]) -> EngineNotFoundError:
    distributions = list(dict.fromkeys(plugin.distribution for plugin in plugins))
    if len(distributions) == 1:
        cure = f"twice by {distributions[0]}; disable one plugin: {DISABLE}={plugins[-1].name}"
    else:
        choices = [f"{distribution}:{name.rpartition(':')[2]}" for distribution in distributions]
        cure = f"by {' and by '.join(distributions)}; choose {' or '.join(choices)}"
    return EngineNotFoundError(f"engine {engine!r} is offered {cure}", name=name)
