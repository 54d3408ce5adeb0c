"""One batch: encoded, its languages detected, decoded, checked, and what became of each recording in it."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

import attrs

from asrlab.audio import SAMPLE_RATE, Audio
from asrlab.batching.guard import doubt
from asrlab.batching.intake import Clip
from asrlab.batching.steps import Decoded, Detected, Steps
from asrlab.options import TranscribeOptions
from asrlab.transcriber import Recognition, Transcriber, audio_warnings
from asrlab.transcript import Timings, Transcript

__all__ = ["FULL", "Task", "decode_together", "transcribe_fully", "transcript_of"]

BATCHED = "batched"
FULL = "full"
_AUDIO_WARNINGS = ("damaged", "silent", "truncated")


@attrs.define(kw_only=True, eq=False)
class Task:
    """A recording on its way through a batch.

    Attributes:
        clip: The recording.
        busy: Seconds of work that fall to it so far.
        language: None before it was decoded.
        decoded: None before it was decoded.
        reason: Why it must go through the full path; None if it need not.
    """

    clip: Clip
    busy: float
    language: Detected | None = None
    decoded: Decoded | None = None
    reason: str | None = None

    @classmethod
    def of(cls, clip: Clip) -> Task:
        """*clip*, to be decoded."""
        return cls(clip=clip, busy=clip.busy)


def decode_together(tasks: Sequence[Task], steps: Steps[Any, Any]) -> None:
    """Decode *tasks* in one batch, and note in each what came out of it and whether that is in doubt.

    Each takes the share of the time that its duration has in the batch's audio.
    """
    started = time.monotonic()
    pieces = [task.clip.piece for task in tasks]
    encoded = steps.encode(pieces)
    given = steps.language
    detected = steps.detect(encoded) if given is None else (Detected(language=given),) * len(pieces)
    decoded = steps.decode(encoded, pieces, [each.language for each in detected])
    pace = (time.monotonic() - started) / sum(piece.duration for piece in pieces)
    for task, language, text in zip(tasks, detected, decoded, strict=True):
        task.busy += pace * task.clip.piece.duration
        task.language, task.decoded = language, text
        task.reason = doubt(text, language)


def transcript_of(task: Task, transcriber: Transcriber, options: TranscribeOptions) -> Transcript:
    """The transcript of a task whose decoding stands."""
    assert task.language is not None and task.decoded is not None  # noqa: PT018, S101 - it was decoded
    recognition = Recognition(
        segments=iter(task.decoded.segments),
        language=options.language or task.language.language,
        language_probability=task.language.probability,
    )
    reader = task.clip.reader
    made = transcriber.finish(reader, recognition, options, busy=reader.decoding_time + task.busy)
    return attrs.evolve(made, path=BATCHED)


def transcribe_fully(task: Task, transcriber: Transcriber, options: TranscribeOptions) -> Transcript:
    """The recording through the engine's full path, from the samples in memory."""
    audio = Audio(samples=task.clip.samples, sample_rate=SAMPLE_RATE)
    made = transcriber.transcribe(audio, options=options)
    own = tuple(warning for warning in made.warnings if warning.code not in _AUDIO_WARNINGS)
    return attrs.evolve(
        made,
        warnings=(*audio_warnings(task.clip.reader), *own),
        timings=_all_timings(task, made.timings),
        path=f"{BATCHED}, then {FULL}: {task.reason}",
    )


def _all_timings(task: Task, again: Timings) -> Timings:
    audio = task.clip.reader.decoding_time + again.audio
    inference = task.busy + again.inference
    return Timings(audio=audio, inference=inference, total=audio + inference)
