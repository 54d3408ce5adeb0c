"""Upstream's search for segments that the model made up in silence: odd words with silence around them.

Source: openai-whisper 20250625, ``transcribe``, ``hallucination_silence_threshold``.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import attrs

from asrlab.engines.openai_whisper.settings import APPENDED, PREPENDED

type SegmentDict = dict[str, Any]

_IMPROBABLE = 0.15
_SHORTEST, _LONGEST = 0.133, 2.0  # seconds that a word takes
_WORDS_LOOKED_AT = 8
_EDGE = 2.0  # seconds at either end of a window that count as silence
_FULL_WINDOW = 30.0
_PUNCTUATION = PREPENDED + APPENDED


@attrs.frozen(kw_only=True)
class WindowSpan:
    """Where segments were heard; all in seconds.

    Attributes:
        offset: Where the window begins.
        size: How much of it is audio.
        last_speech: Where the last word before the window ended.
        threshold: The silence that is long.
    """

    offset: float
    size: float
    last_speech: float
    threshold: float

    @property
    def window_end(self) -> float:
        """Where a full window would end."""
        return self.offset + _FULL_WINDOW


def leading_silence(segments: Sequence[SegmentDict], place: WindowSpan) -> float | None:
    """The seconds before the first words, where these are odd and the silence before them is long."""
    first = _first_with_words(segments)
    if not _odd(first):
        return None
    gap = float(first["start"] - place.offset)  # type: ignore[index] # an odd one is there
    return gap if gap > place.threshold else None


def first_hallucination(segments: Sequence[SegmentDict], place: WindowSpan) -> int | None:
    """The place of the first segment that is odd, with silence or more odd ones around it."""
    before = place.last_speech
    for index, segment in enumerate(segments):
        if not segment["words"]:
            continue
        behind = _first_with_words(segments[index + 1 :])
        if _odd(segment) and _quiet_before(segment, before, place) and _quiet_behind(segment, behind, place):
            return index
        before = segment["end"]
    return None


def _quiet_before(segment: SegmentDict, before: float, place: WindowSpan) -> bool:
    start = segment["start"]
    return bool(start - before > place.threshold or start < place.threshold or start - place.offset < _EDGE)


def _quiet_behind(segment: SegmentDict, behind: SegmentDict | None, place: WindowSpan) -> bool:
    next_start = behind["words"][0]["start"] if behind else place.offset + place.size
    return bool(
        next_start - segment["end"] > place.threshold or _odd(behind) or place.window_end - segment["end"] < _EDGE
    )


def _first_with_words(segments: Sequence[SegmentDict]) -> SegmentDict | None:
    return next((segment for segment in segments if segment["words"]), None)


def _odd(segment: SegmentDict | None) -> bool:
    """Whether its first words are too short, too long or too improbable to be speech."""
    if segment is None or not segment["words"]:
        return False
    words = [word for word in segment["words"] if word["word"] not in _PUNCTUATION][:_WORDS_LOOKED_AT]
    score = sum(map(_oddness, words))
    return score >= 3 or score + 0.01 >= len(words)


def _oddness(word: dict[str, Any]) -> float:
    duration = word["end"] - word["start"]
    improbable = float(word.get("probability", 0.0) < _IMPROBABLE)
    return float(improbable + max(0.0, _SHORTEST - duration) * 15 + max(0.0, duration - _LONGEST))
