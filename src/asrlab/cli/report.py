"""``asrlab report``: write runs as one HTML file."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from asrlab.cli import options
from asrlab.cli.command import Command

if TYPE_CHECKING:
    from pathlib import Path

EPILOG = """\b
Examples:
  asrlab report monday -o monday.html
  asrlab report monday tuesday --audio -o both.html
  asrlab report exported/base.jsonl --worst-n 50
  asrlab report monday -o - | gzip > monday.html.gz
"""
_MIB = 2**20


@click.command(cls=Command, epilog=EPILOG)
@options.runs_argument
@click.option(
    "-o",
    "--output",
    type=options.FilePath(),
    default="report.html",
    show_default=True,
    help="The file, which is replaced if it exists; - is standard output.",
)
@options.number("--worst-n", 20, "Worst utterances shown with their words.")
@options.flag("--audio", description="Embed the audio of the worst utterances; needs the data set.")
@options.number("--audio-limit", 8, "Maximum MiB of embedded audio.", at_least=1)
@options.comparison_options
@options.as_json
def report(runs: tuple[str, ...], *, output: Path, audio_limit: int, as_json: bool, **given: Any) -> None:
    """Write a report on one RUN, or several over the same utterances, as one HTML file.

    The file needs no network and no other file, and transcribed text stays text in it, even if it looks like HTML. A
    RUN is a run's name (see: asrlab runs), its folder, or a file that was exported from it.
    """
    from asrlab import evaluation
    from asrlab.cli.output import check_document_path, echo_json, is_stdout, write_document
    from asrlab.evaluation.runs.storage import find_run

    check_document_path(output, as_json=as_json, option="output")
    results = [evaluation.load_run(find_run(run)) for run in runs]
    page = evaluation.report(results, audio_limit_bytes=audio_limit * _MIB, **options.to_comparison_options(given))
    write_document(output, page.html)
    for note in page.notes:
        click.echo(f"asrlab: {note}", err=True)
    if as_json:
        echo_json({"path": str(output), "bytes": len(page.html), "notes": list(page.notes)})
    elif not is_stdout(output):
        click.echo(output)
