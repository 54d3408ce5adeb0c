"""The output of the commands that show a run, and the exit code."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Sequence
from typing import Any

import click

from asrlab.cli.command import DONE, INTERRUPTED, SOME_FAILED, code_for
from asrlab.cli.details_view import LEGEND, details_view, marked, metrics_view, unknown_languages, worst_view
from asrlab.cli.output import echo_json, print_parts
from asrlab.cli.progress import resume_hint
from asrlab.evaluation.metrics import Profile, align, describe_normalizers, get_profile
from asrlab.evaluation.reports.comparison import compare_runs
from asrlab.evaluation.reports.details import build_details, describe_device
from asrlab.evaluation.reports.extra_metrics import run_metrics
from asrlab.evaluation.reports.formatting import (
    format_count,
    format_edits,
    format_error_rate,
    format_mib,
    format_percent,
    format_seconds,
)
from asrlab.evaluation.reports.sentences import (
    describe_busy_passes,
    describe_decoding_paths,
    describe_instability,
    normalizer_caveats,
)
from asrlab.evaluation.reports.systems import ComparisonOptions, loaded_systems
from asrlab.evaluation.runs.result import BenchResult, ModelResult, UtteranceResult
from asrlab.terminal.screen import Text, open_screen
from asrlab.terminal.table import Table

MAX_LINES_SHOWN = 10
"""Failures, findings and worst utterances shown without ``--verbose``."""
OF_FINISHED = "of finished"
COLUMNS = (
    *("model", "device requested → used", "WER (errors/words)", OF_FINISHED, "S D I", "CER", "RTFx", "p50", "p95"),
    *("load", "peak MiB", "failed", "gates"),
)
OPTIONAL = ("failed", "gates", OF_FINISHED, "S D I", "CER", "p95", "peak MiB", "p50", "load")
"""Columns that a narrow terminal does not show, the most important first."""
MEANING = (
    "WER: a failed utterance counts as deletions; of finished: without those. RTFx: seconds of audio per second of "
    "audio decoding and inference. p50, p95: nearest rank of that time per utterance, its share where several were "
    "decoded together. load and peak memory: of the model's own process. gates: findings about single utterances, "
    "listed below."
)


def finish_run(result: BenchResult, *, stopped: bool, as_json: bool, **shown: Any) -> int:
    """Print a run that has ended, complete or not, and return the exit code.

    Args:
        result: The run.
        stopped: True after Ctrl-C.
        as_json: Print the run as JSON.
        shown: Arguments of `show_run`.
    """
    if as_json:
        echo_json(result.to_json())
    elif result.complete:
        show_run(result, **shown)
    load_failures = [(model.model, model.failure) for model in result.models if model.failure is not None]
    if not result.complete:
        for model, failure in load_failures:
            click.echo(f"asrlab: {model} did not load: {failure.kind}: {failure.message}", err=True)
        done = sum(len(model.utterances) for model in result.models)
        why = "interrupted" if stopped else "ended early"
        click.echo(f"asrlab: {why} with {done} outcomes; {resume_hint(result.run)}", err=True)
    if stopped:
        return INTERRUPTED
    if load_failures and len(load_failures) == len(result.models):
        return code_for(load_failures[0][1].kind)
    return SOME_FAILED if load_failures or result.failed or not result.complete else DONE


def show_run(result: BenchResult, *, verbose: bool, only_table: bool, normalizers: Sequence[str]) -> None:
    """Print a run: the verdict, its table, failures, findings and the worst texts.

    Args:
        result: The run.
        verbose: Print all further metrics, details and texts too.
        only_table: Leave out the texts.
        normalizers: Normalizers to score the texts with, side by side.
    """
    screen, errors = open_screen(), open_screen(stderr=True)
    options = ComparisonOptions(worst_n=0 if only_table else MAX_LINES_SHOWN)
    details = build_details([result], options)
    has_references = any(system.words.reference_length for system in details.systems)
    if len(details.systems) > 1 and result.complete and has_references:
        for line in compare_runs([result], options).headline:
            screen.show(Text(line, style="bold"))
    screen.show(run_table(result))
    for output, lines in ((errors, [*failures(result)]), (screen, [*gate_findings(result)])):
        n_shown = len(lines) if verbose else MAX_LINES_SHOWN
        output.show(*lines[:n_shown])
        if len(lines) > n_shown:
            output.print(f"and {len(lines) - n_shown} more")
    if verbose or normalizers:
        print_parts(screen, metrics_view(run_metrics(result, normalizers=normalizers)))
    if verbose:
        print_parts(screen, details_view(details))
        screen.show(*(marked_texts(result) if not only_table else ()))
        return
    if details.worst:
        print_parts(screen, [worst_view(details.worst)])
    run = shlex.quote(str(result.run))
    print_parts(screen, [Text(f"all figures and texts: asrlab runs {run} --verbose\nas a page: asrlab report {run}")])


def run_table(result: BenchResult) -> Table:
    """Return a table with a row for each model, and the meaning of the columns below."""
    # without failures both rates are the same
    shown = [index for index, name in enumerate(COLUMNS) if name != OF_FINISHED or result.failed]
    rows = ([cells[index] for index in shown] for cells in map(_cells, result.models))
    repeat = result.manifest.request.repeat
    again = f", {repeat} times" if repeat > 1 else ""
    part = "" if result.complete else ", not complete"
    models = format_count(len(result.models), "model")
    title = f"{result.dataset}: {models}{again}, {result.seconds:.1f} s{part}"
    caption = "\n".join(_caption(result))
    columns = [COLUMNS[index] for index in shown]
    optional = tuple(name for name in OPTIONAL if name in columns)
    return Table(columns=columns, rows=rows, texts=2, optional=optional, title=title, caption=caption)


def _cells(model: ModelResult) -> list[str]:
    score, latency = model.score, model.latency
    if model.info is None:
        return [model.model, "not loaded", *["-"] * (len(COLUMNS) - 2)]
    words = score.words if score else None
    return [
        f"{model.model} (random weights)" if model.info.model.weights_random else model.model,
        describe_device(model.info),
        format_error_rate(words.errors, words.reference_length) if words else "-",
        format_percent(finished.wer) if (finished := model.finished_score) else "-",
        format_edits(words) if words else "-",
        format_percent(score.cer if score else None),
        _speed(model),
        *map(format_seconds, (latency.p50, latency.p95, model.load_time)),
        format_mib(model.peak_resident_bytes),
        str(model.failed),
        str(model.failed_gates),
    ]


def _speed(model: ModelResult) -> str:
    """Return the RTFx of one pass, or the median and range of several."""
    speeds = model.rtfx_by_repeat
    if model.rtfx is None:
        return "-"
    spread = f" ({min(speeds):.2f}-{max(speeds):.2f})" if len(speeds) > 1 else ""
    return f"{model.rtfx:.2f}x{spread}"


def _caption(result: BenchResult) -> Iterator[str]:
    yield f"run: {result.run}"
    yield MEANING
    for model in result.models:
        if score := model.score:
            apart = f"; {score.empty_references} empty references apart" if score.empty_references else ""
            normalizer = describe_normalizers(score.normalizer, score.normalizers)
            yield f"{model.model}: normalizer {normalizer} ({score.normalizer_version}){apart}"
        if paths := describe_decoding_paths(model):
            yield f"{model.model}: {paths}"
    if busy := describe_busy_passes(result):
        yield f"{busy}: the times may be too long"
    first = result.models[0].utterances if result.models else ()
    scored = [utterance for utterance in first if utterance.reference is not None]
    unknown = sum(utterance.pair.language is None for utterance in scored)
    if unknown and result.manifest.request.normalizer is None:
        command = f"asrlab runs {shlex.quote(str(result.run))} --normalizers english"
        yield unknown_languages(unknown, len(scored), cure=f"if they are English, see: {command}")
    yield from normalizer_caveats([result])
    yield from (system.unsupported.sentence(system.name) for system in loaded_systems([result]) if system.unsupported)


def failures(result: BenchResult) -> Iterator[Text]:
    """Yield a line for each model or utterance that failed."""
    for model in result.models:
        if model.failure:
            yield Text(f"{model.model}: {model.failure.kind}: {model.failure.message}")
        for utterance in model.utterances:
            if utterance.failure:
                yield Text(f"{model.model}: {utterance.id}: {utterance.failure.kind}: {utterance.failure.message}")


def gate_findings(result: BenchResult) -> Iterator[Text]:
    """Yield a line for each failed gate, and for each model whose repeats gave different texts."""
    for model in result.models:
        for utterance in model.utterances:
            for verdict in utterance.failed_gates:
                yield Text(f"{model.model}: {utterance.id}: {verdict.gate}: {verdict.detail}")
        if model.unstable:
            yield Text(f"{model.model}: {describe_instability(model)}: {', '.join(model.unstable)}")


def marked_texts(result: BenchResult) -> Iterator[Text]:
    """Yield each utterance's reference, and each model's hypothesis with the differences marked."""
    scored = [model for model in result.models if model.utterances]
    if not scored:
        return
    profile = get_profile(result.manifest.normalizer)
    width = max(len(model.model) for model in scored)
    yield Text(f"\n{LEGEND}")
    rows = {utterance.id: utterance for model in scored for utterance in model.utterances}
    texts = {model.model: {utterance.id: utterance for utterance in model.utterances} for model in scored}
    for name, first in rows.items():
        yield Text(f"\n{name}", style="bold")
        yield Text(f"  {'reference'.ljust(width)}  {first.reference if first.reference is not None else '(none)'}")
        for model in scored:
            if name in texts[model.model]:
                yield Text.assemble(f"  {model.model.ljust(width)}  ", _marked(texts[model.model][name], profile))


def _marked(utterance: UtteranceResult, profile: Profile) -> Text:
    if utterance.transcript is None:
        return Text("(failed)", style="red")
    prepared = next(profile.prepare([utterance.pair]), None)
    if utterance.reference is None or prepared is None:
        return Text(utterance.hypothesis)
    aligned = align(prepared.reference, prepared.hypothesis, normalizer=profile.normalizer)
    if all(word.kind == "equal" for word in aligned):
        return Text(utterance.hypothesis)
    return marked(aligned)
