"""Which cells there are, and which checks each of them has."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from importlib import import_module

from asrlab.engine.spec import EngineSpec
from asrlab.evaluation.matrix.cell_context import Suite
from asrlab.evaluation.matrix.messages import TINY, Job
from asrlab.evaluation.matrix.records import COLUMNS
from asrlab.plugins.manager import PluginHost
from asrlab.plugins.registry import Registry

# Model or engine to the module with its checks; all others have those of any engine.
_SUITES = {
    TINY: "asrlab.evaluation.matrix.tiny_liquid_audio",
    "faster-whisper": "asrlab.evaluation.matrix.whisper",
    "openai-whisper": "asrlab.evaluation.matrix.whisper",
    "liquid-audio": "asrlab.evaluation.matrix.liquid_audio",
}
_ANY = "asrlab.evaluation.matrix.any_engine"


def suite_of(model: str) -> Suite:
    """The checks of a model, as ``engine/model``."""
    module = _SUITES.get(model) or _SUITES.get(model.partition("/")[0]) or _ANY
    suite: Suite = import_module(module).SUITE
    return suite


def plan(asked: Sequence[str], columns: Iterable[str]) -> tuple[Job, ...]:
    """The cells, model by model.

    Args:
        asked: Engines or models; none for the default model of every engine there is.
        columns: The devices' names; none for all of them.

    Raises:
        EngineNotFoundError: Nothing has one of these names.
    """
    registry = Registry(PluginHost())
    names = tuple(asked) or tuple(_default(spec) for spec in registry.engines() if spec.models)
    rows = dict(row for name in names for row in _rows(registry, name))
    wanted = set(columns) or set(COLUMNS)
    return tuple(
        Job(model=model, column=column, asked=name)
        for model, name in rows.items()
        for column in COLUMNS
        if column in wanted
    )


def _default(spec: EngineSpec) -> str:
    return f"{spec.name}/{spec.default_model or spec.models[0].name}"


def _rows(registry: Registry, asked: str) -> Iterator[tuple[str, str]]:
    """Each row for *asked* with what is to be loaded.

    LFM2.5-Audio is too large to be everywhere, and its tiny likeness never is: the engine's default model has both.
    """
    engine = TINY.partition("/")[0]
    if asked == TINY:
        yield TINY, engine
        return
    resolved = registry.resolve(asked)
    if resolved.engine.name == engine and resolved == registry.resolve(engine):
        yield TINY, engine
    yield resolved.name, asked
