"""The cells of a run, and the suite of checks of each model."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pkgutil import resolve_name

from asrlab.engine.spec import EngineSpec
from asrlab.evaluation.matrix.cell_context import CellJob, Suite
from asrlab.evaluation.matrix.records import COLUMNS
from asrlab.plugins.manager import PluginHost
from asrlab.plugins.registry import Registry

TINY = "liquid-audio/tiny"
"""The row of a checkpoint of random weights, which its suite writes. No registered model has this name."""

# The suite of a model or engine; dotted, because a suite may import its engine. Other engines have the last suite.
_SUITES = {
    TINY: "asrlab.evaluation.matrix.liquid_audio:TINY_SUITE",
    "faster-whisper": "asrlab.evaluation.matrix.whisper:SUITE",
    "openai-whisper": "asrlab.evaluation.matrix.whisper:SUITE",
    "liquid-audio": "asrlab.evaluation.matrix.liquid_audio:SUITE",
}
_DEFAULT_SUITE = "asrlab.evaluation.matrix.any_engine:SUITE"


def find_suite(model: str) -> Suite:
    """Return the checks of a model, ``engine/model``."""
    suite: Suite = resolve_name(_SUITES.get(model) or _SUITES.get(model.partition("/")[0]) or _DEFAULT_SUITE)
    return suite


def plan_cells(models: Sequence[str], columns: Iterable[str]) -> tuple[CellJob, ...]:
    """Return the cells of a run, model by model.

    Args:
        models: Engines or models; none for the default model of every installed engine.
        columns: Names of devices; none for all devices.

    Raises:
        EngineNotFoundError: If a name is neither an engine nor a model.
    """
    registry = Registry(PluginHost())
    names = tuple(models) or tuple(_default_model(spec) for spec in registry.engines() if spec.models)
    rows = dict(row for name in names for row in _rows(registry, name))
    wanted = set(columns) or set(COLUMNS)
    return tuple(
        CellJob(model=model, column=column, load_name=name)
        for model, name in rows.items()
        for column in COLUMNS
        if column in wanted
    )


def _default_model(spec: EngineSpec) -> str:
    return f"{spec.name}/{spec.default_model or spec.models[0].name}"


def _rows(registry: Registry, name: str) -> Iterator[tuple[str, str]]:
    """Yield each row for *name* with the name to load.

    The weights of LFM2.5-Audio are too large for most machines, so that its default model has a row with the tiny
    checkpoint, too.
    """
    engine = TINY.partition("/")[0]
    if name == TINY:
        yield TINY, engine
        return
    resolved = registry.resolve(name)
    if resolved.engine.name == engine and resolved == registry.resolve(engine):
        yield TINY, engine
    yield resolved.name, name
