"""One worker process and the talk with it."""

from __future__ import annotations

import pickle
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import suppress
from types import TracebackType
from typing import Self

from asrlab.runs.messages import Done, Failure, Finished, Job, Loaded, Unit

__all__ = ["Worker", "run_units"]


def run_units(job: Job, units: Sequence[Unit]) -> Iterator[Loaded | Done | Finished | Failure]:
    """Everything that workers say about *job*, one unit in flight at a time.

    A worker that dies takes the unit in flight along, as a `Done` with a failure of kind ``crashed``; another one goes
    on with the rest.

    Yields:
        A `Failure` alone if the model does not load; else `Loaded` and then a `Done` per unit in order, with a
        `Finished` from each worker that reached its end.
    """
    left = list(units)
    while True:
        with Worker(job) as worker:
            hello = worker.receive()
            yield hello or worker.death("loading the model")
            if not isinstance(hello, Loaded):
                return
            while left:
                unit = left.pop(0)
                worker.send(unit)
                answer = worker.receive()
                if answer is None:
                    yield Done(index=unit.index, failure=worker.death("transcribing this utterance"))
                    break
                yield answer
            else:
                worker.send(None)
                finished = worker.receive()
                if finished is not None:
                    yield finished
        if not left:
            return


class Worker:
    """A started ``asrlab.runs.worker``; a context manager that ends it whatever happens."""

    def __init__(self, job: Job) -> None:
        # a session of its own: Ctrl-C is for this process, which then ends the worker
        self._process = subprocess.Popen(
            [sys.executable, "-m", "asrlab.runs.worker"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            start_new_session=True,
        )
        self.send(job)

    def send(self, message: Job | Unit | None) -> None:
        """Write a message; a worker that died is noticed by `receive`."""
        stdin = self._process.stdin
        assert stdin is not None  # noqa: S101 - opened as a pipe
        with suppress(BrokenPipeError):
            pickle.dump(message, stdin)
            stdin.flush()

    def receive(self) -> Loaded | Done | Finished | Failure | None:
        """The next message; None if the worker died before it had sent one."""
        stdout = self._process.stdout
        assert stdout is not None  # noqa: S101 - opened as a pipe
        try:
            message: Loaded | Done | Finished | Failure = pickle.load(stdout)  # noqa: S301 - from our own child
        except (EOFError, pickle.UnpicklingError):
            return None
        return message

    def death(self, doing: str) -> Failure:
        """How the worker died."""
        code = self._process.wait()
        cause = signal.Signals(-code).name if code < 0 else f"exit status {code}"
        return Failure(kind="crashed", message=f"the worker process died of {cause} while {doing}")

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
        self._process.wait()
