"""Functions in child processes cannot harm the parent by dying, hanging or printing."""

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
    """A module with a function for each behaviour, on the import path of child processes."""
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
    return {task.label: answer for task, answer in run_tasks(tasks, timeout_s=timeout_s)}


@pytest.mark.parametrize("kind", FAILURES)
def test_a_task_that_fails_does_not_affect_the_others(kind: str):
    """Whatever a task does to its process, the tasks before and after it have their values."""
    answers = run(["first", kind, "last"])
    assert (answers["first"].value, answers["last"].value) == ("first", "last")
    assert answers[kind].failure.startswith(FAILURES[kind])
    assert answers[kind].raised is (": " in FAILURES[kind] and "output" not in FAILURES[kind])


def test_a_task_that_hangs_is_killed():
    """A task that takes longer than the limit is named, and its process no longer exists."""
    answer = run(["hangs"], timeout_s=1.0)["hangs"]
    assert answer == TaskResult(failure="does not end within 1 s", died=True)


@pytest.mark.parametrize("kind", ["prints", "json"])
def test_output_of_a_task_is_not_mistaken_for_a_result(kind: str):
    """Text on standard output and replaced functions of json change no result."""
    answers = run([kind, "next"])
    assert [answer.value for answer in answers.values()] == [kind, "next"]


def test_a_task_that_fails_after_others_is_run_again_alone():
    """A failure that an earlier task caused is not reported."""
    assert run(["first", "alone"])["alone"] == TaskResult(value="alone")


def test_the_tasks_of_a_group_share_a_process():
    """The import of the first task serves the second; another group has a process of its own."""
    tasks = [Task(label=str(number), function="behaviours:work", arguments={"kind": "pid"}) for number in range(3)]
    pids = {task.label: answer.value for task, answer in run_tasks([tasks[:2], tasks[2:]], timeout_s=60)}
    assert pids["0"] == pids["1"] != pids["2"]


def test_progress_names_the_pending_tasks():
    """Progress has all labels at the start, and the remaining ones after each result."""
    seen: list[list[str]] = []
    tasks = [Task(label=name, function="behaviours:work", arguments={"kind": name}) for name in ("a", "b")]
    assert [task.label for task, _ in run_tasks([tasks], timeout_s=60, progress=lambda names: seen.append([*names]))]
    assert seen == [["a", "b"], ["a", "b"], ["b"], []]
