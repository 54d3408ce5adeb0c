"""The scheduler: takes items ahead, keeps the engine's workers busy with batches, and gives the outcomes."""

from __future__ import annotations

import logging
from collections import Counter, deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from functools import cache, partial
from queue import Empty, SimpleQueue
from typing import Any

import attrs

from asrlab.batching.backend import BatchBackend
from asrlab.batching.batch import decode_together, transcribe_fully
from asrlab.batching.bucketing import LengthBucketer
from asrlab.batching.reader import ChunkReader, Clip, readable_ahead
from asrlab.batching.recording import Recording, Task
from asrlab.batching.request import BatchedRecording, BatchRequest, BatchResult, FullPath, HasAudio
from asrlab.batching.shared_timer import SharedClock
from asrlab.transcript import DecodingPath, Transcript
from asrlab.vad import load_vad

_logger = logging.getLogger("asrlab.batching")


def transcribe_batched(
    request: BatchRequest,
    backend: BatchBackend[Any, Any],
    full_path: FullPath,
) -> Iterator[BatchResult]:
    """Transcribe items in batches and yield a result for each.

    The caller's thread reads the items. One thread decodes audio and computes features, others run the engine.
    An error of an item is its own result. An error of the iterator is raised after the results of all items before it.

    Args:
        request: The items, and the options for all of them.
        backend: Decodes batches.
        full_path: Transcribes what batches cannot.
    """
    line = _Pipeline(request, backend, full_path)
    try:
        yield from line.results()
    finally:
        line.stop()


