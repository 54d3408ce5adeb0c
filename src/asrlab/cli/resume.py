"""``asrlab resume``: go on with a run."""

from __future__ import annotations

import click

from asrlab.cli.options import as_json
from asrlab.cli.progress import running
from asrlab.cli.views.run import finished, table_options

EPILOG = """\b
Examples:
  asrlab runs
  asrlab resume 2026-11-23T09-30-00-smoke
  asrlab resume runs/small --only-table
"""


@click.command(epilog=EPILOG)
@click.argument("run")
@click.option("--offline", is_flag=True, help="Fetch no weights over the network.")
@table_options
@as_json
def resume(run: str, offline: bool, only_table: bool, as_json: bool) -> int:
    """Go on with RUN, which was stopped or killed, by its name or its folder.

    What has an outcome keeps it; the rest is transcribed. Where the data set, the weights, or a package has changed
    since, nothing is done and the change is named.
    """
    from asrlab.evaluation.runs.bench import resume as go_on

    with running() as one:
        result = go_on(run, offline=offline, progress=one.progress, stop=one.stop)
    return finished(result, stopped=one.stopped, texts=not only_table, normalizers=None, as_json=as_json)
