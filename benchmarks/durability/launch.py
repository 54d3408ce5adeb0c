"""Processes that write a run, and that can be killed: the command line, and a quicker start of the same."""

from __future__ import annotations

import os
import select
import signal
import subprocess
import sys
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

import attrs

__all__ = ["CommandLine", "Fate", "Forked", "Start", "Task", "held_open", "import_all"]


@attrs.frozen(kw_only=True)
class Task:
    """A run to be begun or gone on with.

    Attributes:
        dataset: As on the command line.
        model: Its name.
        run: The folder.
        options: More of the command line.
    """

    dataset: str
    model: str
    run: Path
    options: tuple[str, ...] = ()

    @property
    def begun(self) -> bool:
        """Whether there is something to resume."""
        return (self.run / "manifest.json").exists()

    @property
    def command(self) -> list[str]:
        """What a user types."""
        if self.begun:
            return ["resume", str(self.run), "--only-table"]
        return ["bench", self.dataset, "-m", self.model, "--run", str(self.run), "--only-table", *self.options]


@attrs.frozen(kw_only=True)
class Fate:
    """How a process ended.

    Attributes:
        code: Its exit status; None if it was killed here.
        stderr: The end of a pipe to read from; it is at its end when all processes of the run have ended.
        seconds: How long it lived.
    """

    code: int | None
    stderr: int
    seconds: float


class Start(Protocol):
    """Starts a process on a task, and ends it after a while."""

    def __call__(self, task: Task, *, after: float | None, before_kill: Callable[[], object]) -> Fate:
        """Kill it *after* so many seconds, unless it has ended; None lets it end by itself."""
        ...


@attrs.frozen
class CommandLine:
    """``python -m asrlab bench ...``, or ``resume``."""

    def __call__(self, task: Task, *, after: float | None, before_kill: Callable[[], object]) -> Fate:
        """See `Start`."""
        reading, writing = os.pipe()
        begun = time.monotonic()
        process = subprocess.Popen(
            [sys.executable, "-m", "asrlab", *task.command],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=writing, cwd=task.run.parent,
        )  # fmt: skip
        os.close(writing)
        try:
            code: int | None = process.wait(after)
        except subprocess.TimeoutExpired:
            before_kill()
            process.kill()
            process.wait()
            code = None
        return Fate(code=code, stderr=reading, seconds=time.monotonic() - begun)


@attrs.frozen
class Forked:
    """``asrlab.evaluation.bench`` or ``resume`` in a fork of this process, which saves Python's start and the imports.

    Its workers are started as ever. This process must have no threads.
    """

    def __call__(self, task: Task, *, after: float | None, before_kill: Callable[[], object]) -> Fate:
        """See `Start`."""
        reading, writing = os.pipe()
        alive, held = os.pipe()
        begun = time.monotonic()
        pid = os.fork()
        if not pid:
            os.dup2(writing, 2)
            _write_run(task)
        os.close(writing)
        os.close(held)
        ended = bool(select.select([alive], [], [], after)[0])
        os.close(alive)
        if not ended:
            before_kill()
            os.kill(pid, signal.SIGKILL)
        code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        return Fate(code=code if ended else None, stderr=reading, seconds=time.monotonic() - begun)


def _write_run(task: Task) -> None:
    """Never returns."""
    from asrlab.evaluation.runs.bench import bench, resume

    code = 1
    try:
        if task.begun:
            resume(task.run)
        else:
            bench(task.dataset, models=task.model, run=task.run)
        code = 0
    except BaseException:  # noqa: BLE001 - a fork must not go on with what its parent was at
        traceback.print_exc()
    finally:
        sys.stderr.flush()
        os._exit(code)


def import_all(dataset: str | Path, folder: Path, *, model: str = "echo") -> None:
    """Run once in this process, so that its forks find everything imported; it leaves no threads."""
    from asrlab.evaluation.runs.bench import bench
    from asrlab.testing.in_process import InProcessExecutor

    bench(dataset, models=model, run=folder / "imports", executor=InProcessExecutor())


def held_open(pipe: int, *, seconds: float) -> tuple[bool, str]:
    """Whether some process still holds the other end of *pipe* after so long, and what was written to it."""
    said = b""
    until = time.monotonic() + seconds
    try:
        while select.select([pipe], [], [], max(0.0, until - time.monotonic()))[0]:
            if not (some := os.read(pipe, 1 << 16)):
                return False, said.decode(errors="replace")
            said += some
        return True, said.decode(errors="replace")
    finally:
        os.close(pipe)
