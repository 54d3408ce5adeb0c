"""Removal of silence before decoding, and restoration of the recording's times afterwards.

Faster-whisper does the same, but a segment across a cut keeps its start before the silence and its end after it, and
then lasts as long as the silence.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import groupby, pairwise
from typing import Any

import attrs
import numpy as np
from faster_whisper.transcribe import Segment as EngineSegment, Word as EngineWord
from faster_whisper.vad import VadOptions, get_speech_timestamps
from numpy.typing import NDArray

from asrlab.audio import SAMPLE_RATE

type _Part = tuple[str, float, float, list[EngineWord] | None]
"""Text, start, end and words of a part of a segment."""

MIN_SHARE_S = 0.5
"""Seconds that a segment must reach into the speech after a cut to belong to it; Whisper's times are no more exact."""
_DIGITS = 2  # as faster-whisper rounds
_PUNCTUATION = ".!?\u2026\u3002\uff01\uff1f\u061f\u06d4\u0964,;:\u3001\uff0c"


@attrs.frozen(kw_only=True)
class SpeechSpan:
    """Span of speech in a recording.

    Attributes:
        start: Start in seconds in the recording.
        end: End in seconds in the recording.
        joined: Start in seconds without the silences.
    """

    start: float
    end: float
    joined: float

    @property
    def joined_end(self) -> float:
        """End in seconds without the silences."""
        return self.joined + self.end - self.start

    def restore(self, time: float) -> float:
        """Return the time in the recording of *time* without the silences, limited to this span."""
        return min(max(round(time - self.joined + self.start, _DIGITS), self.start), self.end)


@attrs.frozen(kw_only=True)
class JoinedSpeech:
    """Speech of a recording without the silences.

    Attributes:
        samples: Joined samples of the speech; float32, shape (n,), at 16 kHz.
        spans: Spans of the speech in the recording.
    """

    samples: NDArray[np.float32] = attrs.field(repr=False, eq=False)
    spans: tuple[SpeechSpan, ...]

    @property
    def duration(self) -> float:
        """Seconds of speech."""
        return len(self.samples) / SAMPLE_RATE

    def restore_times(self, segments: Iterable[EngineSegment]) -> Iterator[EngineSegment]:
        """Yield *segments* with the recording's times, and cut a segment that lies on both sides of a silence.

        No segment and no word begins or ends in a removed silence.
        """
        if not self.spans:
            yield from segments
            return
        for segment in segments:
            tokens = segment.tokens  # which cannot be split, and stay with the first part
            parts = self._split_by_words(segment) if segment.words else self._split_by_share(segment)
            for text, start, end, words in parts:
                yield replace(segment, text=text, start=start, end=end, words=words, tokens=tokens)
                tokens = []

    def _split_by_words(self, segment: EngineSegment) -> Iterator[_Part]:
        """Split between words of different spans; a word belongs to the span of its middle."""
        index = 0
        indexed = []
        for word in segment.words or ():
            index = max(index, self._span_index((word.start + word.end) / 2))
            indexed.append((index, word))
        groups = [(index, [word for _, word in group]) for index, group in groupby(indexed, key=lambda pair: pair[0])]
        for index, words in groups:
            span = self.spans[index]
            for word in words:
                word.start = span.restore(word.start)
                word.end = max(word.start, span.restore(word.end))
            text = segment.text if len(groups) == 1 else "".join(word.word for word in words)
            yield text, words[0].start, words[-1].end, words

    def _split_by_share(self, segment: EngineSegment) -> Iterator[_Part]:
        """Split the text by the share of the time in each span, for segments without word times."""
        shares = [min(segment.end, span.joined_end) - max(segment.start, span.joined) for span in self.spans]
        covered = [index for index, share in enumerate(shares) if share > MIN_SHARE_S]
        covered = covered or [self._span_index((segment.start + segment.end) / 2)]
        texts = split_by_share(segment.text, [max(shares[index], 1e-6) for index in covered])
        for span, text in zip([self.spans[index] for index in covered], texts, strict=True):
            if text or len(covered) == 1:
                start = span.restore(segment.start)
                yield text, start, max(start, span.restore(segment.end)), segment.words

    def _span_index(self, time: float) -> int:
        ends = (index for index, span in enumerate(self.spans) if time < span.joined_end)
        return next(ends, len(self.spans) - 1)


def find_speech(samples: NDArray[np.float32], parameters: Mapping[str, Any] | None) -> JoinedSpeech:
    """Return the speech in *samples*, float32 at 16 kHz, that faster-whisper's filter with ``VadOptions`` finds."""
    timestamps = get_speech_timestamps(samples, VadOptions(**(parameters or {})))
    parts, spans, joined = [], [], 0
    for timestamp in timestamps:
        start, end = int(timestamp["start"]), int(timestamp["end"])
        parts.append(samples[start:end])
        spans.append(SpeechSpan(start=start / SAMPLE_RATE, end=end / SAMPLE_RATE, joined=joined / SAMPLE_RATE))
        joined += end - start
    return JoinedSpeech(samples=np.concatenate(parts) if parts else np.empty(0, np.float32), spans=tuple(spans))


def split_by_share(text: str, lengths: Sequence[float]) -> list[str]:
    """Split *text* between words into as many parts as *lengths*, each about as long as its share.

    A cut moves to a punctuation mark nearby. Parts are empty if there are too few words.
    """
    words = text.split(" ")
    total, chars = sum(lengths), max(len(text), 1)
    cuts, done = [0], 0.0
    for length in lengths[:-1]:
        done += length
        cuts.append(_choose_cut(words, chars * done / total, minimum=cuts[-1]))
    cuts.append(len(words))
    return [" ".join(words[first:last]) for first, last in pairwise(cuts)]


def _choose_cut(words: Sequence[str], ideal: float, *, minimum: int) -> int:
    """Return the number of words before a cut near *ideal* characters; punctuation outweighs a fifth of the text."""
    chars = sum(map(len, words)) + len(words) - 1
    position = 0
    best, best_distance = minimum, float("inf")
    for count, word in enumerate(words, start=1):
        position += len(word) + 1
        distance = abs(position - ideal) - (chars / 5 if word[-1:] in _PUNCTUATION else 0)
        if minimum <= count < len(words) and distance < best_distance:
            best, best_distance = count, distance
    return best
