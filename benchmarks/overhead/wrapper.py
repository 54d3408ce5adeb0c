"""Overhead of asrlab, measured with an engine that takes no time."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from statistics import median
from typing import Any

import attrs

import asrlab

from .engines import SAMPLE_RATE, Recording, decode

__all__ = ["Wrapper", "measure_wrapper"]


@attrs.frozen(kw_only=True)
class Wrapper:
    """Times of one clip with ``echo/echo`` in milliseconds of CPU, each the median of its runs.

    Attributes:
        id: Name of the clip.
        array_ms: Time of asrlab with the samples.
        file_ms: Time of asrlab with the file, which asrlab decodes and checks.
        decode_ms: Time of soundfile to decode the file, as for a user of a raw engine.
    """

    id: str
    array_ms: float
    file_ms: float
    decode_ms: float


def measure_wrapper(recordings: Sequence[Recording], *, runs: int) -> tuple[Wrapper, ...]:
    """Measure the clips one by one, *runs* times each."""
    with asrlab.load("echo/echo", device="cpu") as transcriber:
        return tuple(_measure(transcriber, recording, runs=runs) for recording in recordings)


def _measure(transcriber: asrlab.Transcriber, recording: Recording, *, runs: int) -> Wrapper:
    samples, path = recording.samples, recording.path
    return Wrapper(
        id=recording.id,
        array_ms=_milliseconds(lambda: transcriber.transcribe(samples, sample_rate=SAMPLE_RATE), runs=runs),
        file_ms=_milliseconds(lambda: transcriber.transcribe(path), runs=runs),
        decode_ms=_milliseconds(lambda: decode(path), runs=runs),
    )


def _milliseconds(work: Callable[[], Any], *, runs: int) -> float:
    return 1000 * median(_seconds(work) for _ in range(runs))


def _seconds(work: Callable[[], Any]) -> float:
    start = time.process_time()
    work()
    return time.process_time() - start
