"""``asrlab score``: score files of hypotheses."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from asrlab.cli import options
from asrlab.cli.command import DONE, SOME_FAILED, Command

if TYPE_CHECKING:
    from pathlib import Path

EPILOG = """\b
Examples:
  asrlab score hypotheses.csv --references recordings/
  asrlab score system.ctm --references talks.stm --normalizers english,none
  asrlab score MODEL_a.jsonl MODEL_b.jsonl --normalizer leaderboard --json

\b
Exit codes: 1 if a hypothesis is missing, 4 if one has no reference.
"""
FORMATS = ("csv", "ctm", "leaderboard", "trn")


@click.command(cls=Command, epilog=EPILOG)
@click.argument("files", nargs=-1, required=True, metavar="FILE...", type=options.FilePath(exists=True, dir_okay=False))
@click.option(
    "-r",
    "--references",
    help="A trn or STM file, a table of utt_id and text, or any data set; FILE's own references if not given.",
)
@click.option("-f", "--format", type=click.Choice(FORMATS), help="Format of FILE; detected if not given.")
@click.option(
    "--normalizer", help="Normalizer of all texts: english, basic, none or leaderboard; by language if not given."
)
@click.option("--language", help="Language tag of references without one, such as en.")
@options.normalizers_option
@options.bootstrap_options
@options.flag("--allow-extra", description="Leave out hypotheses that have no reference.")
@options.number("--top-words", 10, "Word errors shown of each FILE.")
@options.flag("--allow-external-audio", description="Accept texts of a data set that are links out of its folder.")
@options.as_json
def score(files: tuple[Path, ...], *, as_json: bool, **given: Any) -> int:
    """Score the hypotheses in FILE, and compare those of several FILEs.

    A FILE is a table (CSV, TSV) with utt_id and text, sclite's trn or CTM, or the Open ASR Leaderboard's JSONL. The
    metrics are those of asrlab bench and asrlab compare. An utterance that is not in FILE counts as deletions and is
    reported. A hypothesis that has no reference is an error.
    """
    from asrlab import evaluation
    from asrlab.cli.output import echo_json, print_parts

    scoring = evaluation.score(files, **options.to_comparison_options(given))
    if as_json:
        echo_json(scoring.to_json())
    else:
        from asrlab.cli.comparison_view import scoring_view
        from asrlab.terminal.screen import open_screen

        screen, parts = open_screen(), scoring_view(scoring, top_words=given["top_words"])
        screen.show(next(parts))
        print_parts(screen, parts)
    return SOME_FAILED if scoring.missing else DONE
