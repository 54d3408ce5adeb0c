"""The pipeline of batched transcription: read, bucket by length, decode, yield."""

from __future__ import annotations

import logging
from collections import Counter, deque
from collections.abc import Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from functools import cache
from typing import Any

import attrs

from asrlab.batching.contract import BatchBackend, BatchRequest, BatchResult, Chunk, FullPath, HasAudio, Recording
from asrlab.batching.decoding import SharedClock, decode_batch, decode_fully
from asrlab.batching.reader import BATCHES_PER_BLOCK, bucket_chunks, is_readable_ahead, read_chunks
from asrlab.transcript import DecodingPath, Transcript
from asrlab.vad import load_vad

_logger = logging.getLogger("asrlab.batching")

type _Work = list[Chunk] | Chunk | Recording
"""A batch to decode, or a chunk or recording for the full path."""


def transcribe_batched(
    request: BatchRequest, backend: BatchBackend[Any, Any], full_path: FullPath
) -> Iterator[BatchResult]:
    """Transcribe items in batches and yield a result for each.

    The caller's thread reads the items. One thread decodes audio and computes features, others run the engine.
    An error of an item is its own result. An error of the iterator is raised after the results of all items before it.
    *full_path* transcribes what *backend* cannot.
    """
    pipeline = _Pipeline(request, backend, full_path)
    try:
        yield from pipeline.results()
    finally:
        pipeline.stop()


