"""``asrlab score``: score hypotheses of other programs, without running an engine."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from asrlab.cli import exit_codes
from asrlab.cli.command import Command
from asrlab.cli.options import FilePath, as_json, bootstrap_options, normalizers_option

if TYPE_CHECKING:
    from pathlib import Path

    from asrlab.evaluation.reports.systems import BootstrapUnit

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
@click.argument("files", nargs=-1, required=True, metavar="FILE...", type=FilePath(exists=True, dir_okay=False))
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
@normalizers_option
@bootstrap_options
@click.option("--allow-extra", is_flag=True, help="Leave out hypotheses that have no reference.")
@click.option(
    "--top-words", type=click.IntRange(min=0), default=10, show_default=True, help="Word errors shown of each FILE."
)
@click.option(
    "--allow-external-audio", is_flag=True, help="Accept texts of a data set that are links out of its folder."
)
@as_json
def score(
    files: tuple[Path, ...],
    *,
    references: str | None,
    format: str | None,  # noqa: A002 - click passes options by their names
    normalizer: str | None,
    language: str | None,
    normalizers: tuple[str, ...],
    bootstrap_unit: BootstrapUnit,
    resamples: int,
    seed: int,
    allow_extra: bool,
    top_words: int,
    allow_external_audio: bool,
    as_json: bool,
) -> int:
    """Score the hypotheses in FILE, and compare those of several FILEs.

    A FILE is a table (CSV, TSV) with utt_id and text, sclite's trn or CTM, or the Open ASR Leaderboard's JSONL. The
    metrics are those of asrlab bench and asrlab compare. An utterance that is not in FILE counts as deletions and is
    reported. A hypothesis that has no reference is an error.
    """
    from asrlab import evaluation
    from asrlab.cli.output import console, echo_document
    from asrlab.evaluation.metrics import Resampling

    scoring = evaluation.score(
        files,
        references=references,
        format=format,
        normalizer=normalizer,
        language=language,
        normalizers=normalizers,
        bootstrap_unit=bootstrap_unit,
        resampling=Resampling(resamples=resamples, seed=seed),
        allow_extra=allow_extra,
        top_words=top_words,
        allow_external_audio=allow_external_audio,
    )
    if as_json:
        echo_document(scoring.to_json())
    else:
        from asrlab.cli.views.compare import show_scoring

        show_scoring(console(), scoring, words=top_words)
    return exit_codes.SOME_FAILED if scoring.missing else exit_codes.DONE
