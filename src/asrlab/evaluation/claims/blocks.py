"""Text generated from records: figures in documents, and blocks between ``asrlab:begin`` and ``asrlab:end``."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from itertools import groupby
from pathlib import Path
from typing import Any

import attrs

from asrlab.engine.spec import ModelSpec
from asrlab.environment import Machine
from asrlab.errors import DatasetError
from asrlab.evaluation.claims.evidence import DEVICES, Evidence, EvidenceItem, SupportCell, SupportMatrix
from asrlab.evaluation.metrics import describe_normalizers
from asrlab.evaluation.reports.formatting import format_count, format_mib, format_percent, format_rtfx, format_seconds
from asrlab.evaluation.runs.result import BenchResult, ModelResult

type _Options = Mapping[str, str]

_BLOCKS_OF_ONE_RECORD = ("run", "measured")
_FORMAT = re.compile(r"([^{}]*)\{(?::([^{}]*))?\}([^{}]*)")
_NUMERIC_COLUMNS = (
    *("WER, failures as deletions", "WER of the finished", "errors/words", "WER (errors/words)"),
    *("RTFx", "p50", "p95", "load", "peak memory", "failed"),
)
_WER_COLUMNS = ("model", "device", *_NUMERIC_COLUMNS[:3], "data set", "normalizer")
_SPEED_COLUMNS = ("model", "device", *_NUMERIC_COLUMNS[4:9], "machine")
_RUN_COLUMNS = ("model", "device requested → used", *_NUMERIC_COLUMNS[3:])
_FIGURE_OPTIONS = ("figure", "format", "json", "model", "path", "record", "scale")


def _format_audio(value: float) -> str:
    return f"{value:.1f} s"


# By name: how a figure is read from a model's result, and how it is formatted.
_MODEL_FIGURES: dict[str, tuple[Callable[[ModelResult], float | None], Callable[[Any], str]]] = {
    "wer": (lambda model: model.score.wer if model.score else None, format_percent),
    "finished_wer": (lambda model: model.finished_score.wer if model.finished_score else None, format_percent),
    "cer": (lambda model: model.score.cer if model.score else None, format_percent),
    "errors": (lambda model: model.score.words.errors if model.score else None, str),
    "words": (lambda model: model.score.words.reference_length if model.score else None, str),
    "rtfx": (lambda model: model.rtfx, format_rtfx),
    "rtfx_lowest": (lambda model: min(model.rtfx_by_repeat, default=None), format_rtfx),
    "rtfx_highest": (lambda model: max(model.rtfx_by_repeat, default=None), format_rtfx),
    "p50": (lambda model: model.latency.p50, format_seconds),
    "p90": (lambda model: model.latency.p90, format_seconds),
    "p95": (lambda model: model.latency.p95, format_seconds),
    "p99": (lambda model: model.latency.p99, format_seconds),
    "load": (lambda model: model.load_time, format_seconds),
    "peak_mib": (lambda model: model.peak_resident_bytes, lambda value: f"{format_mib(value)} MiB"),
    "audio": (lambda model: model.audio_seconds, _format_audio),
    "utterances": (lambda model: len(model.utterances), str),
    "failed": (lambda model: model.failed, str),
    "failed_gates": (lambda model: model.failed_gates, str),
    "threads": (lambda model: model.info.threads if model.info else None, str),
}

# The same for a whole run.
_RUN_FIGURES: dict[str, tuple[Callable[[BenchResult], float | None], Callable[[Any], str]]] = {
    "seconds": (lambda run: run.seconds, _format_audio),
    "models": (lambda run: len(run.models), str),
    "repeats": (lambda run: run.manifest.request.repeat, str),
    "warmup": (lambda run: run.manifest.request.warmup, str),
}


def format_figure(model: ModelResult, name: str) -> str:
    """Format a model's figure as documents show it; a dash if the figure is missing."""
    read, write = _MODEL_FIGURES[name]
    value = read(model)
    return "-" if value is None else write(value)


def render_figure(options: _Options, evidence: Evidence) -> str:
    """Return the text of a marker ``figure``.

    Args:
        options: Either ``record``, ``figure`` and for most figures ``model``; or ``json`` and ``path``, keys and
            indices separated by dots. Both accept ``format``, such as ``{:.1f} s``, and ``scale``, a factor.
        evidence: The records.

    Raises:
        DatasetError: If an option is unknown, or a record, model or figure is missing.
    """
    if unknown := sorted({*options} - {*_FIGURE_OPTIONS}):
        raise DatasetError(f"a figure has no option {unknown[0]!r}; use {', '.join(_FIGURE_OPTIONS)}")
    value, write = _read_json_value(options, evidence) if "json" in options else _read_run_figure(options, evidence)
    if value is None:
        raise DatasetError(f"the record has no {options.get('figure') or options.get('path')}; name another figure")
    if "scale" in options:
        try:
            value *= float(options["scale"])
        except ValueError as error:
            raise DatasetError(f"scale={options['scale']!r} is not a number") from error
    if "format" not in options:
        return write(value)
    match = _FORMAT.fullmatch(options["format"])
    try:
        if match is None:
            raise ValueError("the pattern needs exactly one {}")
        return f"{match[1]}{format(value, match[2] or '')}{match[3]}"
    except (ValueError, TypeError) as error:
        message = f"cannot apply format={options['format']!r} ({error}); use, for example, format='{{:.1f}} s'"
        raise DatasetError(message) from error


