"""The tables that documents hold between ``asrlab:begin`` and ``asrlab:end``, made from records."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from asrlab.environment import Machine
from asrlab.errors import DatasetError
from asrlab.evaluation.claims.evidence import RunFile
from asrlab.evaluation.claims.figures import format_figure, speed
from asrlab.evaluation.claims.markdown import RenderContext, code_span, escape_markdown, split_names, table
from asrlab.evaluation.claims.status_table import bounds_table, status_table
from asrlab.evaluation.metrics import describe_normalizers
from asrlab.evaluation.runs.result import BenchResult, ModelResult, UtteranceResult


def render_block(name: str, options: dict[str, str], page: RenderContext) -> str:
    """What stands between the markers of a block, with the empty lines around it.

    Raises:
        DatasetError: There is no such block, option, record, model or utterance.
    """
    if name not in BLOCKS:
        raise DatasetError(f"there is no block {name!r}; there are {', '.join(BLOCKS)}")
    write, known = BLOCKS[name]
    if unknown := sorted({*options} - known):
        raise DatasetError(f"the block {name!r} has no option {unknown[0]!r}; it has {', '.join(sorted(known))}")
    return f"\n\n{write(options, page)}\n\n"


def _runs(options: dict[str, str], page: RenderContext) -> Iterator[tuple[RunFile, ModelResult]]:
    """What the options choose of all runs.

    Raises:
        DatasetError: They choose nothing.
    """
    records, models = split_names(options.get("record", "")), split_names(options.get("models", ""))
    for name in records:
        page.evidence.run(name)
    chosen = [
        (run, model)
        for run in page.evidence.runs
        for model in run.result.models
        if (not records or run.name in records)
        and (not models or model.model in models)
        and options.get("device") in (None, _device_kind(model))
    ]
    if not chosen and options:
        raise DatasetError(f"no run in {page.evidence.folder} has what this block asks for")
    yield from chosen


def _device_kind(model: ModelResult) -> str:
    return model.info.device.resolved.partition(":")[0] if model.info else ""


def _device(model: ModelResult) -> str:
    if model.info is None:
        return "not loaded"
    threads = f", {model.info.threads} threads" if model.info.threads else ""
    return f"{model.info.device} ({model.info.compute_type}{threads})"


def _model_name(model: ModelResult) -> str:
    random = model.info is not None and model.info.model.weights_random
    return f"{model.model} (random weights)" if random else model.model


def _errors(model: ModelResult) -> str:
    return f"{format_figure(model, 'errors')}/{format_figure(model, 'words')}"


def _wer(options: dict[str, str], page: RenderContext) -> str:
    headings = (
        "model",
        "device",
        "WER, failures as deletions",
        "WER of the finished",
        "errors/words",
        "data set",
        "normalizer",
        "record",
    )
    rows = [
        (
            _model_name(model),
            _device(model),
            format_figure(model, "wer"),
            format_figure(model, "finished_wer"),
            _errors(model),
            f"{run.result.dataset}, {run.result.manifest.dataset.utterances} utterances",
            describe_normalizers(run.result.manifest.normalizer, run.result.manifest.normalizers),
            page.link(run.name),
        )
        for run, model in _runs(options, page)
    ]
    return table(headings, rows, right=headings[2:5])


def _speed(options: dict[str, str], page: RenderContext) -> str:
    headings = ("model", "device", "RTFx", "p50", "p95", "load", "peak memory", "machine", "record")
    rows = [
        (
            _model_name(model),
            _device(model),
            _range(model),
            format_figure(model, "p50"),
            format_figure(model, "p95"),
            format_figure(model, "load"),
            format_figure(model, "peak_mib"),
            _whole_machine(run.result.manifest.machine),
            page.link(run.name),
        )
        for run, model in _runs(options, page)
    ]
    return table(headings, rows, right=headings[2:7])


def _range(model: ModelResult) -> str:
    speeds = model.rtfx_of_repeats
    if len(speeds) < 2:
        return format_figure(model, "rtfx")
    return f"{format_figure(model, 'rtfx')} ({speed(min(speeds))} to {speed(max(speeds))}, {len(speeds)} times)"


def _whole_machine(machine: Machine) -> str:
    return f"{machine.processor or machine.architecture}, {machine.cores} cores, {machine.system.split()[0]}"


def _run(options: dict[str, str], page: RenderContext) -> str:
    if "record" not in options:
        raise DatasetError("the block 'run' needs record=FILE")
    result = page.evidence.run(options["record"])
    headings = (
        "model",
        "device asked → used",
        "WER (errors/words)",
        "RTFx",
        "p50",
        "p95",
        "load",
        "peak memory",
        "failed",
    )
    manifest = result.manifest
    title = (
        f"`{result.dataset}`, {manifest.dataset.utterances} utterances, {len(result.models)} models, "
        f"{result.seconds:.1f} s in all, on {_whole_machine(manifest.machine)}; {manifest.created[:10]}, "
        f"{page.link(options['record'])}"
    )
    parts = [title, table(headings, map(_run_row, result.models), right=headings[2:])]
    texts = split_names(options.get("texts", ""))
    return "\n\n".join([*parts, *([_texts(result, texts)] if texts else [])])


def _run_row(model: ModelResult) -> tuple[str, ...]:
    if model.info is None:
        failure = model.failure
        return (model.model, code_span(f"{failure.kind}: {failure.message}" if failure else "not loaded"), *["-"] * 7)
    figures = (_range(model), *(format_figure(model, name) for name in ("p50", "p95", "load", "peak_mib", "failed")))
    asked = f"{model.info.device.requested} → {_device(model)}"
    return (_model_name(model), asked, f"{format_figure(model, 'wer')} ({_errors(model)})", *figures)


def _texts(result: BenchResult, ids: Iterable[str]) -> str:
    rows = [row for name in ids for row in _text_rows(result, name)]
    return table(("utterance", "", "text"), rows)


def _text_rows(result: BenchResult, name: str) -> Iterator[tuple[str, str, str]]:
    said = [(model, utterance) for model in result.models for utterance in model.utterances if utterance.id == name]
    if not said:
        raise DatasetError(f"the run has no utterance {name!r}")
    yield name, "reference", escape_markdown(said[0][1].reference or "(none)")
    for model, utterance in said:
        yield "", model.model, _hypothesis(utterance)


def _hypothesis(utterance: UtteranceResult) -> str:
    return escape_markdown(utterance.hypothesis) if utterance.transcript else "(failed)"


def _measured(options: dict[str, str], page: RenderContext) -> str:
    if "record" not in options:
        raise DatasetError("the block 'measured' needs record=FILE")
    name = options["record"]
    record = page.evidence.plain(name)
    try:
        shown, machine, date = record["table"], record["machine"], record["date"]
        where = f"{machine['processor'] or machine['architecture']}, {machine['cores']} cores"
        headings, rows = list(shown["headings"]), [list(map(str, row)) for row in shown["rows"]]
        title = f"{shown['title']}; on {where}; {date[:10]}, {page.link(name)}"
        notes = [escape_markdown(note) for note in shown["notes"]]
    except (KeyError, TypeError) as error:
        raise DatasetError(f"{name} is no record of a benchmark with a table (no {error}); make it anew") from error
    listed_notes = ["\n".join(f"- {note}" for note in notes)] if notes else []
    return "\n\n".join([title, table(headings, rows, right=headings[1:]), *listed_notes])


type _Write = Callable[[dict[str, str], RenderContext], str]
BLOCKS: dict[str, tuple[_Write, frozenset[str]]] = {
    "status": (status_table, frozenset({"engines"})),
    "bounds": (bounds_table, frozenset()),
    "wer": (_wer, frozenset({"record", "models", "device"})),
    "speed": (_speed, frozenset({"record", "models", "device"})),
    "run": (_run, frozenset({"record", "texts"})),
    "measured": (_measured, frozenset({"record"})),
}
"""Each block's writer, and the options that it takes."""
