"""The blocks of documents between ``asrlab:begin`` and ``asrlab:end``, generated from records."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import groupby
from pathlib import Path

import attrs

from asrlab.engine.spec import EngineSpec, ModelSpec
from asrlab.environment import Machine
from asrlab.errors import DatasetError
from asrlab.evaluation.claims.evidence import Evidence, format_figure
from asrlab.evaluation.claims.support_status import DEVICES, EvidenceItem, SupportCell, SupportMatrix
from asrlab.evaluation.metrics import describe_normalizers
from asrlab.evaluation.reports.formatting import format_rtfx
from asrlab.evaluation.runs.result import BenchResult, ModelResult


@attrs.frozen(kw_only=True)
class RenderContext:
    """The inputs of a block besides its options.

    Attributes:
        document: The document's file. Links are relative to it.
        evidence: The records.
        support: The support status of each model.
    """

    document: Path
    evidence: Evidence
    support: SupportMatrix

    def link(self, record: str) -> str:
        """Return a link to a record."""
        folder = os.path.relpath(self.evidence.folder.resolve(), self.document.resolve().parent)
        return f"[{record}]({Path(folder).as_posix()}/{record})"


def render_table(headings: Sequence[str], rows: Iterable[Sequence[str]], *, right: Sequence[str] = ()) -> str:
    """Return a Markdown table; the columns named in *right* are aligned to the right."""
    rule = ["---:" if heading in right else "---" for heading in headings]
    lines = [headings, rule, *([_escape_cell(text) for text in row] for row in rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _escape_cell(text: str) -> str:
    return re.sub(r"\s+", " ", text).replace("|", "\\|").strip()


def code_span(text: str) -> str:
    """Return *text* as inline code, in which Markdown has no effect."""
    return f"`{re.sub(r'\s+', ' ', text).replace('`', "'").strip()}`" if text.strip() else ""


def escape_markdown(text: str) -> str:
    """Return *text* with the characters escaped that Markdown interprets."""
    return re.sub(r"([\\`*<>\[\]])", r"\\\1", text)


def split_names(text: str) -> list[str]:
    """Return the comma-separated names in an option."""
    return [name.strip() for name in text.split(",") if name.strip()]


def render_block(name: str, options: dict[str, str], context: RenderContext) -> str:
    """Return the text of a block, with the empty lines around it.

    Raises:
        DatasetError: If the block, an option, a record, a model or an utterance is unknown.
    """
    if name not in BLOCKS:
        raise DatasetError(f"no block {name!r}; the blocks are {', '.join(BLOCKS)}")
    render, known = BLOCKS[name]
    if unknown := sorted({*options} - known):
        raise DatasetError(f"the block {name!r} has no option {unknown[0]!r}; use {', '.join(sorted(known))}")
    return f"\n\n{render(options, context)}\n\n"


def render_status_table(options: dict[str, str], context: RenderContext) -> str:
    """Return a table with each recorded or default model on each device, followed by a list of the other models.

    Raises:
        DatasetError: If the option ``engines`` names an unknown engine.
    """
    support = context.support
    wanted = split_names(options.get("engines", ""))
    engines = [spec for spec in support.engines if not wanted or spec.name in wanted]
    if unknown := sorted(set(wanted) - {spec.name for spec in engines}):
        names = ", ".join(spec.name for spec in support.engines)
        raise DatasetError(f"no engine {unknown[0]!r}; the engines are {names}")
    rows = [
        (model, device, _format_statuses(cell), _describe_cell(cell, context))
        for spec in engines
        for model in _listed_models(spec, support)
        for device in DEVICES
        for cell in [support.cells[model, device]]
    ]
    others = [line for spec in engines for line in _list_other_models(spec, context)]
    table = render_table(("model", "device", "status", "what the records say"), rows)
    return "\n".join([table, "", "All other models:", "", *others]) if others else table


def _listed_models(engine: EngineSpec, support: SupportMatrix) -> list[str]:
    default = support.default_model(engine)
    return [
        model
        for model in support.engine_models(engine.name)
        if model == default
        or any(item.model == model for device in DEVICES for item in support.cells[model, device].items)
    ]


def _format_statuses(cell: SupportCell) -> str:
    statuses = " + ".join(f"`{status}`" for status in cell.statuses)
    return statuses + (_format_stale(cell.items[0]) if cell.items else "")


def _format_stale(item: EvidenceItem) -> str:
    return f", stale ({'; '.join(item.stale)})" if item.stale else ""


def _describe_cell(cell: SupportCell, context: RenderContext) -> str:
    parts = [_describe_item(item, context, is_first=not index) for index, item in enumerate(cell.items)]
    if not parts:
        parts = ["no record"]
    if not any(item.is_evidence and item.is_real for item in cell.items):
        parts += [f"substitute {item.model}: {_describe_item(item, context)}" for item in cell.substitutes]
    return "<br>".join(parts)


def _describe_item(item: EvidenceItem, context: RenderContext, *, is_first: bool = False) -> str:
    reason = code_span(item.reason) if "blocked" in item.statuses else escape_markdown(item.reason)
    machine = f"{item.machine.system.split()[0]} {item.machine.architecture}"
    facts = [f"{context.link(item.record)} of {item.date[:10]}", machine, *_engine_packages(item, context.support)]
    description = f"{reason} ({', '.join(facts)})"
    return description if is_first else f"{' + '.join(item.statuses)}{_format_stale(item)}: {description}"


def _engine_packages(item: EvidenceItem, support: SupportMatrix) -> list[str]:
    own = next((spec.reported_distributions for spec in support.engines if spec.name == item.engine), ())
    return [f"{package.name} {package.version}" for package in item.packages if package.name in own]


def _list_other_models(engine: EngineSpec, context: RenderContext) -> Iterator[str]:
    listed = _listed_models(engine, context.support)
    others = [model for model in context.support.engine_models(engine.name) if model not in listed]
    if not others:
        return
    names = ", ".join(f"`{model.partition('/')[2]}`" for model in others)
    yield f"- {engine.name}: {names}:"
    for device in DEVICES:
        cell = attrs.evolve(context.support.cells[others[0], device], substitutes=())
        yield f"  - {device}: {_format_statuses(cell)}: {_describe_cell(cell, context)}"


def render_bounds_table(_options: dict[str, str], context: RenderContext) -> str:
    """Return a table of the WER that each model must stay under to be ``working``."""
    rows = [row for spec in context.support.engines for row in _list_bounds(spec)]
    return render_table(("engine", "WER must be under", "models"), rows)


def _list_bounds(engine: EngineSpec) -> Iterator[tuple[str, str, str]]:
    def bound(model: ModelSpec) -> float:
        return -1.0 if model.wer_bound is None else model.wer_bound

    for value, models in groupby(sorted(engine.models, key=bound), key=bound):
        names = ", ".join(f"`{model.name}`" for model in models)
        yield engine.name, "none stated" if value < 0 else f"{100 * value:g} %", names


def _select_runs(options: dict[str, str], context: RenderContext) -> Iterator[tuple[str, BenchResult, ModelResult]]:
    """Yield the record, run and model of everything that the options select."""
    records, models = split_names(options.get("record", "")), split_names(options.get("models", ""))
    for name in records:
        context.evidence.run(name)
    selected = [
        (record, result, model)
        for record, result in context.evidence.runs.items()
        for model in result.models
        if (not records or record in records)
        and (not models or model.model in models)
        and options.get("device") in (None, _device_kind(model))
    ]
    if not selected and options:
        raise DatasetError(f"no run in {context.evidence.folder} matches this block's options")
    yield from selected


def _device_kind(model: ModelResult) -> str:
    return model.info.device.resolved.partition(":")[0] if model.info else ""


def _format_device(model: ModelResult) -> str:
    if model.info is None:
        return "not loaded"
    threads = f", {model.info.threads} threads" if model.info.threads else ""
    return f"{model.info.device} ({model.info.compute_type}{threads})"


def _format_model(model: ModelResult) -> str:
    random = model.info is not None and model.info.model.weights_random
    return f"{model.model} (random weights)" if random else model.model


def _format_errors(model: ModelResult) -> str:
    return f"{format_figure(model, 'errors')}/{format_figure(model, 'words')}"


def _format_figures(model: ModelResult, *names: str) -> tuple[str, ...]:
    return tuple(format_figure(model, name) for name in names)


def _format_machine(machine: Machine) -> str:
    return f"{machine.processor or machine.architecture}, {machine.cores} cores, {machine.system.split()[0]}"


def _format_rtfx_range(model: ModelResult) -> str:
    speeds = model.rtfx_by_repeat
    rtfx = format_figure(model, "rtfx")
    if len(speeds) < 2:
        return rtfx
    return f"{rtfx} ({format_rtfx(min(speeds))} to {format_rtfx(max(speeds))}, {len(speeds)} times)"


def _render_wer(options: dict[str, str], context: RenderContext) -> str:
    headings = ("model", "device", "WER, failures as deletions", "WER of the finished", "errors/words")
    rows = [
        (
            _format_model(model),
            _format_device(model),
            *_format_figures(model, "wer", "finished_wer"),
            _format_errors(model),
            f"{result.dataset}, {result.manifest.dataset.utterances} utterances",
            describe_normalizers(result.manifest.normalizer, result.manifest.normalizers),
            context.link(record),
        )
        for record, result, model in _select_runs(options, context)
    ]
    return render_table((*headings, "data set", "normalizer", "record"), rows, right=headings[2:])


def _render_speed(options: dict[str, str], context: RenderContext) -> str:
    headings = ("model", "device", "RTFx", "p50", "p95", "load", "peak memory")
    rows = [
        (
            _format_model(model),
            _format_device(model),
            _format_rtfx_range(model),
            *_format_figures(model, "p50", "p95", "load", "peak_mib"),
            _format_machine(result.manifest.machine),
            context.link(record),
        )
        for record, result, model in _select_runs(options, context)
    ]
    return render_table((*headings, "machine", "record"), rows, right=headings[2:])


def _render_run(options: dict[str, str], context: RenderContext) -> str:
    record = _require_record("run", options)
    result = context.evidence.run(record)
    figures = ("WER (errors/words)", "RTFx", "p50", "p95", "load", "peak memory", "failed")
    manifest = result.manifest
    title = (
        f"`{result.dataset}`, {manifest.dataset.utterances} utterances, {len(result.models)} models, "
        f"{result.seconds:.1f} s in all, on {_format_machine(manifest.machine)}; {manifest.created[:10]}, "
        f"{context.link(record)}"
    )
    table = render_table(("model", "device requested → used", *figures), map(_run_row, result.models), right=figures)
    ids = split_names(options.get("texts", ""))
    return "\n\n".join([title, table, *([_render_texts(result, ids)] if ids else [])])


def _require_record(block: str, options: dict[str, str]) -> str:
    if "record" not in options:
        raise DatasetError(f"the block {block!r} needs record=FILE")
    return options["record"]


def _run_row(model: ModelResult) -> tuple[str, ...]:
    if model.info is None:
        failure = model.failure
        return (model.model, code_span(f"{failure.kind}: {failure.message}" if failure else "not loaded"), *["-"] * 7)
    return (
        _format_model(model),
        f"{model.info.device.requested} → {_format_device(model)}",
        f"{format_figure(model, 'wer')} ({_format_errors(model)})",
        _format_rtfx_range(model),
        *_format_figures(model, "p50", "p95", "load", "peak_mib", "failed"),
    )


def _render_texts(result: BenchResult, ids: list[str]) -> str:
    return render_table(("utterance", "", "text"), [row for name in ids for row in _text_rows(result, name)])


def _text_rows(result: BenchResult, name: str) -> Iterator[tuple[str, str, str]]:
    rows = [(model, utterance) for model in result.models for utterance in model.utterances if utterance.id == name]
    if not rows:
        raise DatasetError(f"the run has no utterance {name!r}")
    yield name, "reference", escape_markdown(rows[0][1].reference or "(none)")
    for model, utterance in rows:
        yield "", model.model, escape_markdown(utterance.hypothesis) if utterance.transcript else "(failed)"


def _render_measured(options: dict[str, str], context: RenderContext) -> str:
    name = _require_record("measured", options)
    record = context.evidence.read_json(name)
    try:
        shown, machine, date = record["table"], record["machine"], record["date"]
        location = f"{machine['processor'] or machine['architecture']}, {machine['cores']} cores"
        headings, rows = list(shown["headings"]), [list(map(str, row)) for row in shown["rows"]]
        title = f"{shown['title']}; on {location}; {date[:10]}, {context.link(name)}"
        notes = "\n".join(f"- {escape_markdown(note)}" for note in shown["notes"])
    except (KeyError, TypeError) as error:
        raise DatasetError(f"{name} is not a benchmark's record with a table (no {error}); regenerate it") from error
    return "\n\n".join(filter(None, [title, render_table(headings, rows, right=headings[1:]), notes]))


BLOCKS: dict[str, tuple[Callable[[dict[str, str], RenderContext], str], frozenset[str]]] = {
    "status": (render_status_table, frozenset({"engines"})),
    "bounds": (render_bounds_table, frozenset()),
    "wer": (_render_wer, frozenset({"record", "models", "device"})),
    "speed": (_render_speed, frozenset({"record", "models", "device"})),
    "run": (_render_run, frozenset({"record", "texts"})),
    "measured": (_render_measured, frozenset({"record"})),
}
"""The renderer of each block, and the options that it accepts."""
