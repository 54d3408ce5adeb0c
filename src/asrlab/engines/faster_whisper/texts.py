"""From CTranslate2's sequences of tokens to segments, with or without time stamps."""

from __future__ import annotations

import attrs
import ctranslate2
from faster_whisper.tokenizer import Tokenizer
from faster_whisper.transcribe import get_compression_ratio

from asrlab.batching import Decoded
from asrlab.engines.faster_whisper.stamps import Stretch, split_at_stamps
from asrlab.transcript import Segment

__all__ = ["LEAST_LEFT", "Heard", "Text", "with_rest", "with_stamps"]

LEAST_LEFT = 0.3
"""Seconds. Less than this behind the last stamp holds no word."""
_ANCHOR = 8
_SHIFT = 20
"""Letters: of the last word or two heard, and by how much two decodings of the same words may differ in length."""


@attrs.frozen(kw_only=True)
class Text:
    """One sequence of tokens.

    Attributes:
        tokens: Without the prompt and the end of text.
        tokenizer: Of its language.
        avg_logprob: Mean natural logarithm of the tokens' probabilities, the end of text included.
        no_speech_prob: In [0, 1].
        ended: Whether there was an end of text.
    """

    tokens: tuple[int, ...]
    tokenizer: Tokenizer
    avg_logprob: float
    no_speech_prob: float
    ended: bool

    @classmethod
    def of(cls, result: ctranslate2.models.WhisperGenerationResult, tokenizer: Tokenizer, *, ended: bool) -> Text:
        """The best hypothesis. Source: faster-whisper, ``generate_with_fallback``, for its score."""
        tokens = tuple(result.sequences_ids[0])
        return cls(
            tokens=tokens,
            tokenizer=tokenizer,
            avg_logprob=float(result.scores[0] * len(tokens) / (len(tokens) + 1)),
            no_speech_prob=float(result.no_speech_prob),
            ended=ended,
        )

    @property
    def written(self) -> str:
        """The words, without stamps."""
        words: str = self.tokenizer.decode(list(self.tokens))
        return words.strip()

    def decoded(self, stretches: tuple[Stretch, ...]) -> Decoded:
        """These tokens as the segments that *stretches* make of them."""
        ratio = float(get_compression_ratio(self.written))
        segments = [self._segment(stretch, ratio) for stretch in stretches]
        return Decoded(
            segments=tuple(segment for segment in segments if segment.text and segment.start != segment.end),
            avg_logprob=self.avg_logprob,
            compression_ratio=ratio,
            no_speech_prob=self.no_speech_prob,
            ended=self.ended,
        )

    def _segment(self, stretch: Stretch, ratio: float) -> Segment:
        return Segment(
            text=self.tokenizer.decode(list(stretch.tokens)).strip(),
            start=stretch.start,
            end=max(stretch.start, stretch.end),
            tokens=stretch.tokens,
            temperature=0.0,
            avg_logprob=self.avg_logprob,
            compression_ratio=ratio,
            no_speech_prob=self.no_speech_prob,
            seek=0,
        )


@attrs.frozen(kw_only=True)
class Heard:
    """What was decoded, and how much audio is left behind it, in seconds: 0 where the model says that is all."""

    decoded: Decoded
    left: float


def with_stamps(text: Text, tokenizer: Tokenizer, duration: float) -> Heard:
    """Segments between time stamps, for *duration* seconds of audio."""
    stretches, rest = split_at_stamps(text.tokens, first=tokenizer.timestamp_begin, duration=duration)
    return Heard(decoded=text.decoded(stretches), left=0.0 if rest is None else duration - rest)


def with_rest(heard: Heard, plain: Text, duration: float) -> Heard:
    """*heard* to the end of the audio, by *plain*, which was decoded from the same audio without time stamps.

    What *plain* has behind the last words heard is added, from the last stamp to the end. Where those words are not in
    it, its whole text is one segment.
    """
    whole = plain.decoded((Stretch(tokens=plain.tokens, start=0.0, end=duration),))
    rest = _behind("".join(segment.text for segment in heard.decoded.segments), plain.written)
    if rest is None or not whole.segments:
        return Heard(decoded=whole, left=0.0)
    segments = heard.decoded.segments
    if any(map(str.isalnum, rest)):
        last = attrs.evolve(whole.segments[0], text=rest, start=duration - heard.left, tokens=None)
        segments = (*segments, last)
    return Heard(decoded=attrs.evolve(whole, segments=segments), left=0.0)


def _behind(before: str, text: str) -> str | None:
    """What *text* has behind the last characters of *before*, where they stand at about the same place; else None.

    Spaces, case and punctuation do not count.
    """
    known = "".join(character.casefold() for character in before if character.isalnum())
    places = [place for place, character in enumerate(text) if character.isalnum()]
    letters = "".join(text[place].casefold()[0] for place in places)
    anchor = known[-_ANCHOR:]
    start = max(0, len(known) - len(anchor) - _SHIFT)
    found = letters.find(anchor, start, len(known) + _SHIFT) if anchor else -1
    if found < 0:
        return None
    end = found + len(anchor)
    return text[places[end] :].strip() if end < len(places) else ""
