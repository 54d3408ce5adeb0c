"""From CTranslate2's sequences of tokens to segments, timed by the model's attention to the audio."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import attrs
import ctranslate2
from faster_whisper import WhisperModel
from faster_whisper.tokenizer import Tokenizer
from faster_whisper.transcribe import get_compression_ratio

from asrlab.batching import Decoded
from asrlab.engines.faster_whisper.sentences import sentences, tokens_of
from asrlab.engines.faster_whisper.settings import APPENDED, PREPENDED
from asrlab.transcript import Segment, Word

__all__ = ["Text", "heard", "nothing_heard"]


@attrs.frozen(kw_only=True)
class Text:
    """One sequence of tokens.

    Attributes:
        tokens: Without the prompt, time stamps and the end of text.
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
        """The words."""
        words: str = self.tokenizer.decode(list(self.tokens))
        return words.strip()


def nothing_heard(text: Text) -> Decoded:
    """No segments, with the scores of *text*."""
    return Decoded(
        segments=(),
        avg_logprob=text.avg_logprob,
        compression_ratio=float(get_compression_ratio(text.written)),
        no_speech_prob=text.no_speech_prob,
        ended=text.ended,
    )


def heard(
    text: Text, model: WhisperModel, encoded: ctranslate2.StorageView, *, duration: float, with_words: bool
) -> Decoded:
    """*text* as segments, a sentence each.

    The words are timed by faster-whisper's own code, as for ``word_timestamps``.

    Args:
        text: Not empty.
        model: It decoded *text*.
        encoded: What it was decoded from: shape (1, frames / 2, d_model).
        duration: Seconds of audio in *encoded*.
        with_words: Whether the words are wanted.
    """
    words = _words(text, model, encoded, duration=duration)
    decoded = nothing_heard(text)
    if not words:
        segments: tuple[Segment, ...] = (_segment(text, decoded, (), words=None, start=0.0, end=duration),)
    else:
        parts = list(sentences(words))
        written = ["".join(word.text for word in part) for part in parts]
        shares = tokens_of(written, text.tokens, text.tokenizer)
        segments = tuple(
            _segment(text, decoded, share, words=part, start=part[0].start, end=part[-1].end)
            for part, share in zip(parts, shares, strict=True)
        )
    if not with_words:
        segments = tuple(attrs.evolve(segment, words=None) for segment in segments)
    return attrs.evolve(decoded, segments=segments)


def _words(text: Text, model: WhisperModel, encoded: ctranslate2.StorageView, *, duration: float) -> list[Word]:
    """The words with the spaces before them."""
    segment: dict[str, Any] = {"seek": 0, "start": 0.0, "end": duration, "tokens": list(text.tokens)}
    frames = round(duration * model.frames_per_second)
    model.add_word_timestamps([[segment]], text.tokenizer, encoded, frames, PREPENDED, APPENDED, 0.0)
    return [
        Word(
            text=word["word"],
            start=float(word["start"]),
            end=max(float(word["start"]), float(word["end"])),
            probability=float(word["probability"]),
        )
        for word in segment["words"]
    ]


def _segment(
    text: Text, decoded: Decoded, tokens: Sequence[int], *, words: Sequence[Word] | None, start: float, end: float
) -> Segment:
    written = text.written if words is None else "".join(word.text for word in words).strip()
    return Segment(
        text=written,
        start=start,
        end=end,
        words=None if words is None else tuple(attrs.evolve(word, text=word.text.strip()) for word in words),
        tokens=tuple(tokens) if words is not None else text.tokens,
        temperature=0.0,
        avg_logprob=decoded.avg_logprob,
        compression_ratio=decoded.compression_ratio,
        no_speech_prob=decoded.no_speech_prob,
        seek=0,
    )
