"""The cells of a run of the matrix, and their child processes with a time limit for each."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path

import attrs

from asrlab.evaluation.matrix.cell import CELL_RECORDS, TINY, CellJob
from asrlab.evaluation.matrix.records import COLUMNS, CellResult, CheckResult
from asrlab.evaluation.runs.storage import read_records
from asrlab.isolation import Task, TaskResult, run_tasks
from asrlab.plugins.manager import PluginHost
from asrlab.plugins.registry import Registry

_MAX_LINE_CHARS = 300
# numba, which openai-whisper aligns words with, otherwise gives torch as many threads as there are cores
_THREADS = ("OMP_NUM_THREADS", "NUMBA_NUM_THREADS")


def plan_cells(models: Sequence[str], columns: Iterable[str]) -> tuple[CellJob, ...]:
    """Return the cells of a run, model by model.

    Args:
        models: Engines or models; none for the default model of every installed engine.
        columns: Names of devices; none for all devices.

    Raises:
        EngineNotFoundError: If a name is neither an engine nor a model.
    """
    registry = Registry(PluginHost())
    defaults = (
        f"{spec.name}/{spec.default_model or spec.models[0].name}" for spec in registry.engines() if spec.models
    )
    names = tuple(models) or tuple(defaults)
    rows = dict(row for name in names for row in _rows(registry, name))
    wanted = set(columns) or set(COLUMNS)
    return tuple(
        CellJob(model=model, column=column, load_name=name)
        for model, name in rows.items()
        for column in COLUMNS
        if column in wanted
    )


def _rows(registry: Registry, name: str) -> Iterator[tuple[str, str]]:
    """Yield each row for *name* with the name to load.

    The weights of LFM2.5-Audio are too large for most machines, so that its default model has a row with the tiny
    checkpoint, too.
    """
    engine = TINY.partition("/")[0]
    if name == TINY:
        yield TINY, engine
        return
    resolved = registry.resolve(name)
    if resolved.engine.name == engine and resolved == registry.resolve(engine):
        yield TINY, engine
    yield resolved.name, name


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
        results: dict[CellJob, CellResult] = {}
        for task, result in run_tasks([[task] for task in tasks], timeout_s=limit_s, n_processes=n_processes):
            job = CellJob(**task.arguments["job"])
            results[job] = _cell_result(job, Path(task.arguments["ledger"]), result)
            on_result(results[job])
    return tuple(results[job] for job in cells)


def _task(job: CellJob, folder: Path, n_processes: int) -> Task:
    folder.mkdir()
    # parallel cells would wait for each other's threads; the ops of a simulation are too small for several threads
    single_threaded = n_processes > 1 or job.device.simulated
    threads = {name: "1" for name in _THREADS if name not in os.environ} if single_threaded else {}
    return Task(
        label=f"{job.model} on {job.column}",
        function="asrlab.evaluation.matrix.cell:run_job",
        arguments={"job": attrs.asdict(job), "ledger": str(folder / "ledger.jsonl")},
        # a process that is killed does not remove its temporary files
        variables={**threads, "TMPDIR": str(folder)},
    )


def _cell_result(job: CellJob, ledger: Path, result: TaskResult) -> CellResult:
    cell = CellResult(model=job.model, column=job.column)
    for cell in read_records(ledger, CELL_RECORDS) if ledger.exists() else ():  # noqa: B007 - the last one
        pass
    checks = list(cell.checks)
    if result.failure:
        error = f"the cell {result.failure}".replace(str(Path.home()), "~")[:_MAX_LINE_CHARS]
        running = checks.pop() if checks and checks[-1] == CheckResult(name=checks[-1].name, outcome="failed") else None
        name = running.name if running else f"after {checks[-1].name}" if checks else "start"
        checks.append(CheckResult(name=name, outcome="failed", error=error))
    return attrs.evolve(cell, checks=tuple(checks), seconds=round(result.seconds, 1))