def _read_run_figure(options: _Options, evidence: Evidence) -> tuple[Any, Callable[[Any], str]]:
    name = options.get("figure", "")
    if "record" not in options or name not in {**_MODEL_FIGURES, **_RUN_FIGURES}:
        names = ", ".join([*_MODEL_FIGURES, *_RUN_FIGURES])
        raise DatasetError(f"a figure needs record=FILE and figure=NAME; the names are {names}")
    result = evidence.run(options["record"])
    if name in _RUN_FIGURES:
        read_run, write = _RUN_FIGURES[name]
        return read_run(result), write
    wanted = options.get("model")
    matches = [model for model in result.models if wanted in (None, model.model)]
    if len(matches) != 1:
        names = ", ".join(model.model for model in result.models)
        raise DatasetError(f"{options['record']} needs model=NAME for this figure, one of {names}")
    read_model, write = _MODEL_FIGURES[name]
    return read_model(matches[0]), write


def _read_json_value(options: _Options, evidence: Evidence) -> tuple[Any, Callable[[Any], str]]:
    value = evidence.read_json(options["json"])
    for key in filter(None, options.get("path", "").split(".")):
        try:
            value = value[int(key)] if isinstance(value, list) else value[key]
        except (KeyError, IndexError, TypeError, ValueError) as error:
            raise DatasetError(f"{options['json']} has nothing at {options['path']!r} (no {key!r})") from error
    if isinstance(value, dict | list):
        raise DatasetError(f"{options['json']} has no single value at {options.get('path', '')!r}; extend path=")
    return value, str


def find_figure(text: str, evidence: Evidence) -> str:
    """Return the options of a marker whose figure is *text*; empty if no record has that figure."""
    wanted = text.replace(" ", "").lower()
    for record, result in evidence.runs.items():
        for model in result.models:
            for name in _MODEL_FIGURES:
                if format_figure(model, name).replace(" ", "").lower() == wanted:
                    return f"record={record} model={model.model} figure={name}"
    return ""


@attrs.frozen(kw_only=True)
class RenderContext:
    """The inputs of a block besides its options: the document, to which links are relative, and the records."""

    document: Path
    evidence: Evidence
    support: SupportMatrix

    def link(self, record: str) -> str:
        """Return a link to a record."""
        folder = os.path.relpath(self.evidence.folder.resolve(), self.document.resolve().parent)
        return f"[{record}]({Path(folder).as_posix()}/{record})"


def _table(headings: Sequence[str], rows: Iterable[Sequence[str]], *, right: Sequence[str] = ()) -> str:
    """Return a Markdown table; the columns named in *right* are aligned to the right."""
    rule = ["---:" if heading in right else "---" for heading in headings]
    cells = ([re.sub(r"\s+", " ", text).replace("|", "\\|").strip() for text in row] for row in rows)
    return "\n".join(f"| {' | '.join(line)} |" for line in (headings, rule, *cells))


def _code(text: str) -> str:
    """Return *text* as inline code, in which Markdown has no effect."""
    return f"`{re.sub(r'\s+', ' ', text).replace('`', "'").strip()}`" if text.strip() else ""


def _escape(text: str) -> str:
    """Return *text* with the characters escaped that Markdown interprets."""
    return re.sub(r"([\\`*<>\[\]])", r"\\\1", text)


def _names(options: _Options, key: str) -> list[str]:
    """Return the comma-separated names in an option."""
    return [name.strip() for name in options.get(key, "").split(",") if name.strip()]


def render_block(name: str, options: _Options, context: RenderContext) -> str:
    """Return the text of a block, with the empty lines around it.

    Raises:
        DatasetError: If the block, an option, a record, a model or an utterance is unknown.
    """
    if name not in BLOCKS:
        raise DatasetError(f"no block {name!r}; the blocks are {', '.join(BLOCKS)}")
    render, known = BLOCKS[name]
    if unknown := sorted({*options} - known):
        raise DatasetError(f"the block {name!r} has no option {unknown[0]!r}; use {', '.join(sorted(known))}")
    if name in _BLOCKS_OF_ONE_RECORD and "record" not in options:
        raise DatasetError(f"the block {name!r} needs record=FILE")
    return f"\n\n{render(options, context)}\n\n"


