"""A long recording of concatenated clips with known texts and times."""

from __future__ import annotations

from itertools import cycle
from pathlib import Path

import attrs
import numpy as np
from benchmarks.speech import read_clips
from numpy.typing import NDArray

import asrlab

__all__ = ["RATE", "Joined", "join"]

RATE = 16_000
PAUSE_S = 0.4


@attrs.frozen(kw_only=True, eq=False)
class Joined:
    """A recording of concatenated clips.

    Attributes:
        samples: float32, shape (n,), at 16 kHz.
        texts: Reference of each clip.
        spans: Start and end of each clip and the pause after it, in seconds.
    """

    samples: NDArray[np.float32]
    texts: tuple[str, ...]
    spans: tuple[tuple[float, float], ...]

    @property
    def text(self) -> str:
        """The whole reference text."""
        return " ".join(self.texts)

    @property
    def duration(self) -> float:
        """Duration in seconds."""
        return len(self.samples) / RATE


def join(folder: Path | None, *, seconds: float, language: str = "en") -> Joined:
    """Concatenate the clips of *folder* in *language*, repeatedly and with pauses, to at least *seconds*."""
    parts: list[NDArray[np.float32]] = []
    texts, spans, end = [], [], 0.0
    pause = np.zeros(round(PAUSE_S * RATE), np.float32)
    for clip in cycle([clip for clip in read_clips(folder) if clip.language == language]):
        if end >= seconds:
            break
        samples = asrlab.load_audio(clip.path).samples
        parts += [samples, pause]
        start, end = end, end + (len(samples) + len(pause)) / RATE
        spans.append((start, end))
        texts.append(clip.text)
    return Joined(samples=np.concatenate(parts), texts=tuple(texts), spans=tuple(spans))
