"""Running cells in child processes, with a time limit for each."""

from __future__ import annotations

import os
import pickle
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path

import attrs

from asrlab.evaluation.matrix.cell_context import CellJob, CheckStarted, KernelUse
from asrlab.evaluation.matrix.records import CellFacts, CellResult, CheckResult
from asrlab.isolation import Task, TaskResult, run_tasks

_MAX_LINE_CHARS = 300
# numba, which openai-whisper aligns words with, otherwise gives torch as many threads as there are cores
_THREADS = ("OMP_NUM_THREADS", "NUMBA_NUM_THREADS")


def run_cells(
    cells: Sequence[CellJob], *, limit_s: float, n_processes: int = 1, on_result: Callable[[CellResult], None]
) -> tuple[CellResult, ...]:
    """Run cells, each in a child process.

    A check that ends the process, or exceeds the limit, has failed.

    Args:
        cells: The cells, in the order of the result.
        limit_s: Maximum seconds for a cell.
        n_processes: Number of processes that run at the same time.
        on_result: Called with each result as soon as its cell ends.
    """
    with tempfile.TemporaryDirectory(prefix="asrlab-matrix-") as folder:
        tasks = [_task(job, Path(folder, str(number)), n_processes) for number, job in enumerate(cells)]
        results: dict[str, CellResult] = {}
        for task, result in run_tasks([[task] for task in tasks], timeout_s=limit_s, n_processes=n_processes):
            messages = task.arguments["messages"]
            results[messages] = _cell_result(CellJob(**task.arguments["job"]), Path(messages), result)
            on_result(results[messages])
    return tuple(results[task.arguments["messages"]] for task in tasks)


def _task(job: CellJob, folder: Path, n_processes: int) -> Task:
    folder.mkdir()
    # parallel cells would wait for each other's threads; the ops of a simulation are too small for several threads
    single_threaded = n_processes > 1 or job.device.simulated
    threads = {name: "1" for name in _THREADS if name not in os.environ} if single_threaded else {}
    return Task(
        label=f"{job.model} on {job.column}",
        function="asrlab.evaluation.matrix.cell:run_job",
        arguments={"job": attrs.asdict(job), "messages": str(folder / "messages")},
        # a process that is killed does not remove its temporary files
        variables={**threads, "TMPDIR": str(folder)},
    )


def _cell_result(job: CellJob, messages: Path, result: TaskResult) -> CellResult:
    checks: list[CheckResult] = []
    facts: CellFacts | None = None
    kernels: KernelUse | None = None
    current = "start"
    for message in _read(messages):
        match message:
            case CheckStarted(check=current):
                pass
            case CheckResult():
                checks.append(message)
                current = f"after {message.name}"
            case CellFacts():
                facts = message
            case KernelUse():
                kernels = message
    if result.failure:
        error = f"the cell {result.failure}".replace(str(Path.home()), "~")[:_MAX_LINE_CHARS]
        checks.append(CheckResult(name=current, outcome="failed", error=error))
    return CellResult(
        model=job.model,
        column=job.column,
        checks=tuple(checks),
        facts=facts,
        seconds=round(result.seconds, 1),
        kernels=kernels.plain if kernels else None,
        kernel_table=kernels.table if kernels else "",
    )


def _read(messages: Path) -> Iterator[object]:
    with suppress(EOFError, pickle.UnpicklingError, FileNotFoundError), messages.open("rb") as stream:
        while True:
            yield pickle.load(stream)  # noqa: S301 - written by our child process
