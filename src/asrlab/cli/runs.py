"""``asrlab runs``: list the runs, show one, or export one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from asrlab.cli import exit_codes
from asrlab.cli.command import Command
from asrlab.cli.options import FilePath, as_json, normalizers_option, only_table_option

if TYPE_CHECKING:
    from pathlib import Path

    from rich.table import Table

    from asrlab.cli.output import OutputTarget
    from asrlab.evaluation.runs.load import RunRecords
    from asrlab.evaluation.runs.result import BenchResult

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
@click.option("--export", type=FilePath(), help="Export RUN, complete, to this file; - is standard output.")
@click.option(
    "--texts",
    type=FilePath(),
    help="Write the hypotheses of a model of RUN to this file, in the format of its ending: csv, tsv, trn, ctm, stm, "
    "jsonl; - is standard output.",
)
@click.option("-f", "--format", type=click.Choice(FORMATS), help="Format of --texts; by its ending, csv for -.")
@click.option("-m", "--model", help="Model of --texts, if RUN has several.")
@normalizers_option
@only_table_option
@as_json
def runs(
    run: str | None,
    *,
    export: Path | None,
    texts: Path | None,
    format: str | None,  # noqa: A002 - click passes options by their names
    model: str | None,
    normalizers: tuple[str, ...],
    only_table: bool,
    as_json: bool,
) -> int:
    """List the runs, the latest first; or show or export RUN.

    RUN is a run's name, its folder, or an exported file. Runs are kept in the user's data folder, or in ASRLAB_RUNS. An
    exported run is one file with everything that asrlab verify and asrlab compare need. --texts is for other programs,
    and for asrlab score.
    """
    if run is None:
        if normalizers or any(value is not None for value in (export, texts, format, model)):
            raise click.UsageError("name the RUN to show or export; asrlab runs lists them")
        return _list_runs(as_json=as_json)
    from asrlab.cli.output import OutputTarget, echo_document
    from asrlab.cli.views.run import show_run
    from asrlab.evaluation.runs.load import load_run_records
    from asrlab.evaluation.runs.storage import find_run

    records = load_run_records(find_run(run))
    if export is not None:
        return _export(records, OutputTarget.from_option(export, as_json=as_json, option="export"))
    result = records.result()
    if texts is not None:
        return _write_texts(result, OutputTarget.from_option(texts, as_json=as_json, option="texts"), format, model)
    if as_json:
        echo_document(result.to_json())
    else:
        show_run(result, texts=not only_table, normalizers=normalizers)
    return exit_codes.DONE


def _export(records: RunRecords, target: OutputTarget) -> int:
    from asrlab.evaluation.runs.export import render_export

    target.write(render_export(records))
    click.echo(f"asrlab: wrote {target}", err=True)
    return exit_codes.DONE


def _write_texts(result: BenchResult, target: OutputTarget, format_: str | None, model: str | None) -> int:
    from asrlab.evaluation.runs.export import hypothesis_format, render_hypotheses

    format_ = format_ or ("csv" if target.is_stdout else hypothesis_format(target.path))
    document, omitted = render_hypotheses(result, format_, model=model)
    target.write(document)
    note = f"; {omitted} failed and are not in it" if omitted else ""
    click.echo(f"asrlab: wrote {target}{note}", err=True)
    return exit_codes.DONE


def _list_runs(*, as_json: bool) -> int:
    from asrlab.cli.output import console, echo_json
    from asrlab.evaluation.runs.index import list_runs
    from asrlab.evaluation.runs.storage import runs_root

    root = runs_root()
    known = list_runs(root)
    if as_json:
        echo_json({"folder": str(root), "runs": known})
    elif known:
        console().print(_table(known))
    else:
        click.echo(f"asrlab: no runs in {root}; start one with: asrlab bench smoke -m faster-whisper/base", err=True)
    return exit_codes.DONE


def _table(known: list[dict[str, Any]]) -> Table:
    from rich.table import Table

    from asrlab.terminal.screen import Text

    table = Table()
    for name in ("run", "data set", "model", "device", "done", "failed", "gates", "WER", "RTFx"):
        table.add_column(name, justify="left" if name in ("run", "data set", "model", "device") else "right")
    for run in known:
        if "error" in run:
            table.add_row(Text(run["run"]), Text(run["error"]))
            continue
        first_cells = [run["run"], run["dataset"]]
        for model in run["models"]:
            table.add_row(*map(Text, (*first_cells, *_cells(run, model))))
            first_cells = ["", ""]
    return table


def _cells(run: dict[str, Any], model: dict[str, Any]) -> list[str]:
    done = f"{run['done']}/{run['expected']}" if not run["complete"] else str(model["utterances"])
    wer, rtfx = model["wer"], model["rtfx"]
    return [
        model["model"],
        model["device"] or (f"not loaded ({model['failure']})" if model["failure"] else "-"),
        done,
        str(model["failed"]),
        str(model["failed_gates"]),
        "-" if wer is None else f"{100 * wer:.2f} %",
        "-" if rtfx is None else f"{rtfx:.2f}x",
    ]
