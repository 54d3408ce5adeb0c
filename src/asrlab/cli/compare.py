"""``asrlab compare``: runs against each other, on the same utterances."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from asrlab.cli import exits
from asrlab.cli.shared import as_json, console

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

    from asrlab.reports.systems import By

EPILOG = """\b
Examples:
  asrlab compare monday tuesday
  asrlab compare runs/base exported/tiny.jsonl --normalizers english,none
  asrlab compare monday tuesday --by recording --json > comparison.json
"""


def _complete_run(_context: click.Context, _parameter: click.Parameter, typed: str) -> list[CompletionItem]:
    from click.shell_completion import CompletionItem

    from asrlab.runs.folder import runs_root

    names = sorted(path.parent.name for path in runs_root().glob("*/manifest.json"))
    return [*(CompletionItem(name) for name in names if name.startswith(typed)), CompletionItem(typed, type="file")]


def normalizer_names(_context: click.Context, _parameter: click.Parameter, value: str | None) -> tuple[str, ...]:
    """The names in an option's value, with commas between."""
    return tuple(name.strip() for name in (value or "").split(",") if name.strip())


@click.command(epilog=EPILOG)
@click.argument("runs", nargs=-1, required=True, metavar="RUN...", shell_complete=_complete_run)
@click.option("--normalizer", help="english, basic, none or leaderboard; the runs' own if not given.")
@click.option(
    "--normalizers", metavar="NAMES", callback=normalizer_names, help="Several with commas, to set side by side."
)
@click.option(
    "--by",
    type=click.Choice(["auto", "speaker", "recording", "utterance"]),
    default="auto",
    show_default=True,
    help="What is drawn together; auto takes speakers, else recordings, where all have one.",
)
@click.option("--resamples", type=click.IntRange(min=1), default=10_000, show_default=True, help="Of the bootstrap.")
@click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True, help="Of the bootstrap.")
@click.option("--shared-only", is_flag=True, help="Compare the utterances that all runs share.")
@click.option(
    "--words", type=click.IntRange(min=0), default=10, show_default=True, help="Mistakes shown of each model."
)
@as_json
def compare(
    runs: tuple[str, ...],
    normalizer: str | None,
    normalizers: tuple[str, ...],
    by: By,
    resamples: int,
    seed: int,
    shared_only: bool,
    words: int,
    as_json: bool,
) -> int:
    """Compare the models of one RUN or several over the same utterances.

    A RUN is a run's name (see: asrlab runs), its folder, or a file that was exported from it. The first model is what
    the others are compared with. "better" and "faster" are only said where the difference is shown: where the interval
    and the test both say so.
    """
    from asrlab.metrics import Resampling
    from asrlab.reports.comparison import compare as compared
    from asrlab.runs.folder import find_run
    from asrlab.runs.reading import read_run

    comparison = compared(
        [read_run(find_run(run)) for run in runs],
        normalizer=normalizer,
        normalizers=normalizers,
        by=by,
        resampling=Resampling(resamples=resamples, seed=seed),
        only_shared=shared_only,
        words=words,
    )
    if as_json:
        click.echo(comparison.to_json(), nl=False)
        return exits.DONE
    from asrlab.cli.compare_view import show_comparison

    show_comparison(console(), comparison, words=words)
    return exits.DONE
