"""One worker process and the talk with it, which never makes the run wait."""

from __future__ import annotations

import os
import pickle
import signal
import subprocess
import sys
import threading
import time
from contextlib import suppress
from queue import SimpleQueue

import attrs

from asrlab.evaluation.runs.executor import (
    CRASHED,
    OOM,
    OPEN_TIMEOUT_S,
    STOPPED,
    TIMEOUT,
    ItemFinished,
    ItemKey,
    ModelJob,
    TimeLimits,
    WorkerReady,
    WorkItem,
    WorkUnit,
)
from asrlab.evaluation.runs.local.memory import kernel_oom_kills, resident_bytes_of
from asrlab.evaluation.runs.local.worker import read_frame, write_frame
from asrlab.evaluation.runs.records import Failure

SHUTDOWN_TIMEOUT_S = 10.0
"""Seconds a worker may take to end; an engine's threads, or a hanging driver, may keep it from that for ever."""
# The path of this process, so that the worker imports what is imported here, and nothing from where it is started.
_START = (
    "import sys; sys.path[:] = {path!r}; from asrlab.evaluation.runs.local.worker import main; "
    "main(parent={parent}, bound={bound})"
)
type WorkerEvent = WorkerReady | TimeLimits | ItemFinished | Failure | UnreadableMessage | WorkerExited
type Inbox = SimpleQueue[tuple[WorkerProcess, WorkerEvent]]


@attrs.frozen
class UnreadableMessage:
    """A message that this process cannot unpickle.

    Attributes:
        error: Why.
    """

    error: Exception


@attrs.frozen
class WorkerExited:
    """The worker is no more, and nothing comes after this.

    Attributes:
        code: Its exit status, negative for a signal.
    """

    code: int


class WorkerProcess:
    """A started ``asrlab.evaluation.runs.local.worker``. What it says comes into *inbox*, last an `WorkerExited`.

    Two threads do the talking: a worker that hangs reads nothing, and sending it an hour of audio would never end.
    """

    def __init__(self, job: ModelJob, inbox: Inbox) -> None:
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
            self._process.wait(SHUTDOWN_TIMEOUT_S)
        self.kill()
        self._inbox.put((self, WorkerExited(self._process.wait())))

    def _speak(self) -> None:
        stdin = self._process.stdin
        assert stdin is not None  # noqa: S101 - opened as a pipe
        with suppress(OSError):  # a broken pipe: that the worker died is told by the other thread
            while (data := self._outbox.get()) is not None:
                write_frame(stdin, data)  # type: ignore[arg-type]
        with suppress(OSError):
            stdin.close()


def _read(data: bytes) -> WorkerEvent:
    try:
        message: WorkerEvent = pickle.loads(data)  # noqa: S301 - from our own child
    except Exception as error:  # noqa: BLE001 - an engine's records may hold what only unpickles there
        return UnreadableMessage(error)
    return message


def cause_of_death(code: int) -> str:
    """An exit status in words."""
    if code >= 0:
        return f"exit status {code}"
    return next((known.name for known in signal.Signals if known == -code), f"signal {-code}")


_MIB = 2**20
_TOGETHER = 2
"""A unit of several may be silent for so many times what its longest item may take: it waits for others in its batch.
Who hangs is found out when each is tried again by itself."""
_RECOUNT_S = 1.0  # reading the kernel's count takes as long as a short utterance with a fast engine


