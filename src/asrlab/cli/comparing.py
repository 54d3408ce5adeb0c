"""Arguments and options of the commands that set runs beside each other."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

__all__ = ["comparison_options", "normalizer_names", "runs_argument"]


def _complete_run(_context: click.Context, _parameter: click.Parameter, typed: str) -> list[CompletionItem]:
    from click.shell_completion import CompletionItem

    from asrlab.evaluation.runs.folder import runs_root

    names = sorted(path.parent.name for path in runs_root().glob("*/manifest.json"))
    return [*(CompletionItem(name) for name in names if name.startswith(typed)), CompletionItem(typed, type="file")]


def normalizer_names(_context: click.Context, _parameter: click.Parameter, value: str | None) -> tuple[str, ...]:
    """The names in an option's value, with commas between."""
    return tuple(name.strip() for name in (value or "").split(",") if name.strip())


runs_argument = click.argument("runs", nargs=-1, required=True, metavar="RUN...", shell_complete=_complete_run)


def comparison_options[F: Callable[..., Any]](function: F) -> F:
    """What decides the figures of a comparison."""
    for option in reversed(
        (
            click.option(
                "--normalizer", help="english, basic, none, leaderboard or by-language; the runs' own if not given."
            ),
            click.option(
                "--normalizers",
                metavar="NAMES",
                callback=normalizer_names,
                help="Several with commas, to set side by side.",
            ),
            click.option(
                "--by",
                type=click.Choice(["auto", "speaker", "recording", "utterance"]),
                default="auto",
                show_default=True,
                help="What is drawn together; auto takes speakers, else recordings, where all have one.",
            ),
            click.option(
                "--resamples",
                type=click.IntRange(min=1),
                default=10_000,
                show_default=True,
                help="Of the bootstrap.",
            ),
            click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True, help="Of the bootstrap."),
            click.option("--shared-only", is_flag=True, help="Compare the utterances that all runs share."),
        )
    ):
        function = option(function)
    return function
