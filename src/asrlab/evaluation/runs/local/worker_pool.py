"""The workers of one job: who is given what, and what becomes of what they lose."""

from __future__ import annotations

import logging
import pickle
import time
from collections import Counter, deque
from collections.abc import Callable, Generator, Sequence
from contextlib import suppress
from queue import Empty, SimpleQueue

from asrlab.evaluation.runs.executor import (
    MAX_ATTEMPTS,
    OOM,
    ItemFinished,
    ItemsLost,
    ItemsStarted,
    ModelJob,
    TimeLimits,
    WorkerMessage,
    WorkerReady,
    WorkItem,
    WorkUnit,
)
from asrlab.evaluation.runs.local.worker_process import (
    SHUTDOWN_TIMEOUT_S,
    Inbox,
    UnreadableMessage,
    WorkerEvent,
    WorkerExited,
    WorkerProcess,
    WorkerState,
)
from asrlab.evaluation.runs.records import Failure

_LOOK_S = 0.2
"""Seconds between two looks at deadlines, memory and whether to stop, while no worker says anything."""
STOP_GRACE_S = 3.0
"""Seconds that a unit of several utterances may go on after a stop; a resumed run does what has no outcome then."""
STOP_FAREWELL_S = 1.0
"""Seconds that idle workers may take to unload their model after a stop."""
_log = logging.getLogger("asrlab.evaluation.runs")


