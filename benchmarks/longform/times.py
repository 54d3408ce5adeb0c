"""How far apart the times of two transcripts of one recording are."""

from __future__ import annotations

from collections.abc import Sequence
from difflib import SequenceMatcher
from typing import Any

import attrs
import numpy as np
from numpy.typing import NDArray

from asrlab.evaluation.metrics import get_normalizer

from .recording import Joined

__all__ = ["Apart", "apart", "early"]

TOLERANCE_S = 0.5
_CLEAR_S = 0.05  # a word that ends later than that behind the start of a clip is one of the clip


@attrs.frozen(kw_only=True)
class Apart:
    """The distances.

    Attributes:
        starts: Seconds between the starts of each word that both have: shape (n,).
        ends: Likewise.
        segments: Seconds between the start of each segment and that of its first word in the other transcript.
    """

    starts: NDArray[np.float64]
    ends: NDArray[np.float64]
    segments: NDArray[np.float64]

    @property
    def plain(self) -> dict[str, Any]:
        """For JSON: of each its number, quantiles, and the share within half a second."""
        named = {"starts": self.starts, "ends": self.ends, "segments": self.segments}
        return {name: _plain(values) for name, values in named.items()}


def _plain(values: NDArray[np.float64]) -> dict[str, float]:
    if not len(values):
        return {"count": 0}
    quantiles = {f"p{100 * q:g}": float(np.quantile(values, q)) for q in (0.5, 0.9, 0.95, 0.99, 1.0)}
    return {"count": len(values), "within": float(np.mean(values <= TOLERANCE_S)), **quantiles}


def apart(ours: dict[str, Any], theirs: dict[str, Any], spans: Sequence[tuple[float, float]]) -> Apart:
    """Compare the words that both have in the same clip: clips come again, so elsewhere the same words mean little."""
    starts, ends, segments = [], [], []
    begins = {round(start, 2) for start, _ in ours["segments"]}
    for span in spans:
        mine, other = _within(ours["words"], span), _within(theirs["words"], span)
        for place, opposite in _matched([word for word, *_ in mine], [word for word, *_ in other]):
            starts.append(abs(mine[place][1] - other[opposite][1]))
            ends.append(abs(mine[place][2] - other[opposite][2]))
            if round(mine[place][1], 2) in begins:
                segments.append(starts[-1])
    return Apart(starts=np.array(starts), ends=np.array(ends), segments=np.array(segments))


def early(words: Sequence[Sequence[Any]], joined: Joined) -> dict[str, float]:
    """Return the seconds between the start of a clip's first word and its first sample, if recognized; for JSON."""
    plain = get_normalizer("basic")
    seconds = []
    for (start, _), text in zip(joined.spans, joined.texts, strict=True):
        here = next((word for word in words if word[2] > start + _CLEAR_S), None)
        if here is not None and plain(here[0]) == plain(text).split()[0]:
            seconds.append(max(0.0, start - here[1]))
    return _plain(np.array(seconds))


def _within(words: Sequence[Sequence[Any]], span: tuple[float, float]) -> list[tuple[str, float, float]]:
    plain = get_normalizer("basic")
    return [(plain(word), start, end) for word, start, end in words if span[0] <= (start + end) / 2 < span[1]]


def _matched(mine: Sequence[str], other: Sequence[str]) -> list[tuple[int, int]]:
    blocks = SequenceMatcher(None, mine, other, autojunk=False).get_matching_blocks()
    return [(block.a + place, block.b + place) for block in blocks for place in range(block.size)]
