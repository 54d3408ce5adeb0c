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
from asrlab.batching.recording import FULL, Recording, Task
from asrlab.batching.shared_timer import SharedClock
from asrlab.engine.contract import BatchRequest, HasAudio
from asrlab.engine.transcriber import Transcriber
from asrlab.transcript import Outcome, Transcript
from asrlab.vad import VoiceActivityDetector, load_vad

_logger = logging.getLogger("asrlab.batching")


def transcribe_together(
    transcriber: Transcriber,
    steps: BatchBackend[Any, Any],
    many: BatchRequest,
    *,
    crew: Callable[[], Transcriber] | None = None,
    vad: Callable[[], VoiceActivityDetector] = load_vad,
) -> Iterator[Outcome]:
    """An outcome per item, whatever order they were decoded in.

    Items are taken in the caller's thread, audio and features are made in another, the engine works in others again.
    What an item raises is its own outcome; what taking the next raises comes after the outcomes of all items before it.

    Args:
        transcriber: The one that was asked; an only short recording goes through its full path.
        steps: For what goes together.
        many: The items, and how.
        crew: Gives what any other full path goes through, beside the batches; None for *transcriber* itself.
        vad: Gives the detector that long recordings are cut with; called once, if there are any.
    """
    line = _Pipeline(transcriber, steps, many, crew=crew or (lambda: transcriber), vad=cache(vad))
    try:
        yield from line.outcomes()
    finally:
        line.stop()


class _Pipeline:
    """The items between being taken and being given out."""

    def __init__(
        self,
        transcriber: Transcriber,
        steps: BatchBackend[Any, Any],
        many: BatchRequest,
        *,
        crew: Callable[[], Transcriber],
        vad: Callable[[], VoiceActivityDetector],
    ) -> None:
        self._transcriber, self._steps, self._many = transcriber, steps, many
        self._crew, self._vad = crew, vad
        self._items = enumerate(many.items)
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
        self._outcomes: dict[int, Outcome] = {}
        self._events: SimpleQueue[Callable[[], None]] = SimpleQueue()
        self._readers = ThreadPoolExecutor(1, thread_name_prefix="asrlab-reading")
        self._decoders = ThreadPoolExecutor(self._workers, thread_name_prefix="asrlab-decoding")
        self._clock = SharedClock()
        self._paths: Counter[str | None] = Counter()

    def outcomes(self) -> Iterator[Outcome]:
        """All of them, in order if that is asked for."""
        while True:
            self._check_open()
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
                vad=self._vad,
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
            self._alone.append(partial(self._start_alone, recording, self._crew()))
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
            self._start_alone(tasks[0].recording, self._transcriber)  # nothing is gained by a batch of one
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
            partial(transcribe_fully, task, self._crew, self._many.options, self._clock),
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

    def _start_alone(self, recording: Recording, transcriber: Transcriber) -> None:
        def transcribe() -> Transcript:
            rate = self._many.sample_rate
            made = transcriber.transcribe(recording.audio, sample_rate=rate, options=self._many.options)
            return attrs.evolve(made, path=FULL)

        self._work(transcribe, partial(self._after_alone, recording))

    def _after_alone(self, recording: Recording, done: Future[Transcript]) -> None:
        if error := done.exception():
            self._fail(recording, error)
        else:
            self._give(recording, done.result())

    def _complete(self, recording: Recording) -> None:
        """Give the outcome of *recording*, if all of it is there."""
        if recording.done and not recording.ended:
            self._give(recording, recording.transcript(self._crew(), self._many.options))

    def _give(self, recording: Recording, made: Transcript) -> None:
        self._paths[made.path] += 1
        recording.ended = True
        self._outcomes[recording.index] = Outcome(index=recording.index, item=recording.item, transcript=made)
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
        self._outcomes[recording.index] = Outcome(index=recording.index, item=recording.item, error=error)

    def _work(self, work: Callable[[], Any], after: Callable[[Future[Any]], None]) -> None:
        """Have a worker do *work*, and *after* it in the caller's thread."""

        def ended(done: Future[Any]) -> None:
            self._working -= 1
            after(done)

        self._working += 1
        self._submit(self._decoders, work, ended)

    def _submit(self, pool: ThreadPoolExecutor, work: Callable[[], Any], after: Callable[[Future[Any]], None]) -> None:
        pool.submit(work).add_done_callback(lambda done: self._events.put(lambda: after(done)))