class WorkerPool:
    """Workers, and the units they share.

    Args:
        job: Which model, and how.
        units: In order.
        warmups: For each worker.
        stop: Whether nothing new is to be begun.
        places: How many workers at once.
        load_seconds: What loading may take.
    """

    def __init__(
        self,
        job: ModelJob,
        units: Sequence[WorkUnit],
        *,
        warmups: Sequence[WorkUnit],
        stop: Callable[[], bool],
        places: int,
        load_seconds: float,
    ) -> None:
        self._job = job
        self._backlog = RetryQueue(units)
        self._warmups = tuple(warmups)
        self._stop = stop
        self._stopped_at: float | None = None
        self._places = places
        self._load_seconds = load_seconds
        self._hands: list[WorkerState] = []
        self._loaded = False
        self._reloading = False  # whether the model, which has loaded before, did not the last time
        self._inbox: Inbox = SimpleQueue()
        self._heard: deque[tuple[WorkerProcess, WorkerEvent]] = deque()
        self._next_look = 0.0

    def work(self) -> Generator[WorkerMessage]:
        """Everything, to its end; see ``Executor.run``."""
        self._hire()
        while not self._over():
            yield from self._hand_out()
            if (heard := self._hear()) is not None:
                yield from self._take(*heard)

    def end(self, *, gently: bool) -> None:
        """Leave no process; *gently* lets those that have nothing to do give the model back first."""
        try:
            free = [hand.process for hand in self._hands if gently and hand.idle]
            for process in free:
                process.dismiss()
            until = time.monotonic() + (STOP_FAREWELL_S if self._stopping else SHUTDOWN_TIMEOUT_S)
            for process in free:
                process.join(until - time.monotonic())
        finally:
            for hand in self._hands:
                hand.process.kill()
            until = time.monotonic() + SHUTDOWN_TIMEOUT_S
            for hand in self._hands:
                hand.process.join(until - time.monotonic())

    def _over(self) -> bool:
        self._asked_to_stop()
        if any(hand.busy for hand in self._hands):
            return False
        return self._stopping or not self._hands or (self._loaded and not self._backlog)

    @property
    def _stopping(self) -> bool:
        return self._stopped_at is not None

    def _hire(self) -> None:
        """Start as many workers as there is work for."""
        busy = sum(hand.busy for hand in self._hands)
        wanted = min(self._places, busy + len(self._backlog) if self._loaded else max(1, len(self._backlog)))
        while len(self._hands) < wanted and not self._asked_to_stop():
            process = WorkerProcess(self._job, self._inbox)
            self._hands.append(WorkerState(process=process, seconds=self._load_seconds, warmups=list(self._warmups)))

    def _hand_out(self) -> Generator[WorkerMessage]:
        for hand in self._hands:
            while hand.idle and self._backlog and not self._asked_to_stop():
                if hand.warmups:
                    self._warm_up(hand)
                elif (unit := self._backlog.take(at_work=any(other.busy for other in self._hands))) is not None:
                    yield ItemsStarted(keys=tuple(item.key for item in unit.items))
                    yield from self._give(hand, unit)
                else:
                    break

    def _asked_to_stop(self) -> bool:
        if self._stopped_at is None and self._stop():
            self._stopped_at = time.monotonic()
        return self._stopping

    def _give(self, hand: WorkerState, unit: WorkUnit) -> Generator[WorkerMessage]:
        """Hand over what can be sent; what cannot has its outcome."""
        data = _pickled(unit)
        if isinstance(data, bytes):
            hand.give(unit, data, warming=False)
            return
        if len(unit.items) == 1:
            message = f"the audio cannot be sent to the worker process ({data}); give a path, bytes or an array"
            failure = Failure(kind="AudioError", message=message, reason="unreadable")
            yield ItemFinished(key=unit.items[0].key, failure=failure)
            return
        good: list[WorkItem] = []
        for alone in (WorkUnit(items=(item,)) for item in unit.items):
            if isinstance(_pickled(alone), bytes):
                good += alone.items
            else:
                yield from self._give(hand, alone)
        if good:
            yield from self._give(hand, WorkUnit(items=tuple(good)))

    def _warm_up(self, hand: WorkerState) -> None:
        unit = hand.warmups.pop(0)
        data = _pickled(unit)
        if isinstance(data, bytes):
            hand.give(unit, data, warming=True)
        else:
            _log.info("a warm-up of %s is left out: %s", self._job.model, data)

    def _hear(self) -> tuple[WorkerProcess, WorkerEvent] | None:
        """What a worker says, or None after a while.

        All that has come is taken in first: an answer that came in time is in time, however long the caller was busy.
        """
        with suppress(Empty):
            while True:
                self._heard.append(self._inbox.get_nowait())
        if time.monotonic() >= self._next_look:
            self._look_after({process for process, _ in self._heard})
            self._next_look = time.monotonic() + _LOOK_S
        if self._heard:
            return self._heard.popleft()
        with suppress(Empty):
            return self._inbox.get(timeout=0 if all(hand.idle for hand in self._hands) else _LOOK_S)
        return None

    def _look_after(self, speaking: set[WorkerProcess]) -> None:
        """Kill who hangs, or holds too much memory; *speaking* are those whose words are still to be taken."""
        for hand in self._hands:
            if hand.process in speaking:
                continue
            hand.process.free_pipe()
            if hand.overdue and hand.verdict is not None:  # not even SIGKILL ends it: a driver hangs
                self._heard.append((hand.process, WorkerExited(-9)))
            elif hand.overdue:
                hand.dismiss(hand.timeout())
            elif (overweight := hand.overweight(self._job.memory_limit_bytes)) is not None:
                hand.dismiss(overweight)
            elif self._grace_is_over and hand.busy and not hand.single:
                hand.abandon()

    @property
    def _grace_is_over(self) -> bool:
        return self._stopped_at is not None and time.monotonic() - self._stopped_at >= STOP_GRACE_S

    def _take(self, process: WorkerProcess, heard: WorkerEvent) -> Generator[WorkerMessage]:
        hand = next((hand for hand in self._hands if hand.process is process), None)
        if hand is None:  # it was given up
            return
        match heard:
            case WorkerReady() if hand.verdict is None:
                yield from self._greet(hand, heard)
            case Failure():
                hand.dismiss(heard)
            case TimeLimits():
                hand.limit(heard)
            case ItemFinished():
                yield from self._answer(hand, heard)
            case UnreadableMessage(error) if hand.open:
                yield from self._answer(hand, ItemFinished(key=next(iter(hand.open)), failure=_unreadable(error)))
            case UnreadableMessage(error):
                hand.dismiss(_unreadable(error))
            case WorkerExited(code):
                yield from self._settle(hand, code)

    def _greet(self, hand: WorkerState, hello: WorkerReady) -> Generator[WorkerMessage]:
        overweight = hand.overweight(self._job.memory_limit_bytes)
        if overweight is not None:  # before utterance after utterance is blamed for the model's own weight
            hand.dismiss(overweight)
            return
        self._loaded, self._reloading, hand.loaded = True, False, True
        yield hello

    def _answer(self, hand: WorkerState, done: ItemFinished) -> Generator[WorkerMessage]:
        if done.failure is not None and done.failure.kind == OOM:
            hand.dismiss(done.failure)  # its memory is not to be trusted any more
            return
        if not hand.heard(done.key):
            return
        if not hand.warming:
            yield done
        elif done.failure is not None:
            _log.info("a warm-up of %s failed: %s: %s", self._job.model, done.failure.kind, done.failure.message)

    def _settle(self, hand: WorkerState, code: int) -> Generator[WorkerMessage]:
        """A worker is no more."""
        self._hands.remove(hand)
        failure = hand.verdict or hand.death(code)
        if not hand.loaded:
            self._not_loaded(failure)
        elif hand.warming and hand.open:
            self._warmups = ()
            _log.warning("%s: %s; its place is taken without warm-ups", self._job.model, failure.message)
        elif hand.open and not hand.abandoned:
            yield from self._lose(hand, failure)
        else:
            _log.info("%s: %s", self._job.model, failure.message)
        self._hire()
        if not self._hands and not self._places and not self._stopping:
            yield from self._give_up(failure)

    def _lose(self, hand: WorkerState, failure: Failure) -> Generator[WorkerMessage]:
        yield ItemsLost(keys=tuple(hand.open), failure=failure)
        for key, item in hand.open.items():
            if not self._backlog.put_back(item, kind=failure.kind, single=hand.single):
                yield ItemFinished(key=key, failure=failure)

    def _not_loaded(self, failure: Failure) -> None:
        """Once it has loaded, it is tried again: memory of the worker before may not have been free yet."""
        if self._loaded and not self._reloading:
            self._reloading = True
            _log.warning("%s was not loaded again: %s; trying once more", self._job.model, failure.message)
            return
        self._places, self._reloading = self._places - 1, False
        if self._places:
            _log.warning("%s: %s; going on with a worker less", self._job.model, failure.message)

    def _give_up(self, failure: Failure) -> Generator[WorkerMessage]:
        """No worker is left, and none can be had."""
        left = self._backlog.clear()
        for item in left if self._loaded else ():
            yield ItemFinished(key=item.key, failure=failure)
        yield failure


