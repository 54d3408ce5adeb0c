"""``asrlab compare``: runs against each other, on the same utterances."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from asrlab.cli import exit_codes
from asrlab.cli.command import Command
from asrlab.cli.options import as_json, comparison_options, runs_argument

if TYPE_CHECKING:
    from asrlab.evaluation.reports.systems import BootstrapUnit

EPILOG = """\b
Examples:
  asrlab compare monday tuesday
  asrlab compare runs/base exported/tiny.jsonl --normalizers english,none
  asrlab compare monday tuesday --bootstrap-unit recording --json > comparison.json
"""


@click.command(cls=Command, epilog=EPILOG)
@runs_argument
@comparison_options
@click.option(
    "--top-words", type=click.IntRange(min=0), default=10, show_default=True, help="Word errors shown of each model."
)
@click.option(
    "--worst-n",
    type=click.IntRange(min=0),
    default=5,
    show_default=True,
    help="Worst utterances shown with their words.",
)
@as_json
def compare(
    runs: tuple[str, ...],
    *,
    normalizer: str | None,
    normalizers: tuple[str, ...],
    bootstrap_unit: BootstrapUnit,
    resamples: int,
    seed: int,
    shared_only: bool,
    top_words: int,
    worst_n: int,
    as_json: bool,
) -> int:
    """Compare the models of one RUN or several over the same utterances.

    A RUN is a run's name (see: asrlab runs), its folder, or a file that was exported from it. The first model is the
    baseline of the others. The words "better" and "faster" appear only if the interval and the test both support them.
    """
    import json

    from asrlab import evaluation
    from asrlab.cli.output import console, echo_json
    from asrlab.evaluation.metrics import Resampling
    from asrlab.evaluation.reports.comparison import compare_runs
    from asrlab.evaluation.reports.details import build_details
    from asrlab.evaluation.reports.systems import ComparisonOptions
    from asrlab.evaluation.runs.storage import find_run

    results = [evaluation.load_run(find_run(run)) for run in runs]
    options = ComparisonOptions(
        normalizer=normalizer,
        normalizers=normalizers,
        bootstrap_unit=bootstrap_unit,
        resampling=Resampling(resamples=resamples, seed=seed),
        only_shared=shared_only,
        top_words=top_words,
        worst_n=worst_n,
    )
    comparison = compare_runs(results, options)
    details = build_details(results, options)
    if as_json:
        echo_json(json.loads(comparison.to_json()) | {"details": details.to_plain()})
        return exit_codes.DONE
    from asrlab.cli.views.compare import show_comparison
    from asrlab.cli.views.details import show_details

    screen = console()
    show_comparison(screen, comparison, words=top_words)
    show_details(screen, details)
    return exit_codes.DONE