@attrs.define(eq=False, kw_only=True)
class WorkerState:
    """A worker.

    Attributes:
        process: It.
        seconds: What it may take for what it is at: loading at first.
        warmups: Those that it has yet to run.
        loaded: Whether it has loaded the model.
        open: The items it is at that have no answer yet.
        single: Whether it was given only one.
        warming: Whether they are of a warm-up.
        verdict: Why it was killed; None if it was not.
        abandoned: Whether it was killed because the run was stopped, so that its open items are not counted as lost.
        since: When it was given what it is at, or last answered; when it was killed, if it was. By the monotonic clock.
        counted: When *oom_kills* was read; likewise.
        oom_kills: Those of the kernel until a second before *since*, or later.
    """

    process: WorkerProcess
    seconds: float
    warmups: list[WorkUnit]
    loaded: bool = False
    open: dict[ItemKey, WorkItem] = attrs.field(factory=dict)
    single: bool = False
    warming: bool = False
    verdict: Failure | None = None
    abandoned: bool = False
    since: float = attrs.field(factory=time.monotonic)
    counted: float = attrs.field(factory=time.monotonic)
    oom_kills: int | None = attrs.field(factory=kernel_oom_kills)

    @property
    def busy(self) -> bool:
        """Whether it is at something that counts."""
        return bool(self.open) and not self.warming

    @property
    def idle(self) -> bool:
        """Whether it can be given something."""
        return self.loaded and not self.open and self.verdict is None

    def give(self, unit: WorkUnit, data: bytes, *, warming: bool) -> None:
        """Hand over *unit*, which is *data* when pickled."""
        self.open = {item.key: item for item in unit.items}
        self.single, self.warming = len(unit.items) == 1, warming
        self._limit(max(OPEN_TIMEOUT_S if item.seconds is None else item.seconds for item in unit.items))
        if self.since - self.counted >= _RECOUNT_S:
            self.counted, self.oom_kills = self.since, kernel_oom_kills()
        self.process.send(data)

    def limit(self, limits: TimeLimits) -> None:
        """Take in what the open items may take from now on."""
        known = [limits.seconds[key] for key in self.open if key in limits.seconds]
        if known and self.verdict is None:
            self._limit(max(known))

    def _limit(self, seconds: float) -> None:
        """Count from now, for a unit whose longest item may take *seconds*."""
        self.seconds = seconds if self.single else seconds * _TOGETHER
        self.since = time.monotonic()

    def heard(self, key: ItemKey) -> bool:
        """Take in that *key* is answered; whether it was open."""
        self.since = time.monotonic() if self.verdict is None else self.since
        return self.open.pop(key, None) is not None

    def dismiss(self, verdict: Failure) -> None:
        """Kill it; it stays until its end is heard of, and answers that it gave before that count."""
        if self.verdict is None:
            self.verdict, self.seconds, self.since = verdict, SHUTDOWN_TIMEOUT_S, time.monotonic()
        self.process.kill()

    def abandon(self) -> None:
        """Kill the worker because the run was stopped; its open items stay without an outcome."""
        self.abandoned = True
        self.dismiss(Failure(kind=STOPPED, message="the run was stopped"))

    @property
    def overdue(self) -> bool:
        """Whether the time for what it is at is over."""
        at_something = bool(self.open) or not self.loaded or self.verdict is not None
        return at_something and time.monotonic() - self.since >= self.seconds

    def timeout(self) -> Failure:
        """That it is overdue."""
        return Failure(
            kind=TIMEOUT, message=f"the worker process was killed after {self.seconds:g} s without an end {self.doing}"
        )

    def overweight(self, limit_bytes: int | None) -> Failure | None:
        """That it holds more than *limit_bytes*, if it does."""
        held = limit_bytes and resident_bytes_of(self.process.pid)
        if not limit_bytes or not held or held <= limit_bytes:
            return None
        sizes = f"{held / _MIB:.0f} MiB of memory, above the limit of {limit_bytes / _MIB:.0f} MiB,"
        return Failure(kind=OOM, message=f"the worker process held {sizes} {self.doing}")

    def death(self, code: int) -> Failure:
        """Why it died by itself."""
        killed = code == -signal.SIGKILL
        kills = kernel_oom_kills() if killed else None
        if kills is not None and self.oom_kills is not None and kills > self.oom_kills:
            return Failure(kind=OOM, message=f"the kernel killed the worker process for want of memory {self.doing}")
        hint = " (killed by hand or by a scheduler, or too little memory, perhaps)" if killed else ""
        message = f"the worker process died of {cause_of_death(code)} {self.doing}{hint}"
        return Failure(kind=CRASHED, message=message)

    @property
    def doing(self) -> str:
        """What it is at, in words."""
        if not self.loaded:
            return "while loading the model"
        if not self.open:
            return "while it had nothing to do"
        if self.warming:
            return "while warming up"
        return "while transcribing this utterance" if self.single else "while transcribing several utterances at once"
