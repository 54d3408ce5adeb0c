"""The tables of statuses, and of the bounds that they go by."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import groupby

import attrs

from asrlab.engine.spec import EngineSpec, ModelSpec
from asrlab.environment import Machine
from asrlab.errors import DatasetError
from asrlab.evaluation.claims.markdown import RenderContext, code_span, escape_markdown, split_names, table
from asrlab.evaluation.claims.support_status import DEVICES, EvidenceItem, SupportCell, SupportMatrix


def status_table(options: dict[str, str], page: RenderContext) -> str:
    """A row for each model that there is a record of, and for each engine's default, on each device; then the rest.

    Raises:
        DatasetError: The option ``engines`` names one that there is not.
    """
    board = page.board
    wanted = split_names(options.get("engines", ""))
    engines = [spec for spec in board.engines if not wanted or spec.name in wanted]
    if unknown := sorted(set(wanted) - {spec.name for spec in engines}):
        raise DatasetError(f"there is no engine {unknown[0]!r}; there are {', '.join(e.name for e in board.engines)}")
    rows = [row for spec in engines for model in _recorded(spec, board) for row in _status_rows(model, page)]
    rest = [line for spec in engines for line in _rest(spec, page)]
    shown = table(("model", "device", "status", "what the records say"), rows)
    return "\n".join([shown, "", "All other models:", "", *rest]) if rest else shown


def _recorded(engine: EngineSpec, board: SupportMatrix) -> list[str]:
    """The models that get rows: the engine's default, and those with a record of their own."""
    default = board.default_of(engine)
    return [
        model
        for model in board.of_engine(engine.name)
        if model == default
        or any(each.model == model for device in DEVICES for each in board.cells[model, device].standings)
    ]


def _status_rows(model: str, page: RenderContext) -> Iterator[tuple[str, str, str, str]]:
    for device in DEVICES:
        cell = page.board.cells[model, device]
        yield model, device, _status_of(cell), _told(cell, page)


def _status_of(cell: SupportCell) -> str:
    said = " + ".join(f"`{status}`" for status in cell.statuses)
    stale = cell.standings[0].stale if cell.standings else ()
    return f"{said}, stale ({'; '.join(stale)})" if stale else said


def _told(cell: SupportCell, page: RenderContext) -> str:
    parts = [_standing(standing, page, first=not number) for number, standing in enumerate(cell.standings)]
    if not parts:
        parts = ["no record"]
    if not any(standing.tells and standing.real for standing in cell.standings):
        parts += [f"not its weights but {each.model}: {_standing(each, page)}" for each in cell.stand_ins]
    return "<br>".join(parts)


def _standing(standing: EvidenceItem, page: RenderContext, *, first: bool = False) -> str:
    said = " + ".join(standing.statuses)
    reason = code_span(standing.reason) if "blocked" in standing.statuses else escape_markdown(standing.reason)
    facts = [f"{page.link(standing.record)} of {standing.date[:10]}", _machine(standing.machine)]
    versions = _versions(standing, page.board)
    told = f"{reason} ({', '.join([*facts, *([versions] if versions else [])])})"
    stale = f", stale ({'; '.join(standing.stale)})" if standing.stale else ""
    return told if first else f"{said}{stale}: {told}"


def _machine(machine: Machine) -> str:
    return f"{machine.system.split()[0]} {machine.architecture}"


def _versions(standing: EvidenceItem, board: SupportMatrix) -> str:
    """Of the engine's own packages; all of them are in the record."""
    engine = standing.model.partition("/")[0]
    own = next((spec.versions_of for spec in board.engines if spec.name == engine), ())
    return ", ".join(f"{package.name} {package.version}" for package in standing.packages if package.name in own)


def _rest(engine: EngineSpec, page: RenderContext) -> Iterator[str]:
    shown = _recorded(engine, page.board)
    rest = [model for model in page.board.of_engine(engine.name) if model not in shown]
    if not rest:
        return
    names = ", ".join(f"`{model.partition('/')[2]}`" for model in rest)
    yield f"- {engine.name}: {names}:"
    for device in DEVICES:
        cell = page.board.cells[rest[0], device]
        yield f"  - {device}: {_status_of(cell)}: {_told(attrs.evolve(cell, stand_ins=()), page)}"


def bounds_table(_options: dict[str, str], page: RenderContext) -> str:
    """The WER that each model must stay under to be ``working``."""
    rows = [row for spec in page.board.engines for row in _bounds_of(spec)]
    return table(("engine", "WER must be under", "models"), rows)


def _bounds_of(engine: EngineSpec) -> Iterator[tuple[str, str, str]]:
    def bound_of(model: ModelSpec) -> float:
        return -1.0 if model.wer_bound is None else model.wer_bound

    for bound, models in groupby(sorted(engine.models, key=bound_of), key=bound_of):
        names = ", ".join(f"`{model.name}`" for model in models)
        yield engine.name, "none stated" if bound < 0 else f"{100 * bound:g} %", names
