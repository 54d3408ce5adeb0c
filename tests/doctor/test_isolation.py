"""Functions in child processes do not harm the parent if they exit, hang or print."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import pytest

from asrlab.isolation import Task, TaskResult, run_tasks

if TYPE_CHECKING:
    from pathlib import Path

BEHAVIOURS = """
import os, sys, json, signal

seen = []

def work(kind):
    seen.append(kind)
    if kind == "raises": raise ValueError("no")
    if kind == "base": raise BaseException("worse")
    if kind == "interrupts": raise KeyboardInterrupt
    if kind == "exits": sys.exit(3)
    if kind == "ends": os._exit(0)
    if kind == "aborts": os.write(2, b"no such symbol\\n"); os.kill(os.getpid(), signal.SIGABRT)
    if kind == "hangs": signal.sigtimedwait([signal.SIGUSR1], 60)
    if kind == "unsendable": return object()
    if kind == "prints": print("hello"); os.write(1, b"{}\\n")
    if kind == "json": json.dumps = json.loads = lambda *_, **__: "replaced"
    if kind == "alone" and len(seen) > 1: raise ValueError("cannot share")
    if kind == "pid": return os.getpid()
    return kind
"""

FAILURES = {
    "ends": "ends its process (exit status 0)",
    "raises": "ValueError: no",
    "base": "BaseException: worse",
    "interrupts": "KeyboardInterrupt: ",
    "exits": "ends its process (sys.exit)",
    "aborts": "ends its process (SIGABRT); last output: no such symbol",
    "unsendable": "TypeError: Object of type object is not JSON serializable",
}


@pytest.fixture(scope="module", autouse=True)
def behaviours(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Yield a folder on the import path with a module that has a function for each behaviour."""
    folder = tmp_path_factory.mktemp("behaviours")
    (folder / "behaviours.py").write_text(BEHAVIOURS)
    sys.path.insert(0, str(folder))
    yield folder
    sys.path.remove(str(folder))


def run(*groups: list[str], timeout_s: float = 60.0) -> dict[str, TaskResult]:
    """Return the result of each kind of task."""
    tasks = [
        [Task(label=kind, function="behaviours:work", arguments={"kind": kind}) for kind in group] for group in groups
    ]
    return {task.label: result for task, result in run_tasks(tasks, timeout_s=timeout_s)}


@pytest.mark.parametrize("kind", FAILURES)
def test_a_task_that_fails_does_not_affect_the_others(kind: str):
    """The tasks before and after a failing task return their values, whatever the failure."""
    results = run(["first", kind, "last"])
    assert (results["first"].value, results["last"].value) == ("first", "last")
    assert results[kind].failure.startswith(FAILURES[kind])
    assert results[kind].raised is (": " in FAILURES[kind] and "output" not in FAILURES[kind])


def test_a_task_that_hangs_is_killed():
    """A task that exceeds the time limit is reported, and its process is killed."""
    result = run(["hangs"], timeout_s=1.0)["hangs"]
    assert result == TaskResult(failure="does not end within 1 s", died=True)


@pytest.mark.parametrize("kind", ["prints", "json"])
def test_output_of_a_task_is_not_mistaken_for_a_result(kind: str):
    """Text on standard output and replaced functions of json do not change a result."""
    results = run([kind, "next"])
    assert [result.value for result in results.values()] == [kind, "next"]


def test_a_task_that_fails_after_others_is_run_again_alone():
    """A task that fails after other tasks is run again in its own process."""
    assert run(["first", "alone"])["alone"] == TaskResult(value="alone")


def test_the_tasks_of_a_group_share_a_process():
    """Tasks of a group share a process, and another group has another process."""
    tasks = [Task(label=str(number), function="behaviours:work", arguments={"kind": "pid"}) for number in range(3)]
    pids = {task.label: result.value for task, result in run_tasks([tasks[:2], tasks[2:]], timeout_s=60)}
    assert pids["0"] == pids["1"] != pids["2"]


def test_progress_names_the_pending_tasks():
    """Progress has all labels at the start, and the remaining ones after each result."""
    progress_calls: list[list[str]] = []
    tasks = [Task(label=name, function="behaviours:work", arguments={"kind": name}) for name in ("a", "b")]
    assert [
        task.label
        for task, _ in run_tasks([tasks], timeout_s=60, progress=lambda names: progress_calls.append([*names]))
    ]
    assert progress_calls == [["a", "b"], ["a", "b"], ["b"], []]