def _render_status(options: _Options, context: RenderContext) -> str:
    """Return a table with each recorded or default model on each device, followed by a list of the other models."""
    support = context.support
    wanted = _names(options, "engines")
    engines = [spec for spec in support.engines if not wanted or spec.name in wanted]
    if unknown := sorted(set(wanted) - {spec.name for spec in engines}):
        names = ", ".join(spec.name for spec in support.engines)
        raise DatasetError(f"no engine {unknown[0]!r}; the engines are {names}")
    rows, others = [], []
    for spec in engines:
        models, default = support.engine_models(spec.name), support.default_model(spec)
        items = [item for model in models for device in DEVICES for item in support.cells[model, device].items]
        recorded = {item.model for item in items} | {default}
        listed = [model for model in models if model in recorded]
        rows += [
            (model, device, _format_statuses(cell), _describe_cell(cell, context))
            for model in listed
            for device in DEVICES
            for cell in [support.cells[model, device]]
        ]
        if rest := [model for model in models if model not in listed]:
            others.append(f"- {spec.name}: {', '.join(f'`{model.partition("/")[2]}`' for model in rest)}:")
            for device in DEVICES:
                cell = attrs.evolve(support.cells[rest[0], device], substitutes=())
                others.append(f"  - {device}: {_format_statuses(cell)}: {_describe_cell(cell, context)}")
    table = _table(("model", "device", "status", "what the records say"), rows)
    return "\n".join([table, "", "All other models:", "", *others]) if others else table


def _format_statuses(cell: SupportCell) -> str:
    statuses = " + ".join(f"`{status}`" for status in cell.statuses)
    return statuses + (_format_stale(cell.items[0]) if cell.items else "")


def _format_stale(item: EvidenceItem) -> str:
    return f", stale ({'; '.join(item.stale)})" if item.stale else ""


def _describe_cell(cell: SupportCell, context: RenderContext) -> str:
    parts = [_describe_item(item, context, is_first=not index) for index, item in enumerate(cell.items)]
    parts = parts or ["no record"]
    if not any(item.is_evidence and item.is_real for item in cell.items):
        parts += [f"substitute {item.model}: {_describe_item(item, context)}" for item in cell.substitutes]
    return "<br>".join(parts)


def _describe_item(item: EvidenceItem, context: RenderContext, *, is_first: bool = False) -> str:
    reason = _code(item.reason) if "blocked" in item.statuses else _escape(item.reason)
    own = [name for spec in context.support.engines if spec.name == item.engine for name in spec.reported_distributions]
    packages = [f"{package.name} {package.version}" for package in item.packages if package.name in own]
    machine = f"{item.machine.system.split()[0]} {item.machine.architecture}"
    facts = [f"{context.link(item.record)} of {item.date[:10]}", machine, *packages]
    description = f"{reason} ({', '.join(facts)})"
    return description if is_first else f"{' + '.join(item.statuses)}{_format_stale(item)}: {description}"


def _render_bounds(_options: _Options, context: RenderContext) -> str:
    """Return a table of the WER that each model must stay under to be ``working``."""

    def bound(model: ModelSpec) -> float:
        return -1.0 if model.wer_bound is None else model.wer_bound

    rows = [
        (
            spec.name,
            "none stated" if value < 0 else f"{100 * value:g} %",
            ", ".join(f"`{each.name}`" for each in models),
        )
        for spec in context.support.engines
        for value, models in groupby(sorted(spec.models, key=bound), key=bound)
    ]
    return _table(("engine", "WER must be under", "models"), rows)


def _select_runs(options: _Options, context: RenderContext) -> Iterator[tuple[str, BenchResult, ModelResult]]:
    """Yield the record, run and model of everything that the options select."""
    records, models = _names(options, "record"), _names(options, "models")
    for name in records:
        context.evidence.run(name)
    selected = [
        (record, result, model)
        for record, result in context.evidence.runs.items()
        for model in result.models
        if (not records or record in records)
        and (not models or model.model in models)
        and options.get("device") in (None, model.info.device.resolved.partition(":")[0] if model.info else "")
    ]
    if not selected and options:
        raise DatasetError(f"no run in {context.evidence.folder} matches this block's options")
    yield from selected


def _format_machine(machine: Machine) -> str:
    return f"{machine.processor or machine.architecture}, {machine.cores} cores, {machine.system.split()[0]}"