class _Pipeline:
    """The stages, as generators that yield None if their next output is not available yet.

    Only the caller's thread runs them. The threads of the pools read chunks and decode batches.
    """

    def __init__(self, request: BatchRequest, backend: BatchBackend[Any, Any], full_path: FullPath) -> None:
        self._request, self._backend, self._full_path = request, backend, full_path
        self._load_vad = cache(load_vad)
        self._n_workers = backend.batching.workers or 1
        self._batch_size = backend.batching.batch_size or 1
        self._block_size = self._batch_size * BATCHES_PER_BLOCK
        self._n_taken = self._n_given = 0
        self._is_exhausted = False
        self._input_error: Exception | None = None
        self._open: dict[int, Recording] = {}
        self._finished: dict[int, BatchResult] = {}
        self._fallbacks: deque[_Work] = deque()
        self._ready: deque[_Work] = deque()
        self._reading: Future[Chunk | None] | None = None
        self._running: dict[Future[Transcript | None], _Work] = {}
        self._readers = ThreadPoolExecutor(1, thread_name_prefix="asrlab-reading")
        self._decoders = ThreadPoolExecutor(self._n_workers, thread_name_prefix="asrlab-decoding")
        self._clock = SharedClock()

    def results(self) -> Iterator[BatchResult]:
        """Yield the results, in the order of the items if that was requested."""
        paths: Counter[str] = Counter()
        batches = bucket_chunks(
            self._read(),
            size=self._batch_size,
            workers=self._n_workers,
            detects=self._backend.language is None,
            should_flush=self._is_stalled,
        )
        while True:
            self._collect()
            for batch in batches:
                if batch is None:
                    break
                self._ready.append(batch)
                self._start()
            self._start()
            if (result := self._finished.pop(self._next_index(), None)) is not None:
                self._n_given += 1
                value = result.value
                paths[type(value).__name__ if isinstance(value, Exception) else str(value.decoding)] += 1
                yield result
            elif self._running or self._reading:
                futures: set[Future[Any]] = {*self._running} | ({self._reading} if self._reading else set())
                wait(futures, return_when=FIRST_COMPLETED)
            elif self._n_given == self._n_taken and self._is_exhausted:
                break
        _logger.debug("%d items: %s", self._n_given, dict(paths))
        if self._input_error is not None:
            raise self._input_error

    def stop(self) -> None:
        """Cancel what has not started, and wait for what has."""
        for pool in (self._readers, self._decoders):
            pool.shutdown(wait=False, cancel_futures=True)
        for pool in (self._readers, self._decoders):
            pool.shutdown()

    def _take(self) -> Iterator[Recording | None]:
        """Yield items as recordings; None while too many results are pending."""
        items = iter(self._request.items)
        while True:
            if self._n_taken - self._n_given >= 2 * self._block_size:  # a block is read while another is decoded
                yield None
                continue
            try:
                item = next(items)
            except StopIteration:
                break
            except Exception as error:  # noqa: BLE001 - raised after the results of the items before it
                self._input_error = error
                break
            recording = self._open[self._n_taken] = Recording(index=self._n_taken, item=item)
            self._n_taken += 1
            try:
                recording.audio = item.audio if isinstance(item, HasAudio) else item
            except Exception as error:  # noqa: BLE001 - the per-utterance boundary: one bad item never ends the rest
                self._finish(recording, error)
            else:
                yield recording
        self._is_exhausted = True

    def _read(self) -> Iterator[Chunk | None]:
        """Yield chunks as the reading thread provides them; None while it works, or too many chunks are waiting."""
        for recording in self._take():
            if recording is None:
                yield None
            elif not is_readable_ahead(recording.audio):
                self._fallbacks.append(recording)
            else:
                yield from self._read_recording(recording)

    def _read_recording(self, recording: Recording) -> Iterator[Chunk | None]:
        chunks = read_chunks(recording, self._request, self._backend, self._load_vad)
        try:
            while recording.result is None:
                while self._waiting_weight() >= self._block_size:
                    yield None
                self._reading = future = self._readers.submit(next, chunks, None)
                while not future.done():
                    yield None
                self._reading = None
                if error := future.exception():
                    self._finish(recording, error)
                elif (chunk := future.result()) is not None and recording.result is None:
                    yield chunk
                if recording.is_read:
                    if recording.is_decoded:
                        self._finish(recording, recording.join())
                    break
        finally:
            if self._reading is None or self._reading.done():  # otherwise the thread closes the audio
                chunks.close()

    def _waiting_weight(self) -> int:
        """Return the weight of the chunks that have been read and not been started."""
        chunks = (chunk for recording in self._open.values() for chunk in recording.chunks)
        return sum(chunk.weight for chunk in chunks if not chunk.is_started)

    def _is_stalled(self) -> bool:
        """Return whether no more chunks come until the chunks of the current block are decoded."""
        is_busy = self._running or self._reading or self._ready or self._fallbacks
        return not is_busy and self._next_index() not in self._finished

    def _start(self) -> None:
        """Keep one batch more than there are workers in the pool, so that none waits for the next."""
        while len(self._running) <= self._n_workers and (self._fallbacks or self._ready):
            work = self._fallbacks.popleft() if self._fallbacks else self._ready.popleft()
            if isinstance(work, list):
                work = [chunk for chunk in work if chunk.recording.result is None]
                for chunk in work:
                    chunk.is_started = True
                is_sole = self._is_exhausted and self._n_taken == 1 and len(work) == 1 and work[0].is_whole
                if is_sole:
                    work = work[0].recording  # a batch of one gains nothing
            elif isinstance(work, Chunk) and work.recording.result is not None:
                continue
            if work:
                self._running[self._decoders.submit(self._decode, work)] = work

    def _decode(self, work: _Work) -> Transcript | None:
        """Decode in a thread of the pool; return the transcript of a recording. The results of chunks are in them."""
        options, sample_rate = self._request.options, self._request.sample_rate
        if isinstance(work, Recording):
            is_sole = bool(work.chunks)  # the others are not read ahead
            transcript = self._full_path(work.audio, options, sample_rate=sample_rate, is_sole=is_sole)
            return attrs.evolve(transcript, decoding=DecodingPath(batched=False))
        if isinstance(work, Chunk):
            decode_fully(work, self._full_path, options, self._clock)
        else:
            decode_batch(work, self._backend, self._clock)
        return None

    def _collect(self) -> None:
        """Finish the recordings that are decoded, and feed chunks that failed back as work for the full path."""
        for future in [future for future in self._running if future.done()]:
            work, error = self._running.pop(future), future.exception()
            if isinstance(work, Recording):
                self._finish(work, error or future.result())
                continue
            if isinstance(work, Chunk) and error:
                self._finish(work.recording, error)
            for chunk in [work] if isinstance(work, Chunk) else work:
                recording = chunk.recording
                if recording.result is None and chunk.segments is None:
                    if error:  # any chunk of the batch may be at fault: each is tried by itself
                        chunk.fallback_reason = type(error).__name__
                    self._fallbacks.append(chunk)
                elif recording.result is None and recording.is_decoded:
                    self._finish(recording, recording.join())

    def _finish(self, recording: Recording, value: Any) -> None:
        if isinstance(value, BaseException) and not isinstance(value, Exception):
            raise value
        if recording.result is None:
            del self._open[recording.index]
            self._finished[recording.index] = recording.finish(value)

    def _next_index(self) -> int:
        return self._n_given if self._request.in_order else next(iter(self._finished), -1)
