"""Runs cells, each in a process of its own with a time limit."""

from __future__ import annotations

import os
import pickle
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import IO

import attrs

from asrlab.evaluation.matrix.messages import CheckStarted, Job, Kernels
from asrlab.evaluation.matrix.records import CellResult, CheckResult, Facts

# The path of this process, so that the cell imports what is imported here, and nothing from where it is started.
_START = "import sys; sys.path[:] = {path!r}; from asrlab.evaluation.matrix.cell import main; main()"

# numba, which openai-whisper times words with, otherwise gives torch as many threads as there are cores
_THREADS = ("OMP_NUM_THREADS", "NUMBA_NUM_THREADS")


def run_cells(
    cells: Sequence[Job], *, limit_s: float, at_once: int = 1, done: Callable[[CellResult], None]
) -> tuple[CellResult, ...]:
    """Run each of *cells* to its end.

    Args:
        cells: In the order of the result.
        limit_s: Seconds that a cell may take before it is ended.
        at_once: How many processes run at the same time.
        done: Told of each as it ends, one at a time.
    """
    lock = threading.Lock()

    def one(job: Job) -> CellResult:
        # cells side by side would wait for each other's threads; the simulation's operators are too small for several
        cell = run_cell(job, limit_s=limit_s, threads=1 if at_once > 1 or job.where.simulated else None)
        with lock:
            done(cell)
        return cell

    with ThreadPoolExecutor(at_once) as pool:
        return tuple(pool.map(one, cells))


def run_cell(job: Job, *, limit_s: float, threads: int | None = None) -> CellResult:
    """Run a cell; a check that takes the process along, or longer than the limit, has failed."""
    start = time.monotonic()
    log = _Log()
    with (
        tempfile.TemporaryDirectory(prefix="asrlab-matrix-") as scratch,
        tempfile.TemporaryFile() as errors,
        _started(errors, scratch, threads) as process,
    ):
        ended = threading.Event()
        timer = threading.Timer(limit_s, _end, (process, ended))
        timer.start()
        try:
            log.listen(process, job)
            code = process.wait()
        finally:
            timer.cancel()
            process.kill()
        if ended.is_set():
            log.ended(f"it took longer than the limit of {limit_s:g} s, and was ended")
        elif code:
            log.ended(f"the process died of {_cause(code)}{_last_line(errors)}")
    return attrs.evolve(log.result(job), seconds=round(time.monotonic() - start, 1))


def _end(process: subprocess.Popen[bytes], ended: threading.Event) -> None:
    ended.set()
    process.kill()


def _started(errors: IO[bytes], scratch: str, threads: int | None) -> subprocess.Popen[bytes]:
    """The process, with *scratch* for its temporary files, which it may be ended before it has removed."""
    limits = {} if threads is None else {name: str(threads) for name in _THREADS if name not in os.environ}
    return subprocess.Popen(
        [sys.executable, "-c", _START.format(path=sys.path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=errors,
        env={**os.environ, **limits, "TMPDIR": scratch},
    )


@attrs.define
class _Log:
    """What a cell has said so far."""

    checks: list[CheckResult] = attrs.field(factory=list)
    facts: Facts | None = None
    kernels: Kernels | None = None
    under_way: str = "start"
    since: float = attrs.field(factory=time.monotonic)

    def listen(self, process: subprocess.Popen[bytes], job: Job) -> None:
        """Tell the process which cell it is, and take in what it says until its end."""
        assert process.stdin is not None  # noqa: S101 - opened as a pipe
        with suppress(BrokenPipeError):
            process.stdin.write(pickle.dumps(job))
            process.stdin.close()  # an engine that reads it is at its end
        for message in _messages(process):
            self._take(message)

    def _take(self, message: object) -> None:
        self.since = time.monotonic()
        match message:
            case CheckStarted(check=name):
                self.under_way = name
            case CheckResult():
                self.checks.append(message)
                self.under_way = f"after {message.name}"
            case Facts():
                self.facts = message
            case Kernels():
                self.kernels = message

    def ended(self, why: str) -> None:
        """The check under way has failed with the process."""
        seconds = round(time.monotonic() - self.since, 3)
        self.checks.append(CheckResult(name=self.under_way, outcome="failed", error=why, seconds=seconds))

    def result(self, job: Job) -> CellResult:
        """All of it."""
        return CellResult(
            model=job.model,
            column=job.column,
            checks=tuple(self.checks),
            facts=self.facts,
            kernels=self.kernels.plain if self.kernels else None,
            kernel_table=self.kernels.table if self.kernels else "",
        )


def _messages(process: subprocess.Popen[bytes]) -> Iterator[object]:
    assert process.stdout is not None  # noqa: S101 - opened as a pipe
    with suppress(EOFError, pickle.UnpicklingError):
        while True:
            yield pickle.load(process.stdout)  # noqa: S301 - from our own child


def _cause(code: int) -> str:
    if code >= 0:
        return f"exit status {code}"
    name = next((known.name for known in signal.Signals if known == -code), f"signal {-code}")
    return f"{name} (too little memory, perhaps)" if name == "SIGKILL" else name


def _last_line(errors: IO[bytes]) -> str:
    """What it said last on standard error."""
    errors.seek(0)
    lines = errors.read().decode(errors="replace").strip().splitlines()
    return f": {lines[-1][:200]}".replace(str(Path.home()), "~") if lines else ""
