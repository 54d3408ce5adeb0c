"""A worker as its parent sees it: the process with its pipes, and the state of its work."""

from __future__ import annotations

import os
import pickle
import signal
import subprocess
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
from asrlab.evaluation.runs.local.memory import kernel_oom_kills, process_resident_bytes
from asrlab.evaluation.runs.local.worker import read_frame, write_frame
from asrlab.evaluation.runs.records import Failure
from asrlab.isolation import describe_exit, kill_process_group, python_command

SHUTDOWN_TIMEOUT_S = 10.0
"""Seconds a worker may take to end; an engine's threads, or a driver that hangs, may delay the end forever."""
_START = "from asrlab.evaluation.runs.local.worker import main; main(parent={parent}, use_death_signal={main_thread})"

type WorkerEvent = WorkerReady | TimeLimits | ItemFinished | Failure | UnreadableMessage | WorkerExited
type Inbox = SimpleQueue[tuple[WorkerProcess, WorkerEvent]]


@attrs.frozen
class UnreadableMessage:
    """A message that this process cannot unpickle.

    Attributes:
        error: Reason why the message cannot be unpickled.
    """

    error: Exception


@attrs.frozen
class WorkerExited:
    """The end of a worker, its last event.

    Attributes:
        code: Exit status, negative for a signal.
    """

    code: int


class WorkerProcess:
    """A process with a worker, whose events arrive in *inbox*, the last one a `WorkerExited`.

    Two threads handle the pipes: a worker that hangs reads nothing, and sending it an hour of audio would block.
    """

    def __init__(self, job: ModelJob, inbox: Inbox) -> None:
        self._inbox = inbox
        self._outbox: SimpleQueue[bytes | None] = SimpleQueue()
        self._outbox.put(pickle.dumps(job))
        main_thread = threading.current_thread() is threading.main_thread()
        # a session of its own: Ctrl-C reaches only the parent, which then ends the worker
        self._process = subprocess.Popen(
            python_command(_START.format(parent=os.getpid(), main_thread=main_thread)),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            start_new_session=True,
        )
        self._receiver = threading.Thread(target=self._receive, name="asrlab-receiver", daemon=True)
        self._receiver.start()
        threading.Thread(target=self._transmit, name="asrlab-transmitter", daemon=True).start()

    @property
    def pid(self) -> int:
        """Id of the process, and of the process group of everything it starts."""
        return self._process.pid

    def send(self, data: bytes) -> None:
        """Send a pickled unit without waiting."""
        self._outbox.put(data)

    def shutdown(self) -> None:
        """Let the worker end by itself after the units it was sent."""
        self._outbox.put(None)

    def kill(self) -> None:
        """Kill the worker and everything it started."""
        self.shutdown()
        if self._receiver.is_alive():  # otherwise the process has ended, and its id may be in use again
            kill_process_group(self.pid)

    def join(self, timeout_s: float) -> None:
        """Wait for the worker's end, at most *timeout_s* seconds."""
        self._receiver.join(max(0.0, timeout_s))

    def release_pipe(self) -> None:
        """Kill the children of a dead worker, which may keep its pipe open and so hide its death."""
        if self._process.poll() is not None:
            self.kill()

    def _receive(self) -> None:
        stdout = self._process.stdout
        assert stdout is not None  # noqa: S101 - opened as a pipe
        with stdout:
            while (data := read_frame(stdout)) is not None:  # type: ignore[arg-type]
                self._inbox.put((self, _to_event(data)))
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(SHUTDOWN_TIMEOUT_S)
        self.kill()
        self._inbox.put((self, WorkerExited(self._process.wait())))

    def _transmit(self) -> None:
        stdin = self._process.stdin
        assert stdin is not None  # noqa: S101 - opened as a pipe
        with suppress(OSError):  # a broken pipe: the receiver reports the death of the worker
            while (data := self._outbox.get()) is not None:
                write_frame(stdin, data)  # type: ignore[arg-type]
        with suppress(OSError):
            stdin.close()


def _to_event(data: bytes) -> WorkerEvent:
    try:
        event: WorkerEvent = pickle.loads(data)  # noqa: S301 - written by our own child
    except Exception as error:  # noqa: BLE001 - an engine's records may only unpickle in the worker
        return UnreadableMessage(error)
    return event


_MIB = 2**20
BATCH_TIMEOUT_FACTOR = 2
"""Factor by which a unit of several items may be silent longer than its longest item, which waits for its batch. The
item that hangs is identified when each is retried by itself."""
_OOM_CHECK_INTERVAL_S = 1.0  # reading the kernel's counter takes as long as a short utterance with a fast engine


