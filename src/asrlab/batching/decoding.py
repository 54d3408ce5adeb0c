"""Decoding of a batch, its quality checks, and the full path of a chunk that fails them."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import attrs

from asrlab.audio import SAMPLE_RATE, Audio
from asrlab.batching.contract import BatchBackend, Chunk, Decoded, Detected, FullPath
from asrlab.options import TranscribeOptions
from asrlab.transcript import Segment
from asrlab.vad import find_repetition

MIN_LOGPROB = -1.0
MAX_COMPRESSION = 2.4
MAX_NO_SPEECH = 0.6
"""Source: openai-whisper and faster-whisper, ``transcribe``: ``logprob_threshold``, ``compression_ratio_threshold`` and
``no_speech_threshold``. There a text is dropped, or decoded again at a higher temperature; here both go to that code.
"""
MIN_LANGUAGE_PROBABILITY = 0.5
"""Source: faster-whisper, ``language_detection_threshold``."""

_AUDIO_WARNINGS = ("damaged", "silent", "truncated")


class SharedClock:
    """A clock that runs at half speed while two threads work, and at a third while three do.

    The seconds that the threads read from it add up to the seconds in which any of them worked, so that seconds of
    audio over seconds of work are the speed that a user sees. Any thread may use it. *now* returns the seconds of a
    monotonic clock.
    """

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        self._now = now
        self._lock = threading.Lock()
        self._workers = 0
        self._seconds = 0.0
        self._updated = now()

    def add(self, workers: int) -> float:
        """Add 1 worker, or remove one by -1, and return the seconds shown."""
        with self._lock:
            now = self._now()
            if self._workers:
                self._seconds += (now - self._updated) / self._workers
            self._updated = now
            self._workers += workers
            return self._seconds


def decode_batch(chunks: Sequence[Chunk], backend: BatchBackend[Any, Any], clock: SharedClock) -> None:
    """Decode *chunks* in one batch, and set the segments of each, or the reason why it needs the full path."""
    with _timed(chunks, clock):
        features = [chunk.features for chunk in chunks]
        encoded = backend.encode(features)
        languages = _known_or_detected(chunks, backend, encoded)
        results = backend.decode(encoded, features, [detected.language for detected in languages])
    for chunk, language, decoded in zip(chunks, languages, results, strict=True):
        chunk.language = language
        chunk.fallback_reason = fallback_reason(decoded, language)
        if chunk.fallback_reason is None:
            chunk.segments = _in_recording(decoded.segments, chunk)


def decode_fully(chunk: Chunk, full_path: FullPath, options: TranscribeOptions, clock: SharedClock) -> None:
    """Transcribe *chunk* through the engine's full path, in the language of the recording's first chunk."""
    known = chunk.recording.language
    language = options.language or (known and known.language)
    chosen = attrs.evolve(options, language=language, track=None)  # samples have no tracks
    with _timed([chunk], clock):
        transcript = full_path(Audio(samples=chunk.samples, sample_rate=SAMPLE_RATE), chosen)
    chunk.language = known or Detected(language=transcript.language or "", probability=transcript.language_probability)
    chunk.warnings = tuple(warning for warning in transcript.warnings if warning.code not in _AUDIO_WARNINGS)
    chunk.segments = _in_recording(transcript.segments, chunk)


def fallback_reason(decoded: Decoded, detected: Detected) -> str | None:
    """Return why the text of a chunk is not reliable, in a few words; None if it passes all checks.

    The checks are those of the engines, and others for what a short window may cause.
    """
    text = " ".join(segment.text for segment in decoded.segments)
    checks = {
        "cut off": not decoded.ended,
        "speech remaining": decoded.remaining_s > 0,
        "low probability": decoded.avg_logprob < MIN_LOGPROB,
        "compressible": decoded.compression_ratio > MAX_COMPRESSION,
        "no speech": decoded.no_speech_prob > MAX_NO_SPEECH,
        "no text": not decoded.segments,
        "uncertain language": detected.probability is not None and detected.probability < MIN_LANGUAGE_PROBABILITY,
        "repetition": bool(find_repetition(text)),
    }
    return next((reason for reason, applies in checks.items() if applies), None)


@contextmanager
def _timed(chunks: Sequence[Chunk], clock: SharedClock) -> Iterator[None]:
    """Share the time of the block among *chunks* in proportion to their durations."""
    started = clock.add(1)
    try:
        yield
    finally:
        ratio = (clock.add(-1) - started) / sum(chunk.duration for chunk in chunks)
        for chunk in chunks:
            chunk.busy_s += ratio * chunk.duration


def _known_or_detected(chunks: Sequence[Chunk], backend: BatchBackend[Any, Any], encoded: Any) -> list[Detected]:
    """Return the language of each chunk: requested, known of its recording without a probability, or detected."""
    if backend.language is not None:
        return [Detected(language=backend.language)] * len(chunks)
    known = [chunk.recording.language for chunk in chunks]
    detected = backend.detect_languages(encoded) if None in known else ()
    return [Detected(language=first.language) if first else detected[index] for index, first in enumerate(known)]


def _in_recording(segments: Sequence[Segment], chunk: Chunk) -> tuple[Segment, ...]:
    """Return *segments* of *chunk* with times from the start of the recording."""
    if chunk.is_whole:
        return tuple(segments)
    return tuple(segment.clamped(chunk.duration).shifted(chunk.start) for segment in segments)
