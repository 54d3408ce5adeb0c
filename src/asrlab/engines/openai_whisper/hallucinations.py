"""Search for hallucinations, segments that the model made up in silence: anomalous words with silence around them.

Source: openai-whisper 20250625, ``transcribe``, ``hallucination_silence_threshold``.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import attrs

from asrlab.engines.whisper import APPEND_PUNCTUATIONS, PREPEND_PUNCTUATIONS

type SegmentDict = dict[str, Any]

_MIN_PROBABILITY = 0.15
_MIN_WORD_S, _MAX_WORD_S = 0.133, 2.0
_MAX_WORDS = 8
_EDGE_S = 2.0  # seconds at either end of a window that count as silence
_WINDOW_S = 30.0
_PUNCTUATION = PREPEND_PUNCTUATIONS + APPEND_PUNCTUATIONS


@attrs.frozen(kw_only=True)
class WindowSpan:
    """Times around the segments of a window, in seconds.

    Attributes:
        offset: Start of the window.
        size: Length of the audio in the window.
        last_speech: End of the last word before the window.
        threshold: Minimum length of a long silence.
    """

    offset: float
    size: float
    last_speech: float
    threshold: float

    @property
    def window_end(self) -> float:
        """End of a full window."""
        return self.offset + _WINDOW_S


def leading_silence(segments: Sequence[SegmentDict], window: WindowSpan) -> float | None:
    """Return the seconds before the first words if these are anomalous and the silence before them is long."""
    first = _first_with_words(segments)
    if first is None or not _is_anomalous(first):
        return None
    gap = float(first["start"] - window.offset)
    return gap if gap > window.threshold else None


def first_hallucination(segments: Sequence[SegmentDict], window: WindowSpan) -> int | None:
    """Return the index of the first anomalous segment that has silence or more anomalous segments around it."""
    previous_end = window.last_speech
    for index, segment in enumerate(segments):
        if not segment["words"]:
            continue
        following = _first_with_words(segments[index + 1 :])
        if (
            _is_anomalous(segment)
            and _has_silence_before(segment, previous_end, window)
            and _has_silence_after(segment, following, window)
        ):
            return index
        previous_end = segment["end"]
    return None


def _has_silence_before(segment: SegmentDict, previous_end: float, window: WindowSpan) -> bool:
    start = segment["start"]
    silence = start - previous_end
    return bool(silence > window.threshold or start < window.threshold or start - window.offset < _EDGE_S)


def _has_silence_after(segment: SegmentDict, following: SegmentDict | None, window: WindowSpan) -> bool:
    next_start = following["words"][0]["start"] if following else window.offset + window.size
    is_long = next_start - segment["end"] > window.threshold
    return bool(is_long or _is_anomalous(following) or window.window_end - segment["end"] < _EDGE_S)


def _first_with_words(segments: Sequence[SegmentDict]) -> SegmentDict | None:
    return next((segment for segment in segments if segment["words"]), None)


def _is_anomalous(segment: SegmentDict | None) -> bool:
    """Return whether the first words of *segment* are too short, too long or too improbable to be speech."""
    if segment is None or not segment["words"]:
        return False
    words = [word for word in segment["words"] if word["word"] not in _PUNCTUATION][:_MAX_WORDS]
    score = sum(map(_anomaly_score, words))
    return score >= 3 or score + 0.01 >= len(words)


def _anomaly_score(word: dict[str, Any]) -> float:
    duration = word["end"] - word["start"]
    improbable = float(word.get("probability", 0.0) < _MIN_PROBABILITY)
    return float(improbable + max(0.0, _MIN_WORD_S - duration) * 15 + max(0.0, duration - _MAX_WORD_S))
