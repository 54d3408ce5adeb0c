"""Progress of long commands: bars, a status line, and a run's reaction to Ctrl-C."""

from __future__ import annotations

import shlex
import signal
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING

import click

from asrlab.terminal import guard_streams

if TYPE_CHECKING:
    from rich.progress import Progress as ProgressBars, TaskID

    from asrlab.evaluation.runs.runner import RunProgress

_LINE_INTERVAL_S = 30.0


@contextmanager
def progress_bar(*, of_bytes: bool = False) -> Iterator[ProgressBars]:
    """Show progress bars on standard error that disappear in the end; nothing is shown without a terminal."""
    from rich.progress import (
        BarColumn,
        DownloadColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
        TransferSpeedColumn,
    )

    from asrlab.terminal.screen import open_screen

    screen = open_screen(stderr=True)
    amounts = (DownloadColumn(), TransferSpeedColumn()) if of_bytes else (MofNCompleteColumn(), TimeElapsedColumn())
    columns = (TextColumn("{task.description}", markup=False), BarColumn(), *amounts, TimeRemainingColumn())
    # Rich replaces both streams meanwhile; what is written to a file or a pipe must not be shown instead
    bars = Progress(*columns, console=screen, transient=True, redirect_stdout=sys.stdout.isatty())
    # Stopped bars write line ends into a file or pipe. Rich would also interpret text that looks like a style
    with bars if screen.is_terminal else nullcontext(), guard_streams() if screen.is_terminal else nullcontext():
        yield bars


@contextmanager
def fetch_progress() -> Iterator[Callable[[int, int | None, str], None]]:
    """Show progress bars for bytes; without a terminal, print a line when each file begins."""
    with progress_bar(of_bytes=True) as bars:
        tasks: dict[str, TaskID] = {}

        def show(done_bytes: int, total_bytes: int | None, label: str) -> None:
            if label not in tasks:
                tasks[label] = bars.add_task(label, total=total_bytes)
                if not bars.console.is_terminal:
                    click.echo(f"fetching {label}", err=True)
            bars.update(tasks[label], completed=done_bytes, total=total_bytes)

        yield show


class ProgressDisplay:
    """The progress of a run, and the request to stop it.

    Attributes:
        stopped: True after Ctrl-C.
        run: The run's folder, once the run has begun.
    """

    def __init__(self, bars: ProgressBars) -> None:
        self.stopped = False
        self.run: Path | None = None
        self._bars = bars
        self._tasks: dict[str, tuple[TaskID, float]] = {}  # with the time when it began
        self._last_line = time.monotonic()

    def should_stop(self) -> bool:
        """Return True if no utterance is to be started."""
        return self.stopped

    def interrupt(self, _signal: int, _frame: FrameType | None) -> None:
        """Ask the run to stop at the first Ctrl-C; interrupt it at the second, or if it has not begun."""
        if self.stopped or self.run is None:
            raise KeyboardInterrupt
        self.stopped = True
        message = "asrlab: stopping in a few seconds, or after the current utterance; Ctrl-C again stops at once"
        click.echo(message, err=True)

    def show(self, progress: RunProgress) -> None:
        """Show how much of a model's work is done; without a terminal, print a line now and then."""
        self.run, now = progress.run, time.monotonic()
        if progress.model not in self._tasks:
            self._tasks[progress.model] = self._bars.add_task(progress.model, total=progress.total), now
        task, start = self._tasks[progress.model]
        new = progress.done - progress.earlier
        rate = f", {new / (now - start):.2f}/s" if new and now > start else ""
        failed = f", {progress.failed} failed" if progress.failed else ""
        description = f"{progress.model}{rate}{failed}"
        self._bars.update(task, completed=progress.done, description=description)
        if not self._bars.console.is_terminal and now - self._last_line >= _LINE_INTERVAL_S:
            self._last_line = now
            click.echo(f"asrlab: {description}, {progress.done}/{progress.total}", err=True)


@contextmanager
def run_progress() -> Iterator[ProgressDisplay]:
    """Show progress bars and handle Ctrl-C while a run works."""
    with progress_bar() as bars:
        progress = ProgressDisplay(bars)
        before = signal.signal(signal.SIGINT, progress.interrupt)
        try:
            yield progress
        except KeyboardInterrupt:
            if progress.run is not None:
                click.echo(f"asrlab: {resume_hint(progress.run)}", err=True)
            raise
        finally:
            signal.signal(signal.SIGINT, before)


def resume_hint(run: Path) -> str:
    """Return the command that resumes *run*."""
    return f"to resume: asrlab resume {shlex.quote(str(run))}"


_CLEAR = "\r\x1b[K"
_WIDTH = 100


class StatusLine:
    """A line that is replaced while a command works; without a terminal, one line when the work begins.

    Args:
        activity: The activity, such as ``importing``.
        only_live: True if nothing is shown without a terminal, for work that is usually quick.
    """

    def __init__(self, activity: str, *, only_live: bool = False) -> None:
        self._activity = activity
        self._only_live = only_live
        self._live = sys.stderr.isatty()
        self._shown = False

    def show(self, labels: Sequence[str]) -> None:
        """Show the labels of the work that is not done; clear the line if there are none."""
        if not labels:
            self.clear()
            return
        text = f"asrlab: {self._activity} {', '.join(labels)} ..."
        if self._live:
            click.echo(f"{_CLEAR}{text[:_WIDTH]}", err=True, nl=False, color=True)
        elif not (self._shown or self._only_live):
            click.echo(text, err=True)
        self._shown = True

    def clear(self) -> None:
        """Remove the line, before something else is printed."""
        if self._live and self._shown:
            click.echo(_CLEAR, err=True, nl=False, color=True)
            self._shown = False
