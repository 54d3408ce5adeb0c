"""The executor of runs in worker processes on this machine: dispatch, supervision and retries."""

from __future__ import annotations

import logging
import math
import pickle
import signal
import time
from collections import Counter, deque
from collections.abc import Callable, Generator, Sequence
from contextlib import suppress
from queue import Empty, SimpleQueue

import attrs

from asrlab.errors import OptionError
from asrlab.evaluation.runs.executor import (
    MAX_ATTEMPTS,
    OOM,
    ItemFinished,
    ItemsLost,
    ItemsStarted,
    ModelJob,
    TimeLimits,
    WorkerMessage,
    WorkItem,
    WorkUnit,
    never,
)
from asrlab.evaluation.runs.records import Failure, ModelLoaded
from asrlab.evaluation.runs.worker_process import WorkerState, start_worker
from asrlab.isolation import SHUTDOWN_TIMEOUT_S, ChildProcess, Inbox

POLL_INTERVAL_S = 0.2
"""Seconds between checks of deadlines, memory and requests to stop while no event arrives."""
STOP_GRACE_S = 3.0
"""Seconds that a unit of several utterances may run after a stop; a resumed run repeats what has no outcome."""
STOP_SHUTDOWN_TIMEOUT_S = 1.0
"""Seconds that idle workers may take to unload their model after a stop."""
_log = logging.getLogger("asrlab.evaluation.runs")


@attrs.frozen(kw_only=True)
class LocalExecutor:
    """Worker processes on this machine, each with the model loaded and one unit at a time.

    Attributes:
        workers: Number of workers, each with a copy of the model. With several, answers come in any order.
        load_seconds: Seconds that loading the model may take before its worker counts as hanging.

    Raises:
        OptionError: If a number is out of range.
    """

    workers: int = 1
    load_seconds: float = 1800.0

    def __attrs_post_init__(self) -> None:
        if self.workers < 1:
            raise OptionError(f"workers must be at least 1, not {self.workers}", option="workers")
        if not self.load_seconds > 0:
            raise OptionError(f"load_seconds must be above 0, not {self.load_seconds}", option="load_seconds")

    def run(
        self,
        job: ModelJob,
        units: Sequence[WorkUnit],
        *,
        warmups: Sequence[WorkUnit] = (),
        should_stop: Callable[[], bool] = never,
    ) -> Generator[WorkerMessage]:
        """Run *units* as ``Executor.run`` describes.

        Lost items are retried after all others. An item that kills its worker then makes no later item wait for another
        load of the model, and a passing fault of the machine may be over. Items that were lost for lack of memory are
        retried with no other worker at work.
        """
        queue = RetryQueue(units)
        pool = WorkerPool(executor=self, job=job, queue=queue, warmups=tuple(warmups), should_stop=should_stop)
        gently = False
        try:
            yield from pool.run()
            gently = True
        finally:
            pool.shutdown(gently=gently)


