"""A worker as its parent sees it: its process, its memory, and the state of its work."""

from __future__ import annotations

import os
import pickle
import signal
import subprocess
import threading
import time
from contextlib import suppress
from pathlib import Path

import attrs

from asrlab.evaluation.runs.executor import (
    CRASHED,
    OOM,
    OPEN_TIMEOUT_S,
    STOPPED,
    TIMEOUT,
    ItemKey,
    ModelJob,
    TimeLimits,
    WorkItem,
    WorkUnit,
)
from asrlab.evaluation.runs.records import Failure
from asrlab.isolation import SHUTDOWN_TIMEOUT_S, ChildProcess, Inbox, describe_exit

BATCH_TIMEOUT_FACTOR = 2
"""Factor by which a unit of several items may be silent longer than its longest item, which waits for its batch. The
item that hangs is identified when each is retried by itself."""
_OOM_CHECK_INTERVAL_S = 1.0  # reading the kernel's counter takes as long as a short utterance with a fast engine
_START = "from asrlab.evaluation.runs.worker import main; main(parent={parent}, use_death_signal={main_thread})"
_MIB = 2**20
_CGROUPS = Path("/sys/fs/cgroup")
_PROC = Path("/proc")


def start_worker(job: ModelJob, inbox: Inbox) -> ChildProcess:
    """Start a worker process with *job*; its pickled messages arrive in *inbox*."""
    data = pickle.dumps(job)
    main_thread = threading.current_thread() is threading.main_thread()
    process = ChildProcess(_START.format(parent=os.getpid(), main_thread=main_thread), inbox)
    process.send(data)
    return process


def process_resident_bytes(pid: int) -> int | None:
    """Return the resident memory of a process without its children; None if the process or the figure is missing.

    Source: proc_pid_statm(5); ps(1), where ``rss`` is in KiB.
    """
    with suppress(OSError, IndexError):  # the process has ended, or this is not Linux
        return int((_PROC / str(pid) / "statm").read_bytes().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    with suppress(OSError, subprocess.SubprocessError):
        command = ["/bin/ps", "-o", "rss=", "-p", str(pid)]
        output = subprocess.run(command, capture_output=True, check=False, timeout=5).stdout.strip()
        return int(output) * 1024 if output.isdigit() else None
    return None


def kernel_oom_kills() -> int | None:
    """Return the number of processes that the kernel has killed for lack of memory; None if not reported.

    The count is of this control group, or else of the machine. Only differences have a meaning.

    Source: the kernel's cgroup-v2.rst, ``memory.events``; mm/oom_kill.c, which counts before it kills.
    """
    groups = []
    with suppress(OSError):
        lines = (_PROC / "self" / "cgroup").read_text(encoding="utf-8").splitlines()
        groups = [_CGROUPS / line[3:].strip("/") for line in lines if line.startswith("0::")]
    # a container may show its own group as the root
    for path in (*(group / "memory.events" for group in (*groups, _CGROUPS)), _PROC / "vmstat"):
        with suppress(OSError, ValueError):
            fields = (line.split() for line in path.read_text(encoding="ascii").splitlines())
            return next(int(count) for name, count in fields if name == "oom_kill")
    return None


@attrs.define(eq=False, kw_only=True)
class WorkerState:
    """The state of a worker.

    Attributes:
        timeout_s: Time limit of the current activity, at first of loading the model.
        warmups: Warm-ups that are still to run.
        open: Items in work without an answer.
        is_single: True if the worker received a single item.
        warming: True if the items are a warm-up.
        abandoned: True if the worker was killed because the run was stopped, so that its items do not count as lost.
        last_activity: Monotonic time of the last dispatch, answer or kill.
        oom_kills: The kernel's count at the time *oom_checked_at*.
    """

    process: ChildProcess
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
        message = f"the worker process was killed after {self.timeout_s:g} s without an answer {self.activity}"
        return Failure(kind=TIMEOUT, message=message)

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
        return Failure(kind=CRASHED, message=f"the worker process died of {describe_exit(code)} {self.activity}")

    @property
    def activity(self) -> str:
        """A phrase for the current activity."""
        if not self.loaded:
            return "while loading the model"
        if not self.open:
            return "while idle"
        if self.warming:
            return "while warming up"
        return f"while transcribing {'this utterance' if self.is_single else 'several utterances at once'}"
