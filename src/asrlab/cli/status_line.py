"""What a command is busy with, on standard error."""

from __future__ import annotations

import sys
from collections.abc import Sequence

import click

__all__ = ["StatusLine"]

_CLEAR = "\r\x1b[K"
_WIDTH = 100


class StatusLine:
    """A line that is replaced while a command works; without a terminal, one line when the work begins.

    Args:
        doing: What is being done, such as ``importing``.
        only_live: Whether nothing is shown without a terminal, for what is quick as a rule.
    """

    def __init__(self, doing: str, *, only_live: bool = False) -> None:
        self._doing = doing
        self._only_live = only_live
        self._live = sys.stderr.isatty()
        self._shown = False

    def show(self, labels: Sequence[str]) -> None:
        """Show what is still being worked on; nothing once that is empty."""
        if not labels:
            self.clear()
            return
        text = f"asrlab: {self._doing} {', '.join(labels)} ..."
        if self._live:
            click.echo(f"{_CLEAR}{text[:_WIDTH]}", err=True, nl=False, color=True)
        elif not (self._shown or self._only_live):
            click.echo(text, err=True)
        self._shown = True

    def clear(self) -> None:
        """Take the line away, before something else is printed."""
        if self._live and self._shown:
            click.echo(_CLEAR, err=True, nl=False, color=True)
            self._shown = False
