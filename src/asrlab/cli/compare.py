"""``asrlab compare``: compare models over the same utterances."""

from __future__ import annotations

from typing import Any

import click

from asrlab.cli import options
from asrlab.cli.command import Command

EPILOG = """\b
Examples:
  asrlab compare monday tuesday
  asrlab compare runs/base exported/tiny.jsonl --normalizers english,none
  asrlab compare monday tuesday --bootstrap-unit recording --json > comparison.json
"""


@click.command(cls=Command, epilog=EPILOG)
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
        screen.show(Text(line, style="bold"))
    print_parts(screen, comparison_view(comparison, top_words=chosen.top_words))
    print_parts(screen, details_view(details))
