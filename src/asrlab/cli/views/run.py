"""What the commands print of a run, and the exit code for it."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import click

from asrlab.cli import exit_codes
from asrlab.cli.options import console, echo_document
from asrlab.cli.progress import how_to_resume

if TYPE_CHECKING:
    from asrlab.evaluation.runs.result import BenchResult


_FEW = 20
_WORST = 5

normalizers_option = click.option(
    "--normalizers",
    metavar="NAMES",
    help="Score under several side by side: english,basic,none,leaderboard,by-language.",
)


def table_options[F: Callable[..., Any]](function: F) -> F:
    """What of a run is shown."""
    return click.option("--only-table", is_flag=True, help="Leave out the texts.")(function)


def finished(result: BenchResult, *, stopped: bool, texts: bool, normalizers: str | None, as_json: bool) -> int:
    """Print a run that has ended, complete or not, and return the exit code; *stopped* says that Ctrl-C was pressed."""
    if as_json:
        echo_document(result.to_json())
    elif result.complete:
        show(result, texts=texts, normalizers=normalizers)
    if not result.complete:
        _explain_incomplete(result, stopped=stopped)
    return exit_codes.INTERRUPTED if stopped else exit_code(result)


def _explain_incomplete(result: BenchResult, *, stopped: bool) -> None:
    """Print how far the run came, why it ended, and the command that resumes it."""
    for model in result.models:
        if model.failure is not None:
            message = f"{model.model} did not load: {model.failure.kind}: {model.failure.message}"
            click.echo(f"asrlab: {message}", err=True)
    done = sum(len(model.utterances) for model in result.models)
    why = "interrupted" if stopped else "ended early"
    click.echo(f"asrlab: {why} with {done} outcomes; {how_to_resume(result.run)}", err=True)


def show(result: BenchResult, *, texts: bool, normalizers: str | None) -> None:
    """Print a run."""
    from asrlab.cli.views.bench import failures, findings, table, texts_of
    from asrlab.cli.views.details import show_details
    from asrlab.cli.views.extra_metrics import show_figures
    from asrlab.evaluation.reports.details import build_details
    from asrlab.evaluation.reports.extra_metrics import run_metrics

    screen = console()
    screen.print(table(result))
    for line in failures(result):
        console(stderr=True).print(line, soft_wrap=True)
    for line in findings(result):
        screen.print(line, soft_wrap=True)
    names = [name.strip() for name in (normalizers or "").split(",") if name.strip()]
    show_figures(screen, run_metrics(result, normalizers=names))
    # among a few texts the worst are easily found, and all of them follow
    many = texts and len(result.models[0].utterances) > _FEW
    show_details(screen, build_details([result], worst_n=_WORST if many else 0))
    if texts:
        for line in texts_of(result):
            screen.print(line, soft_wrap=True)


def exit_code(result: BenchResult) -> int:
    """Return 0 on success, 1 if an item failed or is missing, or the load error's code if no model loaded."""
    broken = [model.failure for model in result.models if model.failure is not None]
    if broken and len(broken) == len(result.models):
        return exit_codes.code_for(broken[0].kind)
    return exit_codes.SOME_FAILED if broken or result.failed or not result.complete else exit_codes.DONE
