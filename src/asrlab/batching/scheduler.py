"""The scheduler: takes items ahead, keeps the engine's workers busy with batches, and gives outcomes in order."""

from __future__ import annotations

import logging
from collections import Counter, deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from queue import Empty, SimpleQueue
from typing import Any

import attrs

from asrlab.batching.batch import FULL, Task, decode_together, transcribe_fully, transcript_of
from asrlab.batching.grouping import next_group
from asrlab.batching.intake import Clip, read_ahead
from asrlab.batching.steps import Steps
from asrlab.transcriber import HasAudio, Many, Transcriber
from asrlab.transcript import Outcome, Transcript

__all__ = ["BATCHES_WAITING", "transcribe_together"]

BATCHES_WAITING = 3
"""Batches' worth of clips to choose those of like length from, besides the batches under way. With one worker and
batches of 8, 40 items at most are taken ahead: 60 MB of samples and features where each lasts 15 s."""

_logger = logging.getLogger("asrlab.batching")


def transcribe_together(transcriber: Transcriber, steps: Steps[Any, Any], many: Many) -> Iterator[Outcome]:
    """An outcome per item, in the order of the items, whatever order they were decoded in.

    Items are taken in the caller's thread, audio and features are made in another, the engine works in others again.
    What an item raises is its own outcome; what taking the next raises comes after the outcomes of all items before it.
    """
    line = _Line(transcriber, steps, many)
    try:
        yield from line.outcomes()
    finally:
        line.stop()


@attrs.define(eq=False)
class _Seat:
    """An item's place in the order.

    Attributes:
        index: From 0.
        item: As it came.
        audio: Its source.
        task: Once it has been read; None if it goes through the full path from the start.
    """

    index: int
    item: Any
    audio: Any = None
    task: Task | None = None


