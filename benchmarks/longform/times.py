"""Differences between the times of two transcripts of one recording."""

from __future__ import annotations

from collections.abc import Sequence
from difflib import SequenceMatcher
from typing import Any

import attrs
import numpy as np
from numpy.typing import NDArray

from asrlab.evaluation.metrics import get_normalizer

from .recording import Joined

__all__ = ["TimeDifferences", "compare_times", "early_starts"]

TOLERANCE_S = 0.5
_CLEAR_S = 0.05  # a word that ends later after the start of a clip belongs to the clip


@attrs.frozen(kw_only=True)
class TimeDifferences:
    """The differences between the times of words that both transcripts have.

    Attributes:
        starts: Seconds between the starts of each word, shape (n,).
        ends: Seconds between the ends of each word, shape (n,).
        segments: Seconds between the start of each segment and that of its first word in the other transcript.
    """

    starts: NDArray[np.float64]
    ends: NDArray[np.float64]
    segments: NDArray[np.float64]

    @property
    def plain(self) -> dict[str, Any]:
        """Number, quantiles, and share within half a second of each kind of difference, for JSON."""
        differences = {"starts": self.starts, "ends": self.ends, "segments": self.segments}
        return {name: _plain(values) for name, values in differences.items()}


def _plain(values: NDArray[np.float64]) -> dict[str, float]:
    if not len(values):
        return {"count": 0}
    quantiles = {f"p{100 * q:g}": float(np.quantile(values, q)) for q in (0.5, 0.9, 0.95, 0.99, 1.0)}
    return {"count": len(values), "within": float(np.mean(values <= TOLERANCE_S)), **quantiles}


def compare_times(
    ours: dict[str, Any], theirs: dict[str, Any], spans: Sequence[tuple[float, float]]
) -> TimeDifferences:
    """Compare the times of words that both transcripts have in the same clip, because clips are repeated."""
    starts, ends, segments = [], [], []
    segment_starts = {round(start, 2) for start, _ in ours["segments"]}
    for span in spans:
        words, other = _words_within(ours["words"], span), _words_within(theirs["words"], span)
        for index, other_index in _match_words([word for word, *_ in words], [word for word, *_ in other]):
            starts.append(abs(words[index][1] - other[other_index][1]))
            ends.append(abs(words[index][2] - other[other_index][2]))
            if round(words[index][1], 2) in segment_starts:
                segments.append(starts[-1])
    return TimeDifferences(starts=np.array(starts), ends=np.array(ends), segments=np.array(segments))


def early_starts(words: Sequence[Sequence[Any]], joined: Joined) -> dict[str, float]:
    """Return, for JSON, the seconds by which the first word of each clip begins before the clip."""
    normalize = get_normalizer("basic")
    seconds = []
    for (start, _), text in zip(joined.spans, joined.texts, strict=True):
        first = next((word for word in words if word[2] > start + _CLEAR_S), None)
        if first is not None and normalize(first[0]) == normalize(text).split()[0]:
            seconds.append(max(0.0, start - first[1]))
    return _plain(np.array(seconds))


def _words_within(words: Sequence[Sequence[Any]], span: tuple[float, float]) -> list[tuple[str, float, float]]:
    normalize = get_normalizer("basic")
    return [(normalize(word), start, end) for word, start, end in words if span[0] <= (start + end) / 2 < span[1]]


def _match_words(words: Sequence[str], other: Sequence[str]) -> list[tuple[int, int]]:
    blocks = SequenceMatcher(None, words, other, autojunk=False).get_matching_blocks()
    return [(block.a + offset, block.b + offset) for block in blocks for offset in range(block.size)]
