"""Checks of the times of segments and words."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from typing import Any

from asrlab.testing.conformance.check import Check, CheckContext
from asrlab.transcript import Segment, Word

_PADDING_S = 30.0  # Whisper's window of 30 s may end in padding; an end there is valid, and asrlab clamps it
_TIME_TOLERANCE_S = 1e-3


def _times(context: CheckContext) -> Iterator[str]:
    duration = context.speech.duration
    yield from _first_error(context.raw_segments, duration)
    yield from _first_error([word for segment in context.raw_segments for word in segment.words or ()], duration)


def _first_error(parts: Iterable[Segment | Word], duration: float) -> Iterator[str]:
    last = 0.0
    for part in parts:
        if error := _error(part, last, duration):
            name = f"{type(part).__name__.lower()} {part.text[:40]!r}, {part.start!r} to {part.end!r}"
            yield f"{name}, {error}; return seconds from the start of the audio, in order, from recognize()"
            return
        last = part.start


def _error(part: Segment | Word, last: float, duration: float) -> str:
    times: tuple[Any, ...] = (part.start, part.end)
    if not all(isinstance(time, float | int) and math.isfinite(time) for time in times):
        return "has a time that is not a finite number"
    if part.end < part.start:
        return "ends before it starts"
    if part.start < last - _TIME_TOLERANCE_S:
        return f"starts before its predecessor, at {last}"
    if not -_TIME_TOLERANCE_S <= part.start <= duration + _TIME_TOLERANCE_S or part.end > duration + _PADDING_S:
        return f"is outside the audio of {duration:.2f} s (are the times milliseconds, samples, or frames?)"
    return ""


CHECKS = (
    Check(
        name="times",
        description="Times of segments and words are finite, in order, and inside the audio.",
        find_problems=_times,
    ),
)
