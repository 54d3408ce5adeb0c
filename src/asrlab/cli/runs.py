"""``asrlab runs``: list, show and export runs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from asrlab.cli import options
from asrlab.cli.command import Command

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

EPILOG = """\b
Examples:
  asrlab runs
  asrlab runs 2026-11-23T09-30-00-smoke --normalizers english,none
  asrlab runs runs/small --export evidence/small.jsonl
  asrlab runs runs/small --texts small.trn
  asrlab runs runs/small --texts base.csv -m faster-whisper/base
  asrlab runs runs/small --texts - -f trn | sort
"""
FORMATS = ("csv", "tsv", "trn", "ctm", "stm", "jsonl")


@click.command(cls=Command, epilog=EPILOG)
@click.argument("run", required=False)
@click.option("--export", type=options.FilePath(), help="Export RUN, complete, to this file; - is standard output.")
@click.option(
    "--texts",
    type=options.FilePath(),
    help="Write the hypotheses of a model of RUN to this file, in the format of its ending: csv, tsv, trn, ctm, stm, "
    "jsonl; - is standard output.",
)
@click.option("-f", "--format", type=click.Choice(FORMATS), help="Format of --texts; by its ending, csv for -.")
@click.option("-m", "--model", help="Model of --texts, if RUN has several.")
@options.normalizers_option
@options.run_view_options
@options.as_json
def runs(
    run: str | None,
    *,
    export: Path | None,
    texts: Path | None,
    normalizers: tuple[str, ...],
    as_json: bool,
    **given: Any,
) -> None:
    """List the runs, the latest first; or show or export RUN.

    RUN is a run's name, its folder, or an exported file. Runs are kept in the user's data folder, or in ASRLAB_RUNS. An
    exported run is one file with everything that asrlab verify and asrlab compare need. --texts is for other programs,
    and for asrlab score.
    """
    format_, model = given.pop("format"), given.pop("model")
    if run is None:
        if normalizers or any(value is not None for value in (export, texts, format_, model)):
            raise click.UsageError("name the RUN to show or export; asrlab runs lists them")
        _list_runs(as_json=as_json)
        return
    from asrlab.cli.output import check_document_path, echo_json, is_stdout, write_document
    from asrlab.cli.run_view import show_run
    from asrlab.evaluation.runs.export import hypothesis_format, render_export, render_hypotheses
    from asrlab.evaluation.runs.load import load_run_records
    from asrlab.evaluation.runs.storage import find_run

    records = load_run_records(find_run(run))
    path, note = export or texts, ""
    if path is None:
        result = records.result()
        if as_json:
            echo_json(result.to_json())
        else:
            show_run(result, normalizers=normalizers, **given)
        return
    check_document_path(path, as_json=as_json, option="export" if export else "texts")
    if export:
        document = render_export(records)
    else:
        format_ = format_ or ("csv" if is_stdout(path) else hypothesis_format(path))
        document, omitted = render_hypotheses(records.result(), format_, model=model)
        note = f"; {omitted} failed and are not in it" if omitted else ""
    write_document(path, document)
    click.echo(f"asrlab: wrote {'to standard output' if is_stdout(path) else path}{note}", err=True)


def _list_runs(*, as_json: bool) -> None:
    from asrlab.cli.output import echo_json
    from asrlab.evaluation.runs.index import list_runs
    from asrlab.evaluation.runs.storage import runs_root
    from asrlab.terminal.screen import Text, open_screen
    from asrlab.terminal.table import Table

    root = runs_root()
    known = list_runs(root)
    columns = ("run", "data set", "model", "device", "done", "failed", "gates", "WER", "RTFx")
    if as_json:
        echo_json({"folder": str(root), "runs": known})
    elif known:
        screen, readable = open_screen(), [run for run in known if "error" not in run]
        if readable:
            rows = [row for run in readable for row in _rows(run)]
            optional = ("done", "RTFx", "failed", "gates", "data set", "device")
            screen.show(Table(columns=columns, rows=rows, texts=4, optional=optional))
        screen.show(*(Text(f"{run['run']}: {run['error']}") for run in known if "error" in run))
    else:
        click.echo(f"asrlab: no runs in {root}; start one with: asrlab bench smoke -m faster-whisper/base", err=True)


def _rows(run: dict[str, Any]) -> Iterator[tuple[str, ...]]:
    """Yield a row for each model of a run."""
    for model in run["models"]:
        wer, rtfx = model["wer"], model["rtfx"]
        yield (
            run["run"],
            run["dataset"],
            model["model"],
            model["device"] or (f"not loaded ({model['failure']})" if model["failure"] else "-"),
            str(model["utterances"]) if run["complete"] else f"{run['done']}/{run['expected']}",
            str(model["failed"]),
            str(model["failed_gates"]),
            "-" if wer is None else f"{100 * wer:.2f} %",
            "-" if rtfx is None else f"{rtfx:.2f}x",
        )
