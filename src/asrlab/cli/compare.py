"""``asrlab compare``, ``report`` and ``score``: runs and files of hypotheses against each other."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from asrlab.cli import options
from asrlab.cli.command import DONE, SOME_FAILED, Command

if TYPE_CHECKING:
    from pathlib import Path

COMPARE_EPILOG = """\b
Examples:
  asrlab compare monday tuesday
  asrlab compare runs/base exported/tiny.jsonl --normalizers english,none
  asrlab compare monday tuesday --bootstrap-unit recording --json > comparison.json
"""
REPORT_EPILOG = """\b
Examples:
  asrlab report monday -o monday.html
  asrlab report monday tuesday --audio -o both.html
  asrlab report exported/base.jsonl --worst-n 50
  asrlab report monday -o - | gzip > monday.html.gz
"""
SCORE_EPILOG = """\b
Examples:
  asrlab score hypotheses.csv --references recordings/
  asrlab score system.ctm --references talks.stm --normalizers english,none
  asrlab score MODEL_a.jsonl MODEL_b.jsonl --normalizer leaderboard --json

\b
Exit codes: 1 if a hypothesis is missing, 4 if one has no reference.
"""
FORMATS = ("csv", "ctm", "leaderboard", "trn")
_MIB = 2**20


@click.command(cls=Command, epilog=COMPARE_EPILOG)
@options.runs_argument
@options.comparison_options
@options.number("--top-words", 10, "Word errors shown of each model.")
@options.number("--worst-n", 5, "Worst utterances shown with their words.")
@options.as_json
def compare(runs: tuple[str, ...], *, as_json: bool, **given: Any) -> None:
    """Compare the models of one RUN or several over the same utterances.

    A RUN is a run's name (see: asrlab runs), its folder, or a file that was exported from it. The first model is the
    baseline of the others. The words "better" and "faster" appear only if the interval and the test both support them.
    """
    import json

    from asrlab.cli.output import echo_json, print_parts
    from asrlab.evaluation.reports.comparison import compare_runs
    from asrlab.evaluation.reports.details import build_details
    from asrlab.evaluation.reports.systems import ComparisonOptions
    from asrlab.evaluation.runs.load import load_run
    from asrlab.evaluation.runs.storage import find_run
    from asrlab.terminal.screen import Text, open_screen

    results = [load_run(find_run(run)) for run in runs]
    chosen = ComparisonOptions(**options.to_comparison_options(given))
    comparison = compare_runs(results, chosen)
    details = build_details(results, chosen)
    if as_json:
        echo_json(json.loads(comparison.to_json()) | {"details": details.to_plain()})
        return
    from asrlab.cli.comparison_view import comparison_view
    from asrlab.cli.details_view import details_view

    screen = open_screen()
    for line in comparison.headline:
        screen.print(Text(line, style="bold"), soft_wrap=True)
    print_parts(screen, comparison_view(comparison, top_words=chosen.top_words))
    print_parts(screen, details_view(details))


@click.command(cls=Command, epilog=REPORT_EPILOG)
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


@click.command(cls=Command, epilog=SCORE_EPILOG)
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
        screen.print(next(parts))
        print_parts(screen, parts)
    return SOME_FAILED if scoring.missing else DONE