class _Pipeline:
    """The items between being taken and being given out."""

    def __init__(
        self,
        request: BatchRequest,
        steps: BatchBackend[Any, Any],
        full_path: FullPath,
    ) -> None:
        self._steps, self._many = steps, request
        self._full_path, self._load_vad = full_path, cache(load_vad)
        self._items = enumerate(request.items)
        self._workers = steps.batching.workers or 1
        size = steps.batching.batch_size or 1
        self._planner = LengthBucketer(size=size, workers=self._workers, detects=steps.language is None)
        # a block is read while another is decoded
        self._most_ahead = 2 * self._planner.block
        self._taken = self._given = self._working = 0
        self._failure: Exception | None = None
        self._ended = False
        self._unread: deque[Recording] = deque()
        self._is_reading = False
        self._alone: deque[Callable[[], None]] = deque()
        self._outcomes: dict[int, BatchResult] = {}
        self._events: SimpleQueue[Callable[[], None]] = SimpleQueue()
        self._readers = ThreadPoolExecutor(1, thread_name_prefix="asrlab-reading")
        self._decoders = ThreadPoolExecutor(self._workers, thread_name_prefix="asrlab-decoding")
        self._clock = SharedClock()
        self._paths: Counter[str] = Counter()

    def results(self) -> Iterator[BatchResult]:
        """All of them, in order if that is asked for."""
        while True:
            self._take_ahead()
            self._read_on()
            self._start_work()
            if (ready := self._next_ready()) is not None:
                self._given += 1
                yield self._outcomes.pop(ready)
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
        self._decoders.shutdown(wait=False, cancel_futures=True)
        self._readers.shutdown()
        self._decoders.shutdown()
        for recording in self._unread:
            recording.close()

    def _next_ready(self) -> int | None:
        if self._many.in_order:
            return self._given if self._given in self._outcomes else None
        return next(iter(self._outcomes), None)

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
        recording = Recording(index=index, item=item)
        try:
            recording.audio = item.audio if isinstance(item, HasAudio) else item
        except Exception as error:  # noqa: BLE001 - the per-utterance boundary: one bad item never ends the rest
            self._fail(recording, error)
            return
        self._unread.append(recording)
        self._read_on()

    def _read_on(self) -> None:
        """Have the next piece read, if there is room for it."""
        if self._is_reading or not self._unread or self._planner.waiting >= self._planner.block:
            return
        self._is_reading = True
        recording = self._unread[0]
        self._submit(self._readers, partial(self._next_clip, recording), self._after_reading)

    def _next_clip(self, recording: Recording) -> Clip | None:
        """The next piece of *recording*; None if there is no other, or it is for the full path."""
        if recording.intake is None:
            if not readable_ahead(recording.audio):
                return None
            recording.intake = ChunkReader(
                recording.audio,
                self._steps,
                vad=self._load_vad,
                sample_rate=self._many.sample_rate,
                allow_truncated=self._many.options.allow_truncated,
                track=self._many.options.track,
            )
        return recording.intake.next_clip()

    def _after_reading(self, done: Future[Clip | None]) -> None:
        self._is_reading = False
        recording = self._unread[0]
        if error := done.exception():
            self._fail(recording, error)
        elif recording.intake is None:
            self._alone.append(partial(self._start_alone, recording))
        elif (clip := done.result()) is not None and not recording.ended:
            self._planner.add(recording.add(clip))
        if recording.ended or recording.intake is None or recording.intake.over:
            self._unread.popleft()
            recording.close()
            self._complete(recording)
        self._read_on()

    def _handle_events(self) -> None:
        while True:
            try:
                event = self._events.get_nowait()
            except Empty:
                return
            event()

    def _start_work(self) -> None:
        """Keep one batch more than there are workers under way, so that none has to wait for the next."""
        if self._ended and not self._unread:
            self._planner.close()
        while self._working <= self._workers:
            if self._alone:
                self._alone.popleft()()
            elif (tasks := self._planner.next_group()) is not None:
                self._start_group(tasks)
            else:
                break

    def _start_group(self, tasks: list[Task]) -> None:
        if self._taken == 1 and self._ended and tasks[0].clip.whole:
            self._start_alone(tasks[0].recording, is_sole=True)  # nothing is gained by a batch of one
            return
        self._work(partial(decode_together, tasks, self._steps, self._clock), partial(self._after_group, tasks))

    def _after_group(self, tasks: list[Task], done: Future[None]) -> None:
        error = done.exception()
        for task in tasks:
            if error is not None:  # it may be the fault of one of them: each gets another chance by itself
                task.reason = type(error).__name__
            if task.segments is None:
                self._alone.append(partial(self._start_fully, task))
            else:
                self._settle(task)

    def _start_fully(self, task: Task) -> None:
        if task.recording.ended:
            return
        self._work(
            partial(transcribe_fully, task, self._full_path, self._many.options, self._clock),
            partial(self._after_fully, task),
        )

    def _after_fully(self, task: Task, done: Future[None]) -> None:
        if error := done.exception():
            self._fail(task.recording, error)
        else:
            self._settle(task)

    def _settle(self, task: Task) -> None:
        """A piece has its text."""
        self._complete(task.recording)

    def _start_alone(self, recording: Recording, *, is_sole: bool = False) -> None:
        def transcribe() -> Transcript:
            rate = self._many.sample_rate
            made = self._full_path(recording.audio, self._many.options, sample_rate=rate, is_sole=is_sole)
            return attrs.evolve(made, decoding=DecodingPath(batched=False))

        self._work(transcribe, partial(self._after_alone, recording))

    def _after_alone(self, recording: Recording, done: Future[Transcript]) -> None:
        if error := done.exception():
            self._fail(recording, error)
        else:
            self._give(recording, done.result())

    def _complete(self, recording: Recording) -> None:
        """Give the outcome of *recording*, if all of it is there."""
        if recording.done and not recording.ended:
            self._give(recording, recording.result())

    def _give(self, recording: Recording, made: BatchedRecording | Transcript) -> None:
        self._paths[str(made.decoding)] += 1
        recording.ended = True
        self._outcomes[recording.index] = BatchResult(index=recording.index, item=recording.item, value=made)
        recording.forget()

    def _fail(self, recording: Recording, error: BaseException) -> None:
        """The outcome of *recording* is *error*, whatever else is heard of it."""
        if not isinstance(error, Exception):
            raise error
        if recording.ended:
            return
        recording.ended = True
        self._planner.drop(recording)
        recording.forget()
        self._outcomes[recording.index] = BatchResult(index=recording.index, item=recording.item, value=error)

    def _work(self, work: Callable[[], Any], after: Callable[[Future[Any]], None]) -> None:
        """Have a worker do *work*, and *after* it in the caller's thread."""

        def ended(done: Future[Any]) -> None:
            self._working -= 1
            after(done)

        self._working += 1
        self._submit(self._decoders, work, ended)

    def _submit(self, pool: ThreadPoolExecutor, work: Callable[[], Any], after: Callable[[Future[Any]], None]) -> None:
        pool.submit(work).add_done_callback(lambda done: self._events.put(lambda: after(done)))