@attrs.define(kw_only=True)
class WorkerPool:
    """Workers, and the units in a queue that they share."""

    executor: LocalExecutor
    job: ModelJob
    queue: RetryQueue
    warmups: tuple[WorkUnit, ...]
    should_stop: Callable[[], bool]
    _stopped_at: float | None = None
    _max_workers: int = attrs.field(default=attrs.Factory(lambda pool: pool.executor.workers, takes_self=True))
    _workers: list[WorkerState] = attrs.field(factory=list)
    _loaded: bool = False
    _reload_failed: bool = False  # the model, which had loaded before, did not load the last time
    _inbox: Inbox = attrs.field(factory=SimpleQueue)
    _events: deque[tuple[ChildProcess, bytes | int]] = attrs.field(factory=deque)
    _next_check: float = 0.0

    def run(self) -> Generator[WorkerMessage]:
        """Run all units to their end."""
        self._start_workers()
        while not self._is_over():
            yield from self._dispatch()
            if (event := self._next_event()) is not None:
                yield from self._on_event(*event)

    def shutdown(self, *, gently: bool) -> None:
        """Terminate all workers. If *gently*, let idle workers unload their model first."""
        try:
            idle = [worker.process for worker in self._workers if gently and worker.is_idle]
            for process in idle:
                process.shutdown()
            _join(idle, SHUTDOWN_TIMEOUT_S if self._stopped_at is None else STOP_SHUTDOWN_TIMEOUT_S)
        finally:
            for worker in self._workers:
                worker.process.kill()
            _join([worker.process for worker in self._workers], SHUTDOWN_TIMEOUT_S)

    def _is_over(self) -> bool:
        is_stopping = self._check_stop()  # every time: the request starts the grace period
        if any(worker.is_busy for worker in self._workers):
            return False
        return is_stopping or not self._workers or (self._loaded and not self.queue)

    def _check_stop(self) -> bool:
        """Return whether the run is stopping."""
        if self._stopped_at is None and self.should_stop():
            self._stopped_at = time.monotonic()
        return self._stopped_at is not None

    def _start_workers(self) -> None:
        """Start as many workers as the remaining work needs."""
        n_busy = sum(worker.is_busy for worker in self._workers)
        n_needed = n_busy + len(self.queue) if self._loaded else max(1, len(self.queue))
        while len(self._workers) < min(self._max_workers, n_needed) and not self._check_stop():
            process = start_worker(self.job, self._inbox)
            worker = WorkerState(process=process, timeout_s=self.executor.load_seconds, warmups=list(self.warmups))
            self._workers.append(worker)

    def _dispatch(self) -> Generator[WorkerMessage]:
        for worker in self._workers:
            while worker.is_idle and self.queue and not self._check_stop():
                if worker.warmups:
                    self._warm_up(worker)
                elif (unit := self.queue.take(at_work=any(other.is_busy for other in self._workers))) is not None:
                    yield ItemsStarted(keys=tuple(item.key for item in unit.items))
                    yield from self._send(worker, unit)
                else:
                    break

    def _send(self, worker: WorkerState, unit: WorkUnit) -> Generator[WorkerMessage]:
        """Send the items that can be pickled; yield the failures of the others."""
        data = _pickle(unit)
        if isinstance(data, bytes):
            worker.dispatch(unit, data, warming=False)
            return
        if len(unit.items) == 1:
            message = f"the audio cannot be sent to the worker process ({data}); give a path, bytes or an array"
            failure = Failure(kind="AudioError", message=message, reason="unreadable")
            yield ItemFinished(key=unit.items[0].key, failure=failure)
            return
        sendable: list[WorkItem] = []
        for single in (WorkUnit(items=(item,)) for item in unit.items):
            if isinstance(_pickle(single), bytes):
                sendable += single.items
            else:
                yield from self._send(worker, single)
        if sendable:
            yield from self._send(worker, WorkUnit(items=tuple(sendable)))

    def _warm_up(self, worker: WorkerState) -> None:
        unit = worker.warmups.pop(0)
        data = _pickle(unit)
        if isinstance(data, bytes):
            worker.dispatch(unit, data, warming=True)
        else:
            _log.info("skipping a warm-up of %s: %s", self.job.model, data)

    def _next_event(self) -> tuple[ChildProcess, bytes | int] | None:
        """Return the next event of a worker, or None after a while.

        Everything in the inbox is collected first, so that an answer that came in time counts as in time, however long
        the caller was busy.
        """
        with suppress(Empty):
            while True:
                self._events.append(self._inbox.get_nowait())
        if time.monotonic() >= self._next_check:
            self._check_health({process for process, _ in self._events})
            self._next_check = time.monotonic() + POLL_INTERVAL_S
        if self._events:
            return self._events.popleft()
        with suppress(Empty):
            return self._inbox.get(timeout=0 if all(worker.is_idle for worker in self._workers) else POLL_INTERVAL_S)
        return None

    def _check_health(self, with_events: set[ChildProcess]) -> None:
        """Kill workers that hang or use too much memory, except those *with_events* that are still to be handled."""
        for worker in self._workers:
            if worker.process in with_events:
                continue
            worker.process.release_pipe()
            if worker.timed_out and worker.kill_reason is not None:  # SIGKILL had no effect: a driver hangs
                self._events.append((worker.process, -signal.SIGKILL))
            elif worker.timed_out:
                worker.kill(worker.timeout_failure())
            elif (failure := worker.exceeds_memory_limit(self.job.request.memory_limit_bytes)) is not None:
                worker.kill(failure)
            elif (
                (self._stopped_at or math.inf) + STOP_GRACE_S <= time.monotonic()
                and worker.is_busy
                and not worker.is_single
            ):
                worker.abandon()

    def _on_event(self, process: ChildProcess, event: bytes | int) -> Generator[WorkerMessage]:
        worker = next((worker for worker in self._workers if worker.process is process), None)
        if worker is None:  # given up already
            return
        if isinstance(event, int):
            yield from self._on_exit(worker, event)
            return
        match _unpickle(event):
            case ModelLoaded() as loaded if worker.kill_reason is None:
                yield from self._on_loaded(worker, loaded)
            case Failure() as failure:
                worker.kill(failure)
            case TimeLimits() as limits:
                worker.apply_limits(limits)
            case ItemFinished() as finished:
                yield from self._on_finished(worker, finished)
            case Exception() as error:
                message = f"the engine's result cannot be read in this process: {error}"
                failure = Failure(kind=type(error).__name__, message=message)
                if worker.open:
                    yield from self._on_finished(worker, ItemFinished(key=next(iter(worker.open)), failure=failure))
                else:
                    worker.kill(failure)

    def _on_loaded(self, worker: WorkerState, loaded: ModelLoaded) -> Generator[WorkerMessage]:
        failure = worker.exceeds_memory_limit(self.job.request.memory_limit_bytes)
        if failure is not None:  # otherwise each utterance would be blamed for the memory of the model
            worker.kill(failure)
            return
        self._loaded, self._reload_failed, worker.loaded = True, False, True
        yield loaded

    def _on_finished(self, worker: WorkerState, finished: ItemFinished) -> Generator[WorkerMessage]:
        if finished.failure is not None and finished.failure.kind == OOM:
            worker.kill(finished.failure)  # the state of its memory is unknown
            return
        if not worker.close_item(finished.key):
            return
        if not worker.warming:
            yield finished
        elif finished.failure is not None:
            failure = finished.failure
            _log.info("a warm-up of %s failed: %s: %s", self.job.model, failure.kind, failure.message)

    def _on_exit(self, worker: WorkerState, code: int) -> Generator[WorkerMessage]:
        self._workers.remove(worker)
        failure = worker.kill_reason or worker.exit_failure(code)
        if not worker.loaded:
            self._on_load_failure(failure)
        elif worker.warming and worker.open:
            self.warmups = ()
            _log.warning("%s: %s; its replacement runs no warm-ups", self.job.model, failure.message)
        elif worker.open and not worker.abandoned:
            yield ItemsLost(keys=tuple(worker.open), failure=failure)
            for key, item in worker.open.items():
                if not self.queue.put_back(item, kind=failure.kind, is_single=worker.is_single):
                    yield ItemFinished(key=key, failure=failure)
        else:
            _log.info("%s: %s", self.job.model, failure.message)
        self._start_workers()
        if not self._workers and not self._max_workers and self._stopped_at is None:  # no work can be done any more
            remaining = self.queue.clear()
            for item in remaining if self._loaded else ():
                yield ItemFinished(key=item.key, failure=failure)
            yield failure

    def _on_load_failure(self, failure: Failure) -> None:
        """Retry the load once if the model has loaded before: the last worker may not have freed its memory yet."""
        if self._loaded and not self._reload_failed:
            self._reload_failed = True
            _log.warning("%s did not load again: %s; trying once more", self.job.model, failure.message)
            return
        self._max_workers, self._reload_failed = self._max_workers - 1, False
        if self._max_workers:
            _log.warning("%s: %s; continuing with one worker less", self.job.model, failure.message)


