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


class Registry:
    """The engines and models that the plugins of a host offer."""

    def __init__(self, host: PluginHost) -> None:
        self._host = host
        self._offers = host.collect("asrlab_engines", EngineSpec)

    def engines(self) -> tuple[EngineSpec, ...]:
        """Return all engines, the built-in ones first."""
        return tuple(spec for _, spec in self._offers)

    def offers(self, names: Iterable[str] = ()) -> tuple[tuple[EngineSpec, str], ...]:
        """Return engines, each with the distribution that offers it.

        Args:
            names: Names or aliases of the engines; empty for all.

        Raises:
            EngineNotFoundError: If there is no engine of one of the names.
        """
        requested = set(names)
        known = [name for spec in self.engines() for name in _names(spec)]
        for name in sorted(requested - set(known)):
            near = get_close_matches(name, known, n=3, cutoff=0.5)
            engines = ", ".join(spec.name for spec in self.engines())
            hint = f"did you mean {' or '.join(near)}?" if near else f"choose from {engines}"
            raise EngineNotFoundError(f"there is no engine {name!r}; {hint}", name=name, near=near)
        return tuple(
            (spec, plugin.distribution) for plugin, spec in self._offers if not requested or requested & {*_names(spec)}
        )

    def models(self) -> tuple[ResolvedModel, ...]:
        """Return all named models, in the order of their engines."""
        return tuple(
            self._build(plugin, spec, model.name, model) for plugin, spec in self._offers for model in spec.models
        )

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
        head, colon, rest = name.partition(":")
        has_distribution = bool(colon) and "/" not in head and "\\" not in head
        engine, slash, model = (rest if has_distribution else name).partition("/")
        plugin, spec = self._offer(name, engine, head if has_distribution else None)
        if slash and _PATH.match(model):
            path = Path(model).expanduser()
            return self._build(plugin, spec, path.name or str(path), path=path)
        found = self._model(name, spec, model if slash else spec.default_model)
        return self._build(plugin, spec, found.name, found)

    def _build(
        self,
        plugin: LoadedPlugin,
        spec: EngineSpec,
        name: str,
        model: ModelSpec | None = None,
        path: Path | None = None,
    ) -> ResolvedModel:
        is_unique = sum(spec.name in _names(other) for other in self.engines()) == 1
        engine = spec.name if is_unique else f"{plugin.distribution}:{spec.name}"
        return ResolvedModel(
            name=f"{engine}/{name}", engine=spec, model=model, path=path, distribution=plugin.distribution
        )

    def _offer(self, name: str, engine: str, distribution: str | None) -> tuple[LoadedPlugin, EngineSpec]:
        offers = [
            (plugin, spec)
            for plugin, spec in self._offers
            if engine in _names(spec) and distribution in (None, plugin.distribution)
        ]
        if not offers:
            raise self._unknown_model(name)
        if len(offers) == 1:
            return offers[0]
        distributions = list(dict.fromkeys(plugin.distribution for plugin, _ in offers))
        if len(distributions) == 1:
            cure = f"twice by {distributions[0]}; disable one plugin: {DISABLE}={offers[-1][0].name}"
        else:
            choices = [f"{distribution}:{name.rpartition(':')[2]}" for distribution in distributions]
            cure = f"by {' and by '.join(distributions)}; choose {' or '.join(choices)}"
        raise EngineNotFoundError(f"engine {engine!r} is offered {cure}", name=name)

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
        of_engines = [model for model in known if model.partition("/")[2] == name]
        near = of_engines or get_close_matches(name, known + aliases, n=3, cutoff=0.5)
        broken = "".join(f"\n{failure}" for failure in self._host.failures)
        hint = f"did you mean {' or '.join(near)}?" if near else "to list all, run: asrlab models"
        return EngineNotFoundError(f"there is no model {name!r}; {hint}{broken}", name=name, near=near)


def _names(spec: EngineSpec) -> tuple[str, ...]:
    return (spec.name, *spec.aliases)
