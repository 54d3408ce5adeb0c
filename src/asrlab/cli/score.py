"""``asrlab score``: hypotheses from elsewhere, without running an engine."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from asrlab.cli import exit_codes
from asrlab.cli.options import as_json, console, echo_document, normalizer_names

if TYPE_CHECKING:
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


@click.command(epilog=EPILOG)
@click.argument(
    "files", nargs=-1, required=True, metavar="FILE...", type=click.Path(exists=True, dir_okay=False, path_type=Path)
)
@click.option(
    "-r",
    "--references",
    help="What was said: a trn or STM file, a table of utt_id and text, or any data set; FILE's own if not given.",
)
@click.option("-f", "--format", "form", type=click.Choice(FORMATS), help="Of FILE; told by content if not given.")
@click.option("--normalizer", help="Of all: english, basic, none or leaderboard; by each one's language if not given.")
@click.option("--language", help="Tag of the language of references that do not say theirs, such as en.")
@click.option("--normalizers", metavar="NAMES", callback=normalizer_names, help="Several with commas, side by side.")
@click.option(
    "--bootstrap-unit",
    type=click.Choice(["auto", "speaker", "recording", "utterance"]),
    default="auto",
    show_default=True,
    help="What is drawn together where files are compared.",
)
@click.option("--resamples", type=click.IntRange(min=1), default=10_000, show_default=True, help="Of the bootstrap.")
@click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True, help="Of the bootstrap.")
@click.option("--allow-extra", is_flag=True, help="Leave out hypotheses that have no reference.")
@click.option(
    "--top-words", type=click.IntRange(min=0), default=10, show_default=True, help="Mistakes shown of each FILE."
)
@click.option(
    "--allow-external-audio", is_flag=True, help="Accept texts of a data set that are links out of its folder."
)
@as_json
def score(
    files: tuple[Path, ...],
    references: str | None,
    form: str | None,
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
    """Score the hypotheses in FILE, and compare those of several FILEs, with the metrics of bench and compare.

    A FILE is a table (CSV, TSV) with utt_id and text, sclite's trn or CTM, or the Open ASR Leaderboard's JSONL. An
    utterance that is not in it counts as deletions, and is told. A hypothesis that has no reference is an error.
    """
    from asrlab.evaluation.metrics import Resampling
    from asrlab.evaluation.reports.score_files import score as scored

    scoring = scored(
        files,
        references=references,
        format=form,
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
        from asrlab.cli.views.score import show_scoring

        show_scoring(console(), scoring, words=top_words)
    return exit_codes.SOME_FAILED if scoring.missing else exit_codes.DONE
