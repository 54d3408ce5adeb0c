"""Silence left out before decoding, and the times of the recording restored behind it.

faster-whisper does the same, but a segment that it times across a cut keeps its start before the silence and its end
behind it, and then lasts as long as the silence.
"""

from __future__ import annotations

from itertools import groupby, pairwise
from typing import TYPE_CHECKING, Any

import attrs
from faster_whisper.vad import VadOptions, get_speech_timestamps

from asrlab.audio import SAMPLE_RATE

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    import numpy as np
    from faster_whisper.transcribe import Segment as EngineSegment, Word as EngineWord
    from numpy.typing import NDArray


MIN_SHARE_S = 0.5
"""A segment that reaches this far at most into the speech behind a cut is not of it: Whisper's times are no surer."""
_DIGITS = 2  # as faster-whisper rounds
_STOPS = ".!?\u2026\u3002\uff01\uff1f\u061f\u06d4\u0964,;:\u3001\uff0c"


@attrs.frozen(kw_only=True)
class Span:
    """A stretch of speech.

    Attributes:
        start: Seconds in the recording.
        end: The same.
        joined: Seconds at which it starts where the silences are left out.
    """

    start: float
    end: float
    joined: float

    @property
    def joined_end(self) -> float:
        """Seconds at which it ends where the silences are left out."""
        return self.joined + self.end - self.start

    def restore(self, time: float) -> float:
        """Return the time in the recording, within this span."""
        return min(max(round(time - self.joined + self.start, _DIGITS), self.start), self.end)


@attrs.frozen(kw_only=True)
class Speech:
    """What is left of a recording without its silences.

    Attributes:
        samples: The speech, joined; float32, shape (n,), at 16 kHz.
        spans: Where it was.
    """

    samples: NDArray[np.float32] = attrs.field(repr=False, eq=False)
    spans: tuple[Span, ...]

    @property
    def duration(self) -> float:
        """Seconds of speech."""
        return len(self.samples) / SAMPLE_RATE

    def restored(self, segments: Iterable[EngineSegment]) -> Iterator[EngineSegment]:
        """Yield *segments* at the recording's times; one that lies on both sides of a silence is cut there.

        No segment and no word begins or ends in a silence that was left out.
        """
        if not self.spans:
            yield from segments
            return
        for segment in segments:
            parts = self._by_words(segment) if segment.words else self._by_share(segment)
            yield from _numbered(segment, parts)

    def _by_words(self, segment: EngineSegment) -> Iterator[tuple[str, float, float, list[EngineWord] | None]]:
        """Cut where two words are of different spans: each is of the one that holds its middle."""
        place = 0
        placed = []
        for word in segment.words or ():
            place = max(place, self._place((word.start + word.end) / 2))
            placed.append((place, word))
        groups = [(place, [word for _, word in group]) for place, group in groupby(placed, key=lambda each: each[0])]
        for place, words in groups:
            span = self.spans[place]
            for word in words:
                word.start = span.restore(word.start)
                word.end = max(word.start, span.restore(word.end))
            text = segment.text if len(groups) == 1 else "".join(word.word for word in words)
            yield text, words[0].start, words[-1].end, words

    def _by_share(self, segment: EngineSegment) -> Iterator[tuple[str, float, float, list[EngineWord] | None]]:
        """Cut the text by the share of the time that lies in each span, for want of times of words."""
        spans = self._touched(segment.start, segment.end)
        lengths = [
            max(min(segment.end, span.joined_end) - max(segment.start, span.joined), 0.0) or 1e-6 for span in spans
        ]
        for span, text in zip(spans, split_by_share(segment.text, lengths), strict=True):
            if text or len(spans) == 1:
                start = span.restore(segment.start)
                yield text, start, max(start, span.restore(segment.end)), segment.words

    def _touched(self, start: float, end: float) -> list[Span]:
        """The spans that a segment is of: those it reaches far enough into, or the one of its middle."""
        shares = ((min(end, span.joined_end) - max(start, span.joined), span) for span in self.spans)
        return [span for share, span in shares if share > MIN_SHARE_S] or [self.spans[self._place((start + end) / 2)]]

    def _place(self, time: float) -> int:
        ends = (index for index, span in enumerate(self.spans) if time < span.joined_end)
        return next(ends, len(self.spans) - 1)


def find_speech(samples: NDArray[np.float32], parameters: Mapping[str, Any] | None) -> Speech:
    """Return the speech in *samples*, as faster-whisper's filter finds it.

    Args:
        samples: float32, shape (n,), at 16 kHz.
        parameters: Of ``faster_whisper.vad.VadOptions``; None takes its defaults.
    """
    import numpy as np

    found = get_speech_timestamps(samples, VadOptions(**(parameters or {})))
    spans, joined = [], 0
    for stretch in found:
        start, end = int(stretch["start"]), int(stretch["end"])
        spans.append(Span(start=start / SAMPLE_RATE, end=end / SAMPLE_RATE, joined=joined / SAMPLE_RATE))
        joined += end - start
    parts = [samples[int(stretch["start"]) : int(stretch["end"])] for stretch in found]
    return Speech(samples=np.concatenate(parts) if parts else np.empty(0, np.float32), spans=tuple(spans))


def split_by_share(text: str, lengths: Sequence[float]) -> list[str]:
    """Return *text* in as many parts as *lengths*, each about as long as its share; cuts are between words.

    A cut moves to a punctuation mark in its neighbourhood. A part is empty where there are too few words.
    """
    words = text.split(" ")
    total, chars = sum(lengths), max(len(text), 1)
    cuts, done = [0], 0.0
    for length in lengths[:-1]:
        done += length
        cuts.append(_cut(words, chars * done / total, least=cuts[-1]))
    cuts.append(len(words))
    return [" ".join(words[first:last]) for first, last in pairwise(cuts)]


def _cut(words: Sequence[str], ideal: float, *, least: int) -> int:
    """The number of words before a cut near *ideal* characters, punctuation being worth a fifth of the text."""
    chars = sum(map(len, words)) + len(words) - 1
    at = 0
    best, worth = least, float("inf")
    for count, word in enumerate(words, start=1):
        at += len(word) + 1
        distance = abs(at - ideal) - (chars / 5 if word[-1:] in _STOPS else 0)
        if count >= least and count < len(words) and distance < worth:
            best, worth = count, distance
    return best


def _numbered(
    segment: EngineSegment, parts: Iterable[tuple[str, float, float, list[EngineWord] | None]]
) -> Iterator[EngineSegment]:
    """Yield *segment* once for each part; its tokens, which cannot be cut, stay with the first."""
    from dataclasses import replace

    tokens = segment.tokens
    for text, start, end, words in parts:
        yield replace(segment, text=text, start=start, end=end, words=words, tokens=tokens)
        tokens = []
