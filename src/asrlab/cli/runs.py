"""``asrlab runs``: the runs there are, one of them again, or as a file to keep."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from asrlab.cli import exit_codes
from asrlab.cli.options import as_json, console, echo_document, echo_json
from asrlab.cli.output import Target
from asrlab.cli.views.run import normalizers_option, show, table_options

if TYPE_CHECKING:
    from rich.table import Table

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


@click.command(epilog=EPILOG)
@click.argument("run", required=False)
@click.option(
    "--export",
    type=click.Path(path_type=Path),
    help="Write RUN to this file, small and whole; - is standard output.",
)
@click.option(
    "--texts",
    type=click.Path(path_type=Path),
    help="Write what a model of RUN wrote to this file, in the form of its ending: csv, tsv, trn, ctm, stm, jsonl; "
    "- is standard output.",
)
@click.option("-f", "--format", "form", type=click.Choice(FORMATS), help="Of --texts; by its ending, csv for -.")
@click.option("-m", "--model", help="Whose texts, where RUN has several models.")
@normalizers_option
@table_options
@as_json
def runs(
    run: str | None,
    export: Path | None,
    texts: Path | None,
    form: str | None,
    model: str | None,
    normalizers: str | None,
    only_table: bool,
    as_json: bool,
) -> int:
    """List the runs, the latest first; or show RUN, by its name, its folder, or a file it was exported to.

    Runs lie in the user's data folder, or where ASRLAB_RUNS says. An exported run is one file with all that is needed
    to believe it and to repeat it: asrlab verify and asrlab compare read it. Its texts alone are for other programs,
    and for asrlab score.
    """
    if run is None:
        if any(each is not None for each in (export, texts, form, model, normalizers)):
            raise click.UsageError("name the RUN to show or export; asrlab runs lists them")
        return _list(as_json=as_json)
    from asrlab.evaluation.runs.load import load_run_records
    from asrlab.evaluation.runs.storage import find_run

    records = load_run_records(find_run(run))
    if export is not None:
        return _export(records, Target.of(export, as_json=as_json, option="export"))
    result = records.result()
    if texts is not None:
        return _write_texts(result, Target.of(texts, as_json=as_json, option="texts"), form, model)
    if as_json:
        echo_document(result.to_json())
    else:
        show(result, texts=not only_table, normalizers=normalizers)
    return exit_codes.DONE


def _export(records: RunRecords, target: Target) -> int:
    from asrlab.evaluation.runs.export import render_export

    target.write(render_export(records))
    click.echo(f"asrlab: wrote {target}", err=True)
    return exit_codes.DONE


def _write_texts(result: BenchResult, target: Target, form: str | None, model: str | None) -> int:
    from asrlab.evaluation.runs.export import hypothesis_format, render_hypotheses

    form = form or ("csv" if target.is_stdout else hypothesis_format(target.path))
    document, left_out = render_hypotheses(result, form, model=model)
    target.write(document)
    told = f"; {left_out} failed and are not in it" if left_out else ""
    click.echo(f"asrlab: wrote {target}{told}", err=True)
    return exit_codes.DONE


def _list(*, as_json: bool) -> int:
    from asrlab.evaluation.runs.index import list_runs
    from asrlab.evaluation.runs.storage import runs_root

    root = runs_root()
    found = list_runs(root)
    if as_json:
        echo_json({"folder": str(root), "runs": found})
    elif found:
        console().print(_table(found))
    else:
        click.echo(f"asrlab: no runs in {root}; make one with: asrlab bench smoke -m faster-whisper/base", err=True)
    return exit_codes.DONE


def _table(found: list[dict[str, Any]]) -> Table:
    from rich.table import Table

    from asrlab.terminal.screen import Text

    view = Table()
    for name in ("run", "data set", "model", "device", "done", "failed", "gates", "WER", "RTFx"):
        view.add_column(name, justify="left" if name in ("run", "data set", "model", "device") else "right")
    for run in found:
        if "error" in run:
            view.add_row(Text(run["run"]), Text(run["error"]))
            continue
        told = [run["run"], run["dataset"]]
        for model in run["models"]:
            view.add_row(*map(Text, (*told, *_cells(run, model))))
            told = ["", ""]
    return view


def _cells(run: dict[str, Any], model: dict[str, Any]) -> list[str]:
    done = f"{run['done']}/{run['expected']}" if not run["complete"] else str(model["utterances"])
    wer, rtfx = model["wer"], model["rtfx"]
    return [
        model["model"],
        model["device"] or f"not loaded ({model['failure']})" if model["failure"] else model["device"] or "-",
        done,
        str(model["failed"]),
        str(model["failed_gates"]),
        "-" if wer is None else f"{100 * wer:.2f} %",
        "-" if rtfx is None else f"{rtfx:.2f}x",
    ]
