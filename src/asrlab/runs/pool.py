"""One worker process and the talk with it."""

from __future__ import annotations

import pickle
import signal
import subprocess
import sys
from collections import deque
from collections.abc import Generator, Sequence
from contextlib import suppress
from types import TracebackType
from typing import Self

from asrlab.runs.messages import CRASHED, Done, Failure, Job, Loaded, Unit

__all__ = ["Worker", "run_units"]

FAREWELL_S = 10
"""Seconds a worker may take to end by itself; an engine's threads may keep it from that for ever."""

# The path of this process, so that the worker imports what is imported here, and nothing from where it is started.
_START = "import sys; sys.path[:] = {path!r}; from asrlab.runs.worker import main; main()"


def run_units(job: Job, units: Sequence[Unit]) -> Generator[Loaded | Done | Failure]:
    """Everything that workers say about *job*, one unit in flight at a time.

    A worker that dies takes the unit in flight along, as a `Done` with a failure of kind ``crashed``; another one goes
    on with the rest.

    Yields:
        A `Failure` alone if the model does not load; else `Loaded` and then a `Done` per unit in order.
    """
    left = deque(units)
    loaded = False
    while left or not loaded:
        with Worker(job) as worker:
            hello = worker.hello()
            if isinstance(hello, Failure):
                yield from [hello] if not loaded else [Done(index=unit.index, failure=hello) for unit in left]
                return
            if not loaded:
                yield hello
            loaded = True
            while left and not worker.dead:
                yield worker.ask(left.popleft())


class Worker:
    """A started ``asrlab.runs.worker``; a context manager that ends it whatever happens.

    Attributes:
        dead: It died.
    """

    def __init__(self, job: Job) -> None:
        self.dead = False
        # a session of its own: Ctrl-C is for this process, which then ends the worker
        self._process = subprocess.Popen(
            [sys.executable, "-c", _START.format(path=sys.path)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            start_new_session=True,
        )
        self._job = job

    def hello(self) -> Loaded | Failure:
        """Send the job; what becomes of loading the model."""
        self._send(self._job)
        answer = self._receive()
        return answer if isinstance(answer, Loaded | Failure) else self._death("loading the model")

    def ask(self, unit: Unit) -> Done:
        """Send a unit; what becomes of it."""
        try:
            self._send(unit)
        except (pickle.PicklingError, TypeError, AttributeError) as error:
            message = f"the audio cannot be sent to the worker process ({error}); give a path, bytes or an array"
            return Done(index=unit.index, failure=Failure(kind="AudioError", message=message))
        answer = self._receive()
        if isinstance(answer, Done):
            return answer
        return Done(index=unit.index, failure=self._death("transcribing this utterance"))

    def _send(self, message: Job | Unit) -> None:
        stdin = self._process.stdin
        assert stdin is not None  # noqa: S101 - opened as a pipe
        data = pickle.dumps(message)  # whole before the first byte is written
        with suppress(BrokenPipeError):  # a worker that died is noticed when its answer is awaited
            stdin.write(data)
            stdin.flush()

    def _receive(self) -> object:
        """The next message; None if the worker died before it had sent one."""
        stdout = self._process.stdout
        assert stdout is not None  # noqa: S101 - opened as a pipe
        try:
            return pickle.load(stdout)  # noqa: S301 - from our own child
        except (EOFError, pickle.UnpicklingError):
            return None

    def _death(self, doing: str) -> Failure:
        self.dead = True
        return Failure(kind=CRASHED, message=f"the worker process died of {self._cause()} while {doing}")

    def _cause(self) -> str:
        code = self._process.wait()
        if code >= 0:
            return f"exit status {code}"
        name = next((known.name for known in signal.Signals if known == -code), f"signal {-code}")
        return f"{name} (too little memory, perhaps)" if name == "SIGKILL" else name

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is not None:
            self._process.kill()
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                with suppress(BrokenPipeError):
                    pipe.close()
        try:
            self._process.wait(FAREWELL_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
