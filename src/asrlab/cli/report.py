"""``asrlab report``: runs as an HTML page."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from asrlab.cli import exit_codes
from asrlab.cli.command import Command
from asrlab.cli.options import FilePath, as_json, comparison_options, runs_argument

if TYPE_CHECKING:
    from pathlib import Path

    from asrlab.evaluation.reports.systems import BootstrapUnit

EPILOG = """\b
Examples:
  asrlab report monday -o monday.html
  asrlab report monday tuesday --audio -o both.html
  asrlab report exported/base.jsonl --worst-n 50
  asrlab report monday -o - | gzip > monday.html.gz
"""

_MIB = 2**20


@click.command(cls=Command, epilog=EPILOG)
@runs_argument
@click.option(
    "-o",
    "--output",
    type=FilePath(),
    default="report.html",
    show_default=True,
    help="The file, which is replaced if it exists; - is standard output.",
)
@click.option(
    "--worst-n",
    type=click.IntRange(min=0),
    default=20,
    show_default=True,
    help="Worst utterances shown with their words.",
)
@click.option("--audio", is_flag=True, help="Embed the audio of the worst utterances; needs the data set.")
@click.option(
    "--audio-limit", type=click.IntRange(min=1), default=8, show_default=True, help="Maximum MiB of embedded audio."
)
@comparison_options
@as_json
def report(
    runs: tuple[str, ...],
    *,
    output: Path,
    worst_n: int,
    audio: bool,
    audio_limit: int,
    normalizer: str | None,
    normalizers: tuple[str, ...],
    bootstrap_unit: BootstrapUnit,
    resamples: int,
    seed: int,
    shared_only: bool,
    as_json: bool,
) -> int:
    """Write a report on one RUN, or several over the same utterances, as one HTML file.

    The file needs no network and no other file, and transcribed text stays text in it, even if it looks like HTML. A
    RUN is a run's name (see: asrlab runs), its folder, or a file that was exported from it.
    """
    from asrlab import evaluation
    from asrlab.cli.output import OutputTarget, echo_json
    from asrlab.evaluation.metrics import Resampling
    from asrlab.evaluation.runs.storage import find_run

    target = OutputTarget.from_option(output, as_json=as_json, option="output")
    target.check()
    page = evaluation.report(
        [evaluation.load_run(find_run(run)) for run in runs],
        normalizer=normalizer,
        normalizers=normalizers,
        bootstrap_unit=bootstrap_unit,
        resampling=Resampling(resamples=resamples, seed=seed),
        only_shared=shared_only,
        worst_n=worst_n,
        audio=audio,
        audio_limit_bytes=audio_limit * _MIB,
    )
    target.write(page.html)
    for note in page.notes:
        click.echo(f"asrlab: {note}", err=True)
    if as_json:
        echo_json({"path": str(output), "bytes": len(page.html), "notes": list(page.notes)})
    elif not target.is_stdout:
        click.echo(output)
    return exit_codes.DONE
