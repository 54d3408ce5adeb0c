"""The command ``python -m asrlab.evaluation.matrix``."""

from __future__ import annotations

import shutil
import sys
from functools import partial
from pathlib import Path
from typing import Any

import click

from asrlab.environment import this_machine, utc_timestamp
from asrlab.errors import AsrlabError, DatasetError
from asrlab.evaluation.matrix.records import COLUMNS, CellResult, MatrixRecord
from asrlab.evaluation.matrix.supervise import plan_cells, run_cells
from asrlab.evaluation.matrix.view import format_matrix
from asrlab.plugins.manager import PluginHost
from asrlab.plugins.registry import Registry
from asrlab.terminal import run_guarded

_USAGE_ERROR, _FILE_ERROR = 2, 4
_DEVICE = click.Choice(list(COLUMNS))
_MIN_WIDTH, _DEFAULT_WIDTH = 100, 160


@click.command(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.option("-d", "--device", "devices", multiple=True, type=_DEVICE, help="A device; repeatable. Default: all.")
@click.option(
    "-e", "--engine", "models", multiple=True, help="An engine or engine/model; repeatable. Default: all engines."
)
@click.option("--record", type=click.Path(dir_okay=False, path_type=Path), help="Write a record to this file.")
@click.option("--label", help="Name of the record in a merged table.")
@click.option("--json", "as_json", is_flag=True, help="Print the record instead of the table.")
@click.option("--merge", is_flag=True, help="Print one table of the records FILES; run nothing.")
@click.option("--limit", "limit_s", default=600.0, show_default=True, help="Maximum seconds for a cell.")
@click.option(
    "--jobs", default=1, show_default=True, type=click.IntRange(1), help="Number of cells that run at the same time."
)
@click.argument("files", nargs=-1, type=click.Path(dir_okay=False, path_type=Path))
def main(
    devices: tuple[str, ...],
    models: tuple[str, ...],
    files: tuple[Path, ...],
    record: Path | None,
    **options: Any,
) -> None:
    r"""Check every engine on every device of this machine, and print the results.

    \b
    python -m asrlab.evaluation.matrix --device mps --record mps.json
    python -m asrlab.evaluation.matrix --merge mps.json cuda.json

    Exit codes: 0 no check failed, 1 a check failed, 2 usage error, 3 no cell could run, 4 a record
    cannot be read or written.
    """
    merge, as_json = options.pop("merge"), options.pop("as_json")
    if merge != bool(files) or (merge and (devices or models or record or as_json)):
        raise click.UsageError("give FILES with --merge, and no other option with --merge")
    try:
        records = [MatrixRecord.read(path) for path in files] if merge else [_run(devices, models, **options)]
        width = max(_MIN_WIDTH, shutil.get_terminal_size((_DEFAULT_WIDTH, 24)).columns)
        click.echo(records[0].to_json() if as_json else format_matrix(records, width=width), nl=False)
        if record is not None:
            records[0].write(record)
    except AsrlabError as error:
        click.echo(f"asrlab: {error.message}", err=True)
        sys.exit(_FILE_ERROR if isinstance(error, DatasetError) else _USAGE_ERROR)
    codes = {record.exit_code for record in records}
    sys.exit(1 if 1 in codes else min(codes))


def _run(
    devices: tuple[str, ...], models: tuple[str, ...], *, label: str | None, limit_s: float, jobs: int
) -> MatrixRecord:
    date = utc_timestamp()
    cells = run_cells(plan_cells(models, devices), limit_s=limit_s, n_processes=jobs, on_result=_print_result)
    specs = Registry(PluginHost()).engines()
    packages = {package.name: package for spec in specs for package in spec.packages()}
    machine = this_machine()
    stack = [f"{name} {packages[name].version}" for name in ("torch", "liquid-audio") if name in packages]
    return MatrixRecord(
        label=label or ", ".join([machine.python, *stack]),
        date=date,
        machine=machine,
        packages=tuple(packages.values()),
        cells=cells,
    )


def _print_result(cell: CellResult) -> None:
    detail = "".join(f": {failure.name}: {failure.error}" for failure in cell.failures[:1])
    click.echo(f"matrix: {cell.model} on {cell.column}: {cell.outcome}, {cell.seconds:.0f} s{detail}", err=True)


if __name__ == "__main__":
    run_guarded(partial(main, prog_name="python -m asrlab.evaluation.matrix"))
