"""Child processes, and functions in them, which contain a library that dies, hangs or prints.

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
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from importlib import util
from pkgutil import resolve_name
from typing import IO, Any, BinaryIO, Self

import attrs

from asrlab.output_files import cache_folder

SHUTDOWN_TIMEOUT_S = 10.0
"""Seconds a process may take to end; the threads of a library, or a driver that hangs, may delay the end forever."""
_LENGTH_BYTES = 8

type Inbox = queue.SimpleQueue[tuple[ChildProcess, bytes | int]]
type _Results = queue.SimpleQueue[tuple[Task, TaskResult]]


class ChildProcess:
    """A Python process that exchanges frames of bytes with this one.

    Two threads handle the pipes: a process that hangs reads nothing, and sending it an hour of audio would block.

    Args:
        statement: The statement to run, which reads and writes frames with `take_pipes`.
        inbox: Receives this process with each of its frames, and last with its exit status, negative for a signal.
        options: Options of Python.
        env: Environment variables; None for those of this process.
        stderr: File for standard error; None for that of this process.

    Attributes:
        outlived_output: True if the process closed its output and had to be killed.
    """

    def __init__(
        self,
        statement: str,
        inbox: Inbox,
        *,
        options: Sequence[str] = (),
        env: Mapping[str, str] | None = None,
        stderr: IO[bytes] | None = None,
    ) -> None:
        self.outlived_output = False
        self._inbox = inbox
        self._outbox: queue.SimpleQueue[bytes | None] = queue.SimpleQueue()
        self._process = subprocess.Popen(
            python_command(statement, *options),
            env=env,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=stderr,
            start_new_session=True,  # Ctrl-C reaches only the parent, which ends the process with all its children
        )
        self._receiver = threading.Thread(target=self._receive, name="asrlab-receiver", daemon=True)
        self._receiver.start()
        threading.Thread(target=self._transmit, name="asrlab-transmitter", daemon=True).start()

    @property
    def pid(self) -> int:
        """Id of the process, and of the process group of everything it starts."""
        return self._process.pid

    def send(self, data: bytes) -> None:
        """Send a frame without waiting."""
        self._outbox.put(data)

    def shutdown(self) -> None:
        """End the input of the process, so that it ends by itself after the frames it was sent."""
        self._outbox.put(None)

    def kill(self) -> None:
        """Kill the process and everything it started."""
        self.shutdown()
        if self._receiver.is_alive():  # otherwise the process has ended, and its id may be in use again
            with contextlib.suppress(ProcessLookupError, PermissionError):  # macOS refuses for a group of zombies
                os.killpg(self.pid, signal.SIGKILL)

    def join(self, timeout_s: float) -> None:
        """Wait for the end of the process, at most *timeout_s* seconds."""
        self._receiver.join(max(0.0, timeout_s))

    def release_pipe(self) -> None:
        """Kill the children of a dead process, which may keep its pipe open and so hide its death."""
        if self._process.poll() is not None:
            self.kill()

    def _receive(self) -> None:
        stdout: Any = self._process.stdout
        with stdout:
            while (data := read_frame(stdout)) is not None:
                self._inbox.put((self, data))
        try:
            self._process.wait(SHUTDOWN_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            self.outlived_output = True
        self.kill()
        self._inbox.put((self, self._process.wait()))

    def _transmit(self) -> None:
        stdin: Any = self._process.stdin
        with contextlib.suppress(OSError):  # a broken pipe: the receiver reports the death of the process
            while (data := self._outbox.get()) is not None:
                write_frame(stdin, data)
        with contextlib.suppress(OSError):
            stdin.close()


def take_pipes() -> tuple[BinaryIO, BinaryIO]:
    """Return the pipes from and to the parent; libraries then read nothing, and print to standard error."""
    requests, answers = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    devnull = os.open(os.devnull, os.O_RDONLY)
    os.dup2(devnull, 0)
    os.close(devnull)
    sys.stdout.flush()
    os.dup2(2, 1)
    return requests, answers


def write_frame(stream: BinaryIO, data: bytes) -> None:
    """Write a message with its length, and flush."""
    stream.write(len(data).to_bytes(_LENGTH_BYTES))
    stream.write(data)
    stream.flush()


def read_frame(stream: BinaryIO) -> bytes | None:
    """Return the next message; None if the other side has ended, even within a message.

    The length marks the next message, so that a message that cannot be decoded does not affect the others.
    """
    head = stream.read(_LENGTH_BYTES)
    length = int.from_bytes(head)
    data = stream.read(length) if len(head) == _LENGTH_BYTES else b""
    return data if head and len(data) == length else None


def python_command(statement: str, *options: str) -> list[str]:
    """Return the command that runs *statement* in a new interpreter with the import path of this process.

    The child then imports the same packages as this process, and nothing from the folder in which it starts.
    """
    return [sys.executable, *options, "-c", f"import sys; sys.path[:] = {sys.path!r}; {statement}"]


def describe_exit(code: int) -> str:
    """Return a phrase for an exit status, such as ``SIGABRT`` for -6."""
    if code >= 0:
        return f"exit status {code}"
    name = next((known.name for known in signal.Signals if known == -code), f"signal {-code}")
    return f"{name} (sent by a user or a scheduler, or perhaps for lack of memory)" if code == -signal.SIGKILL else name


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
    runners = [_Group(group, timeout_s, results, slots) for group in groups if group]
    pending = [task for group in groups for task in group]
    progress([task.label for task in pending])
    for runner in runners:
        runner.start()

    def collect() -> Iterator[tuple[Task, TaskResult]]:
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

    return collect()


class _Group(threading.Thread):
    """A group of tasks and the processes that run them, one process at a time."""

    def __init__(self, tasks: Sequence[Task], timeout_s: float, results: _Results, slots: threading.Semaphore) -> None:
        super().__init__(name="asrlab-isolation", daemon=True)
        self._pending = list(tasks)
        self._timeout_s = timeout_s
        self._results = results
        self._slots = slots
        self._child: _TaskProcess | None = None

    def run(self) -> None:
        """Run the tasks to the last; none is left without an answer."""
        while pending := self._pending:
            try:
                with self._slots, _TaskProcess(pending) as self._child:
                    self._collect_results(self._child, pending)
            except OSError as error:
                for task in self._pending:
                    self._results.put((task, TaskResult(failure=f"cannot run in a process: {error}", died=True)))
                return

    def stop(self) -> None:
        """Kill the process, and start no other one."""
        self._pending = []
        if self._child is not None:
            self._child.kill()

    def _collect_results(self, child: _TaskProcess, tasks: Sequence[Task]) -> None:
        """Collect the results of *child* until a task needs another process."""
        for index, task in enumerate(tasks):
            start = time.monotonic()
            result = attrs.evolve(child.next_result(self._timeout_s), seconds=time.monotonic() - start)
            if result.failure and index:
                return
            self._pending = self._pending[1:]
            self._results.put((task, result))
            if result.died:
                return


class _TaskProcess(ChildProcess):
    """A process that runs tasks in order and reports each result; what libraries print goes into a temporary file."""

    def __init__(self, tasks: Sequence[Task]) -> None:
        options, variables = _bytecode_options()
        self._results: Inbox = queue.SimpleQueue()
        self._log_file: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115 - closed by __exit__
        super().__init__(
            "from asrlab.isolation import serve; serve()",
            self._results,
            options=options,
            env={**(os.environ if variables is None else variables), **tasks[0].variables},
            stderr=self._log_file,
        )
        self.send(json.dumps([attrs.asdict(task) for task in tasks]).encode())
        self.shutdown()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()
        self.join(SHUTDOWN_TIMEOUT_S)
        self._log_file.close()

    def next_result(self, timeout_s: float) -> TaskResult:
        """Return the next result, or the failure of the process."""
        try:
            _, message = self._results.get(timeout=timeout_s)
        except queue.Empty:
            return TaskResult(failure=f"does not end within {timeout_s:g} s", died=True)
        if isinstance(message, int):
            return TaskResult(failure=self._exit_failure(message), died=True)
        answer = json.loads(message)
        for name, level, text in answer["log"]:
            logging.getLogger(name).log(level, "%s", text)
        return TaskResult(value=answer["value"], failure=answer["failure"], raised=answer["raised"])

    def _exit_failure(self, code: int) -> str:
        if self.outlived_output:
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


def serve() -> None:
    """Run the tasks that `run_tasks` sent, and end the process."""
    import gc

    gc.disable()  # garbage collection takes a tenth of an import's time, and the process lives for seconds
    requests, answers = take_pipes()
    encode = json.JSONEncoder().encode
    log = _Log()
    logging.getLogger("asrlab").addHandler(log)
    logging.getLogger("asrlab.plugins").setLevel(logging.CRITICAL)  # the parent has reported broken plugins
    for task in json.loads(read_frame(requests) or b"[]"):
        message = _call(task) | {"log": log.records}
        log.records = []
        try:
            line = encode(message)
        except (TypeError, ValueError) as error:
            line = encode(_failure(error) | {"log": []})
        write_frame(answers, line.encode())
    os._exit(0)  # skip the exit handlers of libraries, which take time and may hang


def _call(task: Mapping[str, Any]) -> dict[str, Any]:
    try:
        return {"value": resolve_name(task["function"])(**task["arguments"]), "failure": "", "raised": False}
    except SystemExit:
        return {"value": None, "failure": "ends its process (sys.exit)", "raised": False}
    except BaseException as error:  # noqa: BLE001 - the boundary of the process
        return _failure(error)


def _failure(error: BaseException) -> dict[str, Any]:
    return {"value": None, "failure": f"{type(error).__name__}: {error}", "raised": True}


class _Log(logging.Handler):
    """Handler that collects warnings for the parent process to log."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.records: list[tuple[str, int, str]] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.records.append((record.name, record.levelno, record.getMessage()))
