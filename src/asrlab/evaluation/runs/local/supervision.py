"""One worker process and the talk with it, which never makes the run wait."""

from __future__ import annotations

import os
import pickle
import signal
import subprocess
import sys
import threading
from contextlib import suppress
from queue import SimpleQueue

import attrs

from asrlab.evaluation.runs.local.pipes import read_frame, write_frame
from asrlab.evaluation.runs.messages import Done, Hello, Job, TimeLimits
from asrlab.evaluation.runs.records import Failure

__all__ = ["FAREWELL_S", "Ended", "Heard", "Inbox", "Unreadable", "WorkerProcess", "cause_of_death"]

FAREWELL_S = 10.0
"""Seconds a worker may take to end; an engine's threads, or a hanging driver, may keep it from that for ever."""

# The path of this process, so that the worker imports what is imported here, and nothing from where it is started.
_START = (
    "import sys; sys.path[:] = {path!r}; from asrlab.evaluation.runs.local.worker import main; "
    "main(parent={parent}, bound={bound})"
)

type Heard = Hello | TimeLimits | Done | Failure | Unreadable | Ended
type Inbox = SimpleQueue[tuple[WorkerProcess, Heard]]


@attrs.frozen
class Unreadable:
    """A message that this process cannot unpickle.

    Attributes:
        error: Why.
    """

    error: Exception


@attrs.frozen
class Ended:
    """The worker is no more, and nothing comes after this.

    Attributes:
        code: Its exit status, negative for a signal.
    """

    code: int


class WorkerProcess:
    """A started ``asrlab.evaluation.runs.local.worker``. What it says comes into *inbox*, last an `Ended`.

    Two threads do the talking: a worker that hangs reads nothing, and sending it an hour of audio would never end.
    """

    def __init__(self, job: Job, inbox: Inbox) -> None:
        self._inbox = inbox
        self._outbox: SimpleQueue[bytes | None] = SimpleQueue()
        self._outbox.put(pickle.dumps(job))
        bound = threading.current_thread() is threading.main_thread()
        # a session of its own: Ctrl-C is for this process, which then ends the worker
        self._process = subprocess.Popen(
            [sys.executable, "-c", _START.format(path=sys.path, parent=os.getpid(), bound=bound)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            start_new_session=True,
        )
        self._listener = threading.Thread(target=self._listen, name="asrlab-listener", daemon=True)
        self._listener.start()
        threading.Thread(target=self._speak, name="asrlab-speaker", daemon=True).start()

    @property
    def pid(self) -> int:
        """Of the process, and of the group of all that it starts."""
        return self._process.pid

    def send(self, data: bytes) -> None:
        """Hand over a pickled unit, some time soon."""
        self._outbox.put(data)

    def dismiss(self) -> None:
        """Let it end by itself, after what it was sent."""
        self._outbox.put(None)

    def kill(self) -> None:
        """End it at once, with all that it started."""
        self.dismiss()
        if self._listener.is_alive():  # else it is long gone, and its number may be another's
            with suppress(ProcessLookupError, PermissionError):  # macOS refuses for a group of zombies
                os.killpg(self.pid, signal.SIGKILL)

    def join(self, seconds: float) -> None:
        """Wait for its end, so long at most."""
        self._listener.join(max(0.0, seconds))

    def free_pipe(self) -> None:
        """If it is dead, end what it forked: that may hold the pipe open, and its death would never be heard of."""
        if self._process.poll() is not None:
            self.kill()

    def _listen(self) -> None:
        stdout = self._process.stdout
        assert stdout is not None  # noqa: S101 - opened as a pipe
        with stdout:
            while (data := read_frame(stdout)) is not None:  # type: ignore[arg-type]
                self._inbox.put((self, _read(data)))
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(FAREWELL_S)
        self.kill()
        self._inbox.put((self, Ended(self._process.wait())))

    def _speak(self) -> None:
        stdin = self._process.stdin
        assert stdin is not None  # noqa: S101 - opened as a pipe
        with suppress(OSError):  # a broken pipe: that the worker died is told by the other thread
            while (data := self._outbox.get()) is not None:
                write_frame(stdin, data)  # type: ignore[arg-type]
        with suppress(OSError):
            stdin.close()


def _read(data: bytes) -> Heard:
    try:
        message: Heard = pickle.loads(data)  # noqa: S301 - from our own child
    except Exception as error:  # noqa: BLE001 - an engine's records may hold what only unpickles there
        return Unreadable(error)
    return message


def cause_of_death(code: int) -> str:
    """An exit status in words."""
    if code >= 0:
        return f"exit status {code}"
    return next((known.name for known in signal.Signals if known == -code), f"signal {-code}")
