"""A run under way on the command line: its progress, and what Ctrl-C does to it."""

from __future__ import annotations

import shlex
import signal
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING

import attrs
import click

from asrlab.cli.options import progress_bar

if TYPE_CHECKING:
    from rich.progress import Progress as Bars, TaskID

    from asrlab.evaluation.runs.runner import RunProgress

_EVERY_S = 30.0


class Running:
    """What a run is given: told how far it is, and asked whether to stop.

    Attributes:
        stopped: Ctrl-C was pressed.
        run: The run's folder, once it has begun.
    """

    def __init__(self, bars: Bars) -> None:
        self.stopped = False
        self.run: Path | None = None
        self._bars = bars
        self._tasks: dict[str, _Task] = {}
        self._told = time.monotonic()

    def stop(self) -> bool:
        """Whether nothing new is to be begun."""
        return self.stopped

    def interrupted(self, _signal: int, _frame: FrameType | None) -> None:
        """Ask the run to stop at the first Ctrl-C, and interrupt it at the second, or if it has not begun."""
        if self.stopped or self.run is None:
            raise KeyboardInterrupt
        self.stopped = True
        message = "asrlab: stopping in a few seconds, or after the utterance under way; Ctrl-C again does not wait"
        click.echo(message, err=True)

    def progress(self, progress: RunProgress) -> None:
        """Show how far a model is; where that is no terminal, as a line now and then."""
        self.run = progress.run
        if progress.model not in self._tasks:
            bar = self._bars.add_task(progress.model, total=progress.total)
            self._tasks[progress.model] = _Task(bar=bar, start=time.monotonic())
        told = self._tasks[progress.model].told(progress)
        self._bars.update(self._tasks[progress.model].bar, completed=progress.done, description=told)
        if not self._bars.console.is_terminal and time.monotonic() - self._told >= _EVERY_S:
            self._told = time.monotonic()
            click.echo(f"asrlab: {told}, {progress.done}/{progress.total}", err=True)


@attrs.frozen(kw_only=True)
class _Task:
    bar: TaskID
    start: float

    def told(self, progress: RunProgress) -> str:
        """The model with its rate and failures."""
        spent, fresh = time.monotonic() - self.start, progress.done - progress.earlier
        rate = f", {fresh / spent:.2f}/s" if fresh and spent > 0 else ""
        failed = f", {progress.failed} failed" if progress.failed else ""
        return f"{progress.model}{rate}{failed}"


@contextmanager
def running() -> Iterator[Running]:
    """Progress bars and Ctrl-C for the length of a run."""
    with progress_bar() as bars:
        one = Running(bars)
        before = signal.signal(signal.SIGINT, one.interrupted)
        try:
            yield one
        except KeyboardInterrupt:
            if one.run is not None:
                click.echo(f"asrlab: {how_to_resume(one.run)}", err=True)
            raise
        finally:
            signal.signal(signal.SIGINT, before)


def how_to_resume(path: Path) -> str:
    """The command that goes on with a run."""
    return f"to go on: asrlab resume {shlex.quote(str(path))}"


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
