"""Progress of long commands: bars, a status line, and a run's reaction to Ctrl-C."""

from __future__ import annotations

import shlex
import signal
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any

import attrs
import click

from asrlab.cli.output import console
from asrlab.terminal import guard_streams

if TYPE_CHECKING:
    from rich.progress import Progress as ProgressBars, ProgressColumn, TaskID

    from asrlab.evaluation.runs.runner import RunProgress
    from asrlab.terminal.screen import Screen

_LINE_INTERVAL_S = 30.0


@contextmanager
def progress_bar() -> Iterator[ProgressBars]:
    """Show progress bars on standard error that disappear in the end; nothing is shown without a terminal."""
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn

    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
    with _show_on_terminal(*columns, screen=console(stderr=True)) as bars:
        yield bars


@contextmanager
def fetch_progress() -> Iterator[Callable[[int, int | None, str], None]]:
    """Show progress bars for bytes; without a terminal, print a line when each file begins."""
    from rich.progress import BarColumn, DownloadColumn, TextColumn, TimeRemainingColumn, TransferSpeedColumn

    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        DownloadColumn(),
        TransferSpeedColumn(),
        TimeRemainingColumn(),
    )
    screen = console(stderr=True)
    with _show_on_terminal(*columns, screen=screen) as bars:
        tasks: dict[str, Any] = {}

        def show(done_bytes: int, total_bytes: int | None, label: str) -> None:
            if label not in tasks:
                tasks[label] = bars.add_task(label, total=total_bytes)
                if not screen.is_terminal:
                    click.echo(f"fetching {label}", err=True)
            bars.update(tasks[label], completed=done_bytes, total=total_bytes)

        yield show


@contextmanager
def _show_on_terminal(*columns: ProgressColumn | str, screen: Screen) -> Iterator[ProgressBars]:
    """Start the bars only on a terminal: stopped bars write line ends into a file or pipe."""
    from rich.progress import Progress

    # Rich replaces both streams meanwhile; what is written to a file or a pipe must not be shown instead
    bars = Progress(*columns, console=screen, transient=True, redirect_stdout=sys.stdout.isatty())
    if not screen.is_terminal:
        yield bars
        return
    # Rich would also interpret text that looks like a style
    with bars, guard_streams():
        yield bars


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
        self._tasks: dict[str, _ModelTask] = {}
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
        self.run = progress.run
        if progress.model not in self._tasks:
            bar = self._bars.add_task(progress.model, total=progress.total)
            self._tasks[progress.model] = _ModelTask(bar=bar, start=time.monotonic())
        task = self._tasks[progress.model]
        description = task.describe(progress)
        self._bars.update(task.bar, completed=progress.done, description=description)
        if not self._bars.console.is_terminal and time.monotonic() - self._last_line >= _LINE_INTERVAL_S:
            self._last_line = time.monotonic()
            click.echo(f"asrlab: {description}, {progress.done}/{progress.total}", err=True)


@attrs.frozen(kw_only=True)
class _ModelTask:
    bar: TaskID
    start: float

    def describe(self, progress: RunProgress) -> str:
        """Return the model with its rate and failures."""
        elapsed_s, new = time.monotonic() - self.start, progress.done - progress.earlier
        rate = f", {new / elapsed_s:.2f}/s" if new and elapsed_s > 0 else ""
        failed = f", {progress.failed} failed" if progress.failed else ""
        return f"{progress.model}{rate}{failed}"


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