def _pickled(unit: WorkUnit) -> bytes | Exception:
    """*unit* as it is sent, or why it cannot be."""
    try:
        return pickle.dumps(unit)
    except Exception as error:  # noqa: BLE001 - of the per-utterance boundary: audio may be any object
        return error


def _unreadable(error: Exception) -> Failure:
    return Failure(kind=type(error).__name__, message=f"the engine's result cannot be read in this process: {error}")


class RetryQueue:
    """Units in order, and after them what was lost, an item at a time; last of all, what was lost to lack of memory."""

    def __init__(self, units: Sequence[WorkUnit]) -> None:
        self._units = deque(units)
        self._lonely: deque[WorkUnit] = deque()
        self._losses = Counter({item.key: item.lost_before for unit in units for item in unit.items})

    def __len__(self) -> int:
        return len(self._units) + len(self._lonely)

    def take(self, *, at_work: bool) -> WorkUnit | None:
        """The next unit; None if there is none that may run while others are *at_work*.

        What was lost to lack of memory runs with nothing else at work, which may have been what took the memory.
        """
        if self._units:
            return self._units.popleft()
        return None if at_work or not self._lonely else self._lonely.popleft()

    def put_back(self, item: WorkItem, *, kind: str, single: bool) -> bool:
        """Take in an item that was lost.

        Args:
            item: It.
            kind: Of the failure.
            single: Whether the item was at work by itself; else it is never the last time.

        Returns:
            Whether it is to be tried again; False after the last time.
        """
        self._losses[item.key] += 1
        if single and self._losses[item.key] >= MAX_ATTEMPTS:
            return False
        (self._lonely if kind == OOM else self._units).append(WorkUnit(items=(item,)))
        return True

    def clear(self) -> list[WorkItem]:
        """Empty it; what was in it."""
        units = [*self._units, *self._lonely]
        self._units.clear()
        self._lonely.clear()
        return [item for unit in units for item in unit.items]
