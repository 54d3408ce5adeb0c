"""Functions in child processes, which contain a library that dies, hangs or prints.

The tasks of a group share a process, one after the other, so that an import such as PyTorch serves all of them. Groups
run in parallel. A failure counts only for the first task of a process: a task that fails after others is run again in a
process of its own, because another task may have caused the failure.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import queue
import selectors
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from importlib import import_module, util
from typing import IO, Any

import attrs

from asrlab.output_files import cache_folder

_READ_BYTES = 1 << 16

type _Results = queue.SimpleQueue[tuple[Task, TaskResult]]


@attrs.frozen(kw_only=True)
class Task:
    """A function call for a child process.

    Attributes:
        label: Name of the task for users, such as an engine's name.
        function: ``package.module:function`` that takes *arguments* by keyword and returns JSON values.
        arguments: JSON values.
        variables: Environment variables of the process; the first task of a group sets them.
    """

    label: str
    function: str
    arguments: Mapping[str, Any] = attrs.field(factory=dict)
    variables: Mapping[str, str] = attrs.field(factory=dict)


@attrs.frozen(kw_only=True)
class TaskResult:
    """The result of a task.

    Attributes:
        value: Return value of the function; None if the task failed.
        failure: Reason why there is no value; empty if there is one.
        died: True if the process ended during the task, or was killed at the time limit.
        raised: True if *failure* is the text of an exception; otherwise *failure* completes "the task ...".
        seconds: Duration of the task; of the first task of a process, its start included.
    """

    value: Any = None
    failure: str = ""
    died: bool = False
    raised: bool = False
    seconds: float = attrs.field(default=0.0, eq=False)


def run_tasks(
    groups: Sequence[Sequence[Task]],
    *,
    timeout_s: float,
    n_processes: int | None = None,
    progress: Callable[[Sequence[str]], object] = lambda _labels: None,
) -> Iterator[tuple[Task, TaskResult]]:
    """Run all tasks, and yield each with its result as soon as it is known.

    The processes start with the call, before the first result is requested.

    Args:
        groups: Groups of tasks. The tasks of a group run in order in one process; the groups run in parallel.
        timeout_s: Seconds that one task may take.
        n_processes: Number of processes at the same time; None for the number of processors, at least 2.
        progress: Called with the labels of the pending tasks, whenever they change.
    """
    results: _Results = queue.SimpleQueue()
    slots = threading.Semaphore(n_processes or max(2, os.cpu_count() or 2))
    runners = [_Group(list(group), timeout_s, results, slots) for group in groups if group]
    progress([task.label for runner in runners for task in runner.tasks])
    for runner in runners:
        runner.start()
    return _collect(runners, results, progress)


def _collect(
    runners: Sequence[_Group], results: _Results, progress: Callable[[Sequence[str]], object]
) -> Iterator[tuple[Task, TaskResult]]:
    pending = [task for runner in runners for task in runner.tasks]
    try:
        progress([task.label for task in pending])  # again: the caller may have printed something in between
        while pending:
            task, result = results.get()
            pending.remove(task)
            progress([other.label for other in pending])
            yield task, result
    finally:
        for runner in runners:
            runner.stop()


class _Group(threading.Thread):
    """A group of tasks and the processes that run them, one process at a time."""

    def __init__(self, tasks: list[Task], timeout_s: float, results: _Results, slots: threading.Semaphore) -> None:
        super().__init__(name="asrlab-isolation", daemon=True)
        self.tasks = tuple(tasks)
        self._timeout_s = timeout_s
        self._results = results
        self._slots = slots
        self._child: _Child | None = None
        self._stopped = False

    def run(self) -> None:
        """Run the tasks to the last; none is left without an answer."""
        remaining = list(self.tasks)
        while remaining and not self._stopped:
            try:
                with self._slots, _Child(remaining) as self._child:
                    remaining = self._collect_results(self._child, remaining)
            except OSError as error:
                for task in remaining:
                    self._results.put((task, TaskResult(failure=f"cannot run in a process: {error}", died=True)))
                return

    def stop(self) -> None:
        """Kill the process."""
        self._stopped = True
        if self._child is not None:
            self._child.kill()

    def _collect_results(self, child: _Child, remaining: list[Task]) -> list[Task]:
        """Collect the results of *child*; return the tasks that need another process."""
        for index, task in enumerate(remaining):
            start = time.monotonic()
            result = attrs.evolve(child.next_result(self._timeout_s), seconds=time.monotonic() - start)
            if result.failure and index:
                return remaining[index:]
            self._results.put((task, result))
            if result.died:
                return remaining[index + 1 :]
        return []


class _Child:
    """A process that runs tasks in order and reports each result as a line of JSON.

    The results use a copy of its standard output. What libraries print goes into a temporary file, like its standard
    error.
    """

    def __init__(self, tasks: Sequence[Task]) -> None:
        options, variables = _bytecode_options()
        self._log_file: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115 - closed by __exit__
        self._process = subprocess.Popen(
            python_command("from asrlab.isolation import serve; serve()", *options),
            env={**(os.environ if variables is None else variables), **tasks[0].variables},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._log_file,
            start_new_session=True,  # the children of a library end with the process
        )
        assert self._process.stdin is not None  # noqa: S101 - a pipe
        assert self._process.stdout is not None  # noqa: S101 - a pipe
        self._output = self._process.stdout.fileno()
        self._received = b""
        with contextlib.suppress(BrokenPipeError), self._process.stdin as stdin:
            stdin.write(json.dumps([attrs.asdict(task) for task in tasks]).encode())

    def __enter__(self) -> _Child:
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()
        self._process.wait()
        for stream in (self._process.stdout, self._log_file):
            if stream is not None:
                stream.close()

    def kill(self) -> None:
        """Kill the process and everything it started."""
        if self._process.returncode is None:
            kill_process_group(self._process.pid)

    def next_result(self, timeout_s: float) -> TaskResult:
        """Return the next result, or the failure of the process."""
        line = self._read_line(time.monotonic() + timeout_s)
        if line is None:
            return TaskResult(failure=f"does not end within {timeout_s:g} s", died=True)
        if not line:
            return TaskResult(failure=self._exit_failure(), died=True)
        message = json.loads(line)
        for name, level, text in message["log"]:
            logging.getLogger(name).log(level, "%s", text)
        return TaskResult(value=message["value"], failure=message["failure"], raised=message["raised"])

    def _read_line(self, deadline: float) -> bytes | None:
        """Return the next line; empty at the end of the output, None at the deadline."""
        with selectors.DefaultSelector() as selector:
            selector.register(self._output, selectors.EVENT_READ)
            while b"\n" not in self._received:
                if not selector.select(max(0.0, deadline - time.monotonic())):
                    return None
                data = os.read(self._output, _READ_BYTES)
                if not data:
                    return b""
                self._received += data
        line, _, self._received = self._received.partition(b"\n")
        return line

    def _exit_failure(self) -> str:
        try:
            code = self._process.wait(timeout=1)
        except subprocess.TimeoutExpired:
            return "closes the files of its process"
        self._log_file.seek(0)
        lines = self._log_file.read().decode(errors="replace").strip().splitlines()
        return f"ends its process ({describe_exit(code)})" + (f"; last output: {lines[-1]}" if lines else "")


def _bytecode_options() -> tuple[list[str], dict[str, str] | None]:
    """Return the options and the environment with which a child caches bytecode; None for the present environment.

    If ``PYTHONDONTWRITEBYTECODE`` is set and the packages have no bytecode, each import compiles them again: 8 of 12
    seconds for PyTorch and transformers. The children then use asrlab's cache.
    """
    beside_source = util.cache_from_source(attrs.__file__)
    if sys.pycache_prefix or not sys.dont_write_bytecode or os.path.exists(beside_source):  # noqa: PTH110 - a str
        return [], None
    variables = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    return ["-X", f"pycache_prefix={cache_folder() / 'bytecode'}"], variables


def python_command(statement: str, *options: str) -> list[str]:
    """Return the command that runs *statement* in a new interpreter with the import path of this process.

    The child then imports the same packages as this process, and nothing from the folder in which it starts.
    """
    return [sys.executable, *options, "-c", f"import sys; sys.path[:] = {sys.path!r}; {statement}"]


def kill_process_group(pid: int) -> None:
    """Kill the process group *pid*, if it still exists."""
    with contextlib.suppress(ProcessLookupError, PermissionError):  # macOS refuses for a group of zombies
        os.killpg(pid, signal.SIGKILL)


def describe_exit(code: int) -> str:
    """Return a phrase for an exit status, such as ``SIGABRT`` for -6."""
    if code >= 0:
        return f"exit status {code}"
    name = next((known.name for known in signal.Signals if known == -code), f"signal {-code}")
    return f"{name} (sent by a user or a scheduler, or perhaps for lack of memory)" if code == -signal.SIGKILL else name


def serve() -> None:
    """Run the tasks from standard input, and end the process. This is the child's side of `run_tasks`."""
    import gc

    gc.disable()  # garbage collection takes a tenth of an import's time, and the process lives for seconds
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # the output of libraries, from Python or not, must not mix with the results
    encode = json.JSONEncoder().encode
    log = _Log()
    logging.getLogger("asrlab").addHandler(log)
    logging.getLogger("asrlab.plugins").setLevel(logging.CRITICAL)  # the parent has reported broken plugins
    for task in json.loads(sys.stdin.buffer.read()):
        message = _call(task) | {"log": log.take()}
        try:
            line = encode(message)
        except (TypeError, ValueError) as error:
            line = encode(_failure(error) | {"log": []})
        answers.write(line + "\n")
        answers.flush()
    os._exit(0)  # skip the exit handlers of libraries, which take time and may hang


def _call(task: Mapping[str, Any]) -> dict[str, Any]:
    try:
        return {"value": load_dotted(task["function"])(**task["arguments"]), "failure": "", "raised": False}
    except SystemExit:
        return {"value": None, "failure": "ends its process (sys.exit)", "raised": False}
    except BaseException as error:  # noqa: BLE001 - the boundary of the process
        return _failure(error)


def _failure(error: BaseException) -> dict[str, Any]:
    return {"value": None, "failure": f"{type(error).__name__}: {error}", "raised": True}


def load_dotted(function: str) -> Callable[..., Any]:
    """Return the function that ``package.module:function`` names."""
    module, _, name = function.partition(":")
    result: Callable[..., Any] = getattr(import_module(module), name)
    return result


class _Log(logging.Handler):
    """Handler that collects warnings for the parent process to log."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self._records: list[tuple[str, int, str]] = []

    def emit(self, record: logging.LogRecord) -> None:
        self._records.append((record.name, record.levelno, record.getMessage()))

    def take(self) -> list[tuple[str, int, str]]:
        """Return the records since the last call."""
        taken, self._records = self._records, []
        return taken
