"""Checks of the times of segments and words."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from typing import Any

from asrlab.testing.conformance.check import Check
from asrlab.testing.conformance.context import CheckContext
from asrlab.transcript import Segment, Word

_PADDING_S = 30.0  # Whisper hears a window of 30 s and may put an end into its padding, which asrlab cuts off
_HAIR_S = 1e-3


def _times(case: CheckContext) -> Iterator[str]:
    duration = case.speech.duration
    yield from _wrong(case.raw, duration)
    yield from _wrong([word for segment in case.raw for word in segment.words or ()], duration)


def _wrong(parts: Iterable[Segment | Word], duration: float) -> Iterator[str]:
    """The first thing that is wrong with the times of *parts*."""
    last = 0.0
    for part in parts:
        if said := _fault(part, last, duration):
            place = f"{type(part).__name__.lower()} {part.text[:40]!r}, {part.start!r} to {part.end!r}"
            yield f"{place}, {said}; give seconds from the start of the audio, in order, from recognize()"
            return
        last = part.start


def _fault(part: Segment | Word, last: float, duration: float) -> str:
    numbers: tuple[Any, ...] = (part.start, part.end)
    if not all(isinstance(number, float | int) and math.isfinite(number) for number in numbers):
        return "has a time that is no finite number"
    if part.end < part.start:
        return "ends before it starts"
    if part.start < last - _HAIR_S:
        return f"starts before the one in front of it, at {last}"
    if part.start < -_HAIR_S or part.start > duration + _HAIR_S or part.end > duration + _PADDING_S:
        return f"is not inside the audio of {duration:.2f} s (are they milliseconds, samples, or frames?)"
    return ""


CHECKS = (
    Check(
        name="times",
        sentence="Times of segments and words are finite, in order, and inside the audio.",
        problems=_times,
    ),
)
