"""The speech that is timed: the embedded clips, whole, cut and joined, from 2 to 19 seconds."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from asrlab.audio import Audio, load_audio
from asrlab.evaluation.datasets.smoke import smoke

_PARTS: tuple[tuple[tuple[int, ...], float | None], ...] = (
    ((1,), None),
    ((0,), None),
    ((4,), 2.0),
    ((2,), None),
    ((0, 2, 3), None),
    ((4,), None),
    ((1, 3), None),
    ((3,), None),
)
"""Which of the five clips are joined, and the second at which that is cut; 55 seconds in all."""

CYCLE = len(_PARTS)
"""How many clips there are of different lengths; with a multiple of it the lengths are always equally many."""


def clips(count: int) -> list[Audio]:
    """*count* clips of mixed lengths, the same ones again after `CYCLE`; they share their samples."""
    speech = [load_audio(utterance.audio) for utterance in smoke()]
    made = [_joined([speech[place] for place in places], end) for places, end in _PARTS]
    return [made[index % CYCLE] for index in range(count)]


def duration(speech: Sequence[Audio]) -> float:
    """Seconds in all of them."""
    return sum(len(each.samples) / each.sample_rate for each in speech)


def _joined(parts: Sequence[Audio], end: float | None) -> Audio:
    rate = parts[0].sample_rate
    samples = np.concatenate([part.samples for part in parts])
    return Audio(samples=samples[: None if end is None else round(end * rate)], sample_rate=rate)
