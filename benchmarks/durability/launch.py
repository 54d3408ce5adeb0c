"""Processes that write a run and can be killed: the command line, and a fork, which starts faster."""

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

__all__ = ["CommandLine", "Forked", "ProcessResult", "Start", "Task", "import_all", "is_pipe_open"]


@attrs.frozen(kw_only=True)
class Task:
    """A run to start or resume.

    Attributes:
        dataset: The data set, as on the command line.
        model: Name of the model.
        run: The folder.
        options: Further options of the command line.
    """

    dataset: str
    model: str
    run: Path
    options: tuple[str, ...] = ()

    @property
    def begun(self) -> bool:
        """True if there is a run to resume."""
        return (self.run / "manifest.json").exists()

    @property
    def command(self) -> list[str]:
        """The arguments of ``asrlab`` that start or resume the run."""
        if self.begun:
            return ["resume", str(self.run), "--only-table"]
        return ["bench", self.dataset, "-m", self.model, "--run", str(self.run), "--only-table", *self.options]


@attrs.frozen(kw_only=True)
class ProcessResult:
    """The end of a process.

    Attributes:
        code: Exit status; None if the process was killed by the benchmark.
        stderr: A pipe to read from, which ends when all processes of the run have ended.
        seconds: Lifetime of the process.
    """

    code: int | None
    stderr: int
    seconds: float


class Start(Protocol):
    """A method to start a process for a task, and to kill the process later."""

    def __call__(self, task: Task, *, after: float | None, before_kill: Callable[[], object]) -> ProcessResult:
        """Start the process and kill it *after* seconds, unless it has ended; None waits for its end."""
        ...


@attrs.frozen
class CommandLine:
    """``python -m asrlab bench ...``, or ``resume``."""

    def __call__(self, task: Task, *, after: float | None, before_kill: Callable[[], object]) -> ProcessResult:
        """Start the process and kill it, as `Start` describes."""
        reading, writing = os.pipe()
        start = time.monotonic()
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
        return ProcessResult(code=code, stderr=reading, seconds=time.monotonic() - start)


@attrs.frozen
class Forked:
    """``asrlab.evaluation.bench`` or ``resume`` in a fork of this process, which saves Python's start and the imports.

    Workers are started as usual. This process must have no threads.
    """

    def __call__(self, task: Task, *, after: float | None, before_kill: Callable[[], object]) -> ProcessResult:
        """Start the process and kill it, as `Start` describes."""
        reading, writing = os.pipe()
        alive, child_end = os.pipe()
        start = time.monotonic()
        pid = os.fork()
        if not pid:
            os.dup2(writing, 2)
            _write_run(task)
        os.close(writing)
        os.close(child_end)
        ended = bool(select.select([alive], [], [], after)[0])
        os.close(alive)
        if not ended:
            before_kill()
            os.kill(pid, signal.SIGKILL)
        code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        return ProcessResult(code=code if ended else None, stderr=reading, seconds=time.monotonic() - start)


def _write_run(task: Task) -> None:
    """Write the run and exit."""
    from asrlab.evaluation.runs.bench import bench, resume

    code = 1
    try:
        if task.begun:
            resume(task.run)
        else:
            bench(task.dataset, models=task.model, run=task.run)
        code = 0
    except BaseException:  # noqa: BLE001 - a fork must not continue the work of its parent
        traceback.print_exc()
    finally:
        sys.stderr.flush()
        os._exit(code)


def import_all(dataset: str | Path, folder: Path, *, model: str = "echo") -> None:
    """Run once in this process, so that forks need no imports; leave no threads."""
    from asrlab.evaluation.runs.bench import bench
    from asrlab.testing.in_process import InProcessExecutor

    bench(dataset, models=model, run=folder / "imports", executor=InProcessExecutor())


def is_pipe_open(pipe: int, *, seconds: float) -> tuple[bool, str]:
    """Return whether the other end of *pipe* is open after *seconds*, and the data."""
    output = b""
    deadline = time.monotonic() + seconds
    try:
        while select.select([pipe], [], [], max(0.0, deadline - time.monotonic()))[0]:
            if not (data := os.read(pipe, 1 << 16)):
                return False, output.decode(errors="replace")
            output += data
        return True, output.decode(errors="replace")
    finally:
        os.close(pipe)