class _Line:
    """The items between being taken and being given out."""

    def __init__(self, transcriber: Transcriber, steps: Steps[Any, Any], many: Many) -> None:
        self._transcriber, self._steps, self._many = transcriber, steps, many
        self._items = enumerate(many.items)
        self._size = many.batch_size or steps.batch_size
        self._most_ahead = self._size * (steps.workers + 1 + BATCHES_WAITING)
        self._taken = self._given = self._reading = self._working = 0
        self._failure: Exception | None = None
        self._ended = False
        self._waiting: list[_Seat] = []
        self._alone: deque[_Seat] = deque()
        self._outcomes: dict[int, Outcome] = {}
        self._events: SimpleQueue[Callable[[], None]] = SimpleQueue()
        self._readers = ThreadPoolExecutor(1, thread_name_prefix="asrlab-reading")
        self._workers = ThreadPoolExecutor(steps.workers, thread_name_prefix="asrlab-decoding")
        self._paths: Counter[str | None] = Counter()

    def outcomes(self) -> Iterator[Outcome]:
        """All of them, in order."""
        while True:
            self._check_open()
            self._take_ahead()
            self._start_work()
            if self._given in self._outcomes:
                outcome = self._outcomes.pop(self._given)
                self._given += 1
                yield outcome
            elif self._given < self._taken:
                self._events.get()()
            else:
                break
        _logger.debug("%d items: %s", self._given, dict(self._paths))
        if self._failure is not None:
            raise self._failure

    def stop(self) -> None:
        """Leave what has not begun; what has is waited for."""
        self._readers.shutdown(wait=False, cancel_futures=True)
        self._workers.shutdown(wait=False, cancel_futures=True)
        self._readers.shutdown()
        self._workers.shutdown()

    def _check_open(self) -> None:
        if self._transcriber.closed:
            raise self._transcriber.closed_error()

    def _take_ahead(self) -> None:
        """Take items while there is room, giving idle workers something to do in between."""
        while not self._ended and self._taken - self._given < self._most_ahead:
            self._take()
            self._handle_events()
            self._start_work()
        self._handle_events()

    def _take(self) -> None:
        try:
            index, item = next(self._items)
        except StopIteration:
            self._ended = True
            return
        except Exception as error:  # noqa: BLE001 - the items before it come first
            self._ended, self._failure = True, error
            return
        self._taken += 1
        self._read(_Seat(index, item))

    def _read(self, seat: _Seat) -> None:
        try:
            seat.audio = seat.item.audio if isinstance(seat.item, HasAudio) else seat.item
        except Exception as error:  # noqa: BLE001 - the per-utterance boundary: one bad item never ends the rest
            self._finish(seat, error)
            return
        self._reading += 1
        future = self._readers.submit(
            read_ahead,
            seat.audio,
            self._steps,
            sample_rate=self._many.sample_rate,
            allow_truncated=self._many.options.allow_truncated,
        )
        future.add_done_callback(lambda done: self._events.put(lambda: self._after_reading(seat, done)))

    def _after_reading(self, seat: _Seat, done: Future[Clip | None]) -> None:
        self._reading -= 1
        if error := done.exception():
            self._finish(seat, error)
        elif (clip := done.result()) is None:
            self._alone.append(seat)
        else:
            seat.task = Task.of(clip)
            self._waiting.append(seat)

    def _handle_events(self) -> None:
        while True:
            try:
                event = self._events.get_nowait()
            except Empty:
                return
            event()

    def _start_work(self) -> None:
        """Keep one batch more than there are workers under way, so that none has to wait for the next."""
        while self._working <= self._steps.workers and (self._alone or self._may_group()):
            if self._alone:
                self._start_alone(self._alone.popleft())
            elif self._taken == 1 and self._ended:
                self._start_alone(self._waiting.pop())
            else:
                self._start_group()

    def _may_group(self) -> bool:
        """Whether it is no use to wait for more clips of like length."""
        count = len(self._waiting)
        if self._reading or not (self._ended or self._taken - self._given >= self._most_ahead):
            return count >= 2 * self._size
        return count >= self._size or (count > 0 and (self._ended or not self._working))

    def _start_group(self) -> None:
        durations = [seat.task.clip.piece.duration for seat in self._waiting if seat.task is not None]
        last = self._ended and not self._reading
        chosen = next_group(durations, size=self._size, workers=self._steps.workers, last=last)
        seats = [self._waiting[place] for place in chosen]
        self._waiting = [seat for place, seat in enumerate(self._waiting) if place not in chosen]
        tasks = [seat.task for seat in seats if seat.task is not None]
        future = self._workers.submit(decode_together, tasks, self._steps)
        self._working += 1
        future.add_done_callback(lambda done: self._events.put(lambda: self._after_group(seats, done)))

    def _after_group(self, seats: list[_Seat], done: Future[None]) -> None:
        self._working -= 1
        error = done.exception()
        for seat in seats:
            assert seat.task is not None  # noqa: S101 - only what was read is put into a group
            if error is not None:  # it may be the fault of one of them: each gets another chance by itself
                seat.task.reason = type(error).__name__
            if seat.task.reason is not None:
                self._alone.append(seat)
            else:
                self._finish(seat, transcript_of(seat.task, self._transcriber, self._many.options))

    def _start_alone(self, seat: _Seat) -> None:
        future = self._workers.submit(self._transcribe_alone, seat)
        self._working += 1
        future.add_done_callback(lambda done: self._events.put(lambda: self._after_alone(seat, done)))

    def _transcribe_alone(self, seat: _Seat) -> Transcript:
        options = self._many.options
        if seat.task is not None and seat.task.reason is not None:
            return transcribe_fully(seat.task, self._transcriber, options)
        made = self._transcriber.transcribe(seat.audio, sample_rate=self._many.sample_rate, options=options)
        return attrs.evolve(made, path=FULL)

    def _after_alone(self, seat: _Seat, done: Future[Transcript]) -> None:
        self._working -= 1
        self._finish(seat, done.exception() or done.result())

    def _finish(self, seat: _Seat, result: Transcript | BaseException) -> None:
        if isinstance(result, Transcript):
            self._paths[result.path] += 1
            outcome = Outcome(index=seat.index, item=seat.item, transcript=result)
        elif isinstance(result, Exception):
            outcome = Outcome(index=seat.index, item=seat.item, error=result)
        else:
            raise result
        self._outcomes[seat.index] = outcome
