"""The options for how subtitles are laid out."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from asrlab.transcript import SubtitleLayout

__all__ = ["layout_of", "layout_options"]

_OPTIONS = (
    click.option(
        "--max-line-length",
        type=click.IntRange(min=0),
        default=42,
        show_default=True,
        help="Of srt and vtt, in characters; 0 leaves each segment whole.",
    ),
    click.option("--max-lines", type=click.IntRange(min=1), default=2, show_default=True, help="Of a subtitle."),
    click.option(
        "--max-chars-per-second",
        type=click.FloatRange(min=0),
        default=20.0,
        show_default=True,
        help="Show a subtitle longer that would have to be read faster, where there is room; 0 leaves the times.",
    ),
    click.option(
        "--min-duration",
        type=click.FloatRange(min=0),
        default=0.7,
        show_default=True,
        help="Seconds that a subtitle stays at least, where there is room; 0 leaves the times.",
    ),
)


def layout_options[F: Callable[..., Any]](function: F) -> F:
    """How subtitles are laid out."""
    for option in reversed(_OPTIONS):
        function = option(function)
    return function


def layout_of(given: dict[str, Any]) -> SubtitleLayout:
    """Take the options out of *given*; 0 stands for none."""
    from asrlab.transcript import SubtitleLayout

    return SubtitleLayout(
        max_line_length=given.pop("max_line_length") or None,
        max_lines=given.pop("max_lines"),
        max_chars_per_second=given.pop("max_chars_per_second") or None,
        min_duration=given.pop("min_duration") or None,
    )