@attrs.define(eq=False, kw_only=True)
class WorkerState:
    """The state of a worker.

    Attributes:
        process: The worker's process.
        timeout_s: Time limit of the current activity, at first of loading the model.
        warmups: Warm-ups that are still to run.
        loaded: True once the model is loaded.
        open: Items in work without an answer.
        is_single: True if the worker received a single item.
        warming: True if the items are a warm-up.
        kill_reason: Reason why the worker was killed; None if it was not.
        abandoned: True if the worker was killed because the run was stopped, so that its items do not count as lost.
        last_activity: Monotonic time of the last dispatch, answer or kill.
        oom_checked_at: Monotonic time at which *oom_kills* was read.
        oom_kills: The kernel's count at that time.
    """

    process: WorkerProcess
    timeout_s: float
    warmups: list[WorkUnit]
    loaded: bool = False
    open: dict[ItemKey, WorkItem] = attrs.field(factory=dict)
    is_single: bool = False
    warming: bool = False
    kill_reason: Failure | None = None
    abandoned: bool = False
    last_activity: float = attrs.field(factory=time.monotonic)
    oom_checked_at: float = attrs.field(factory=time.monotonic)
    oom_kills: int | None = attrs.field(factory=kernel_oom_kills)

    @property
    def is_busy(self) -> bool:
        """True if the worker has items in work that are not a warm-up."""
        return bool(self.open) and not self.warming

    @property
    def is_idle(self) -> bool:
        """True if the worker can receive a unit."""
        return self.loaded and not self.open and self.kill_reason is None

    def dispatch(self, unit: WorkUnit, data: bytes, *, warming: bool) -> None:
        """Send *unit*, whose pickle is *data*."""
        self.open = {item.key: item for item in unit.items}
        self.is_single, self.warming = len(unit.items) == 1, warming
        self._start_timer(max(OPEN_TIMEOUT_S if item.timeout_s is None else item.timeout_s for item in unit.items))
        if self.last_activity - self.oom_checked_at >= _OOM_CHECK_INTERVAL_S:
            self.oom_checked_at, self.oom_kills = self.last_activity, kernel_oom_kills()
        self.process.send(data)

    def apply_limits(self, limits: TimeLimits) -> None:
        """Apply the time limits of the open items from now on."""
        known = [limits.seconds[key] for key in self.open if key in limits.seconds]
        if known and self.kill_reason is None:
            self._start_timer(max(known))

    def _start_timer(self, longest_s: float) -> None:
        self.timeout_s = longest_s if self.is_single else longest_s * BATCH_TIMEOUT_FACTOR
        self.last_activity = time.monotonic()

    def close_item(self, key: ItemKey) -> bool:
        """Mark *key* as answered; return True if it was open."""
        if self.kill_reason is None:
            self.last_activity = time.monotonic()
        return self.open.pop(key, None) is not None

    def kill(self, reason: Failure) -> None:
        """Kill the worker. It remains until its exit arrives, and answers from before the kill count."""
        if self.kill_reason is None:
            self.kill_reason, self.timeout_s, self.last_activity = reason, SHUTDOWN_TIMEOUT_S, time.monotonic()
        self.process.kill()

    def abandon(self) -> None:
        """Kill the worker because the run was stopped; its open items stay without an outcome."""
        self.abandoned = True
        self.kill(Failure(kind=STOPPED, message="the run was stopped"))

    @property
    def timed_out(self) -> bool:
        """True if the time limit of the current activity has passed."""
        is_active = bool(self.open) or not self.loaded or self.kill_reason is not None
        return is_active and time.monotonic() - self.last_activity >= self.timeout_s

    def timeout_failure(self) -> Failure:
        """Return the failure of a worker that timed out."""
        return Failure(
            kind=TIMEOUT,
            message=f"the worker process was killed after {self.timeout_s:g} s without an answer {self.activity}",
        )

    def exceeds_memory_limit(self, limit_bytes: int | None) -> Failure | None:
        """Return the failure of a worker with more than *limit_bytes* of memory; None if it has less."""
        resident_bytes = limit_bytes and process_resident_bytes(self.process.pid)
        if not limit_bytes or not resident_bytes or resident_bytes <= limit_bytes:
            return None
        sizes = f"{resident_bytes / _MIB:.0f} MiB of memory, above the limit of {limit_bytes / _MIB:.0f} MiB,"
        return Failure(kind=OOM, message=f"the worker process used {sizes} {self.activity}")

    def exit_failure(self, code: int) -> Failure:
        """Return the failure of a worker that ended by itself with status *code*."""
        oom_kills = kernel_oom_kills() if code == -signal.SIGKILL else None
        if oom_kills is not None and self.oom_kills is not None and oom_kills > self.oom_kills:
            return Failure(kind=OOM, message=f"the kernel killed the worker process for lack of memory {self.activity}")
        message = f"the worker process died of {describe_exit(code)} {self.activity}"
        return Failure(kind=CRASHED, message=message)

    @property
    def activity(self) -> str:
        """A phrase for the current activity."""
        if not self.loaded:
            return "while loading the model"
        if not self.open:
            return "while idle"
        if self.warming:
            return "while warming up"
        return (
            "while transcribing this utterance" if self.is_single else "while transcribing several utterances at once"
        )