def _format_columns(result: BenchResult, model: ModelResult) -> dict[str, str]:
    """Return the cell of *model* in each column that a table of models may have."""
    manifest, info, speeds = result.manifest, model.info, model.rtfx_by_repeat
    figures = {name: format_figure(model, name) for name in _MODEL_FIGURES}
    random = " (random weights)" if info and info.model.weights_random else ""
    threads = f", {info.threads} threads" if info and info.threads else ""
    device = f"{info.device} ({info.compute_type}{threads})" if info else "not loaded"
    spread = f" ({format_rtfx(min(speeds))} to {format_rtfx(max(speeds))}, {len(speeds)} times)"
    errors = f"{figures['errors']}/{figures['words']}"
    return {
        "model": model.model + random,
        "device": device,
        "device requested → used": f"{info.device.requested} → {device}" if info else device,
        "WER, failures as deletions": figures["wer"],
        "WER of the finished": figures["finished_wer"],
        "errors/words": errors,
        "WER (errors/words)": f"{figures['wer']} ({errors})",
        "RTFx": figures["rtfx"] + (spread if len(speeds) > 1 else ""),
        "p50": figures["p50"],
        "p95": figures["p95"],
        "load": figures["load"],
        "peak memory": figures["peak_mib"],
        "failed": figures["failed"],
        "data set": f"{result.dataset}, {manifest.dataset.utterances} utterances",
        "normalizer": describe_normalizers(manifest.normalizer, manifest.normalizers),
        "machine": _format_machine(manifest.machine),
    }


def _render_models(options: _Options, context: RenderContext, *, columns: Sequence[str]) -> str:
    """Return a table of the models that the options select, with the given columns and a link to the record."""
    rows = []
    for record, result, model in _select_runs(options, context):
        cells = _format_columns(result, model)
        rows.append([*(cells[column] for column in columns), context.link(record)])
    return _table((*columns, "record"), rows, right=_NUMERIC_COLUMNS)


def _render_run(options: _Options, context: RenderContext) -> str:
    result = context.evidence.run(options["record"])
    manifest = result.manifest
    title = (
        f"`{result.dataset}`, {format_count(manifest.dataset.utterances, 'utterance')}, "
        f"{format_count(len(result.models), 'model')}, "
        f"{result.seconds:.1f} s in all, on {_format_machine(manifest.machine)}; {manifest.created[:10]}, "
        f"{context.link(options['record'])}"
    )
    rows = []
    for model in result.models:
        cells = _format_columns(result, model)
        rows.append([cells[column] for column in _RUN_COLUMNS])
        if model.info is None:
            failure = f"{model.failure.kind}: {model.failure.message}" if model.failure else "not loaded"
            rows[-1] = [model.model, _code(failure), *["-"] * len(_RUN_COLUMNS[2:])]
    table = _table(_RUN_COLUMNS, rows, right=_NUMERIC_COLUMNS)
    texts = [row for name in _names(options, "texts") for row in _text_rows(result, name)]
    return "\n\n".join([title, table, *([_table(("utterance", "", "text"), texts)] if texts else [])])


def _text_rows(result: BenchResult, name: str) -> Iterator[tuple[str, str, str]]:
    rows = [(model, utterance) for model in result.models for utterance in model.utterances if utterance.id == name]
    if not rows:
        raise DatasetError(f"the run has no utterance {name!r}")
    yield name, "reference", _escape(rows[0][1].reference or "(none)")
    for model, utterance in rows:
        yield "", model.model, _escape(utterance.hypothesis) if utterance.transcript else "(failed)"


def _render_measured(options: _Options, context: RenderContext) -> str:
    name = options["record"]
    record = context.evidence.read_json(name)
    try:
        shown, machine, date = record["table"], record["machine"], record["date"]
        location = f"{machine['processor'] or machine['architecture']}, {machine['cores']} cores"
        headings, rows = list(shown["headings"]), [list(map(str, row)) for row in shown["rows"]]
        title = f"{shown['title']}; on {location}; {date[:10]}, {context.link(name)}"
        notes = "\n".join(f"- {_escape(note)}" for note in shown["notes"])
    except (KeyError, TypeError) as error:
        raise DatasetError(f"{name} is not a benchmark's record with a table (no {error}); regenerate it") from error
    return "\n\n".join(filter(None, [title, _table(headings, rows, right=headings[1:]), notes]))


BLOCKS: dict[str, tuple[Callable[[_Options, RenderContext], str], frozenset[str]]] = {
    "status": (_render_status, frozenset({"engines"})),
    "bounds": (_render_bounds, frozenset()),
    "wer": (partial(_render_models, columns=_WER_COLUMNS), frozenset({"record", "models", "device"})),
    "speed": (partial(_render_models, columns=_SPEED_COLUMNS), frozenset({"record", "models", "device"})),
    "run": (_render_run, frozenset({"record", "texts"})),
    "measured": (_render_measured, frozenset({"record"})),
}
"""The renderer of each block, and the options that it accepts."""
