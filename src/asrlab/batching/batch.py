"""What is done with pieces: decoded together and checked, or by themselves through the full path."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import attrs

from asrlab.audio import SAMPLE_RATE, Audio
from asrlab.batching.backend import BatchBackend, Detected
from asrlab.batching.quality import doubt
from asrlab.batching.recording import Task
from asrlab.batching.request import FullPath
from asrlab.batching.shared_timer import SharedClock
from asrlab.options import TranscribeOptions
from asrlab.transcript import Segment

_AUDIO_WARNINGS = ("damaged", "silent", "truncated")


def decode_together(tasks: Sequence[Task], steps: BatchBackend[Any, Any], clock: SharedClock) -> None:
    """Decode *tasks* in one batch, and note in each what came out of it and whether that is in doubt."""
    with _timed(tasks, clock):
        pieces = [task.clip.piece for task in tasks]
        encoded = steps.encode(pieces)
        languages = _languages(tasks, steps, encoded)
        decoded = steps.decode(encoded, pieces, [each.language for each in languages])
    for task, language, text in zip(tasks, languages, decoded, strict=True):
        task.language, task.decoded = language, text
        task.reason = doubt(text, language)
        if task.reason is None:
            task.segments = _placed(text.segments, task)


def transcribe_fully(task: Task, full_path: FullPath, options: TranscribeOptions, clock: SharedClock) -> None:
    """Put the piece through the engine's full path, from the samples in memory.

    The language of a long recording stays that of its first piece.
    """
    known = task.recording.language
    language = options.language if known is None else options.language or known.language
    chosen = attrs.evolve(options, language=language, track=None)  # samples have none
    with _timed([task], clock):
        made = full_path(Audio(samples=task.clip.samples, sample_rate=SAMPLE_RATE), chosen)
    task.language = known or Detected(language=made.language or "", probability=made.language_probability)
    task.warnings = tuple(warning for warning in made.warnings if warning.code not in _AUDIO_WARNINGS)
    task.segments = _placed(made.segments, task)


@contextmanager
def _timed(tasks: Sequence[Task], clock: SharedClock) -> Iterator[None]:
    """Each of *tasks* takes the share of the time that its duration has in their audio."""
    started = clock.begin()
    try:
        yield
    finally:
        pace = (clock.end() - started) / sum(task.clip.piece.duration for task in tasks)
        for task in tasks:
            task.busy += pace * task.clip.piece.duration


def _languages(tasks: Sequence[Task], steps: BatchBackend[Any, Any], encoded: Any) -> list[Detected]:
    """The language of each: given, known of its recording, or detected.

    Whether a known one was in doubt is the affair of the piece that it was detected in.
    """
    given = steps.language
    if given is not None:
        return [Detected(language=given)] * len(tasks)
    known = [task.recording.language for task in tasks]
    found = steps.detect(encoded) if None in known else ()
    return [
        Detected(language=first.language) if first is not None else found[place] for place, first in enumerate(known)
    ]


def _placed(segments: Sequence[Segment], task: Task) -> tuple[Segment, ...]:
    """*segments* of a piece where they are in the recording."""
    if task.clip.whole:
        return tuple(segments)
    return tuple(segment.clamped(task.clip.piece.duration).shifted(task.clip.start) for segment in segments)