def _join(processes: Sequence[ChildProcess], timeout_s: float) -> None:
    deadline = time.monotonic() + timeout_s
    for process in processes:
        process.join(deadline - time.monotonic())


def _pickle(unit: WorkUnit) -> bytes | Exception:
    """Return the pickle of *unit*, or the error that prevents it."""
    try:
        return pickle.dumps(unit)
    except Exception as error:  # noqa: BLE001 - the per-utterance boundary: audio may be any object
        return error


def _unpickle(data: bytes) -> object:
    """Return the message, or the error that prevents it: an engine's records may only unpickle in the worker."""
    try:
        return pickle.loads(data)  # noqa: S301 - written by our own child
    except Exception as error:  # noqa: BLE001 - as in `_pickle`
        return error


class RetryQueue:
    """Units in order, then lost items one by one, and last those that were lost for lack of memory."""

    def __init__(self, units: Sequence[WorkUnit]) -> None:
        self._units = deque(units)
        self._isolated: deque[WorkUnit] = deque()
        self._losses = Counter({item.key: item.previous_losses for unit in units for item in unit.items})

    def __len__(self) -> int:
        return len(self._units) + len(self._isolated)

    def take(self, *, at_work: bool) -> WorkUnit | None:
        """Remove and return the next unit; None if none may start while other workers are *at_work*.

        An item that was lost for lack of memory runs alone, because the others may have used the memory.
        """
        if self._units:
            return self._units.popleft()
        return None if at_work or not self._isolated else self._isolated.popleft()

    def put_back(self, item: WorkItem, *, kind: str, is_single: bool) -> bool:
        """Count the loss of an item, and queue the item again unless its attempts are used up.

        Args:
            item: The item whose worker was lost.
            kind: Kind of the worker's failure.
            is_single: True if the item was a unit of its own; an item of a larger unit is always queued again.

        Returns:
            True if the item was queued again.
        """
        self._losses[item.key] += 1
        if is_single and self._losses[item.key] >= MAX_ATTEMPTS:
            return False
        (self._isolated if kind == OOM else self._units).append(WorkUnit(items=(item,)))
        return True

    def clear(self) -> list[WorkItem]:
        """Remove and return all items."""
        units = [*self._units, *self._isolated]
        self._units.clear()
        self._isolated.clear()
        return [item for unit in units for item in unit.items]
