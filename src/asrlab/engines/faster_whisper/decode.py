"""Conversion of the tokens of a batch to segments, one per sentence."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from statistics import median
from typing import Any

import attrs
import ctranslate2
from faster_whisper import WhisperModel
from faster_whisper.tokenizer import Tokenizer
from faster_whisper.transcribe import get_compression_ratio

from asrlab.batching import Decoded
from asrlab.engines.whisper import APPEND_PUNCTUATIONS, PREPEND_PUNCTUATIONS, to_word
from asrlab.transcript import Segment, Word


@attrs.frozen(kw_only=True)
class TokenSequence:
    """Decoded tokens of one chunk.

    Attributes:
        tokens: Token ids without the prompt, time stamps and the end of text.
        tokenizer: Tokenizer for the language.
        avg_logprob: Mean natural logarithm of the tokens' probabilities, including the end of text.
        no_speech_prob: Probability of no speech, in [0, 1].
        ended: True if the model gave an end of text.
    """

    tokens: tuple[int, ...]
    tokenizer: Tokenizer
    avg_logprob: float
    no_speech_prob: float
    ended: bool

    @classmethod
    def from_result(
        cls, result: ctranslate2.models.WhisperGenerationResult, tokenizer: Tokenizer, *, ended: bool
    ) -> TokenSequence:
        """Return the best hypothesis of *result*. Source of the score: faster-whisper, ``generate_with_fallback``."""
        tokens = tuple(result.sequences_ids[0])
        return cls(
            tokens=tokens,
            tokenizer=tokenizer,
            avg_logprob=float(result.scores[0] * len(tokens) / (len(tokens) + 1)),
            no_speech_prob=float(result.no_speech_prob),
            ended=ended,
        )

    @property
    def text(self) -> str:
        """Decoded text."""
        text: str = self.tokenizer.decode(list(self.tokens))
        return text.strip()

    def to_decoded(self, segments: tuple[Segment, ...] = ()) -> Decoded:
        """Return a result with *segments* and the scores of the tokens."""
        return Decoded(
            segments=segments,
            avg_logprob=self.avg_logprob,
            compression_ratio=float(get_compression_ratio(self.text)),
            no_speech_prob=self.no_speech_prob,
            ended=self.ended,
        )


def split_to_segments(sequence: TokenSequence, words: Sequence[Word], *, duration: float) -> tuple[Segment, ...]:
    """Return a segment with words per sentence of *words*; without words, one that lasts *duration* seconds."""
    base = Segment(
        text=sequence.text,
        start=0.0,
        end=duration,
        tokens=sequence.tokens,
        temperature=0.0,
        avg_logprob=sequence.avg_logprob,
        compression_ratio=float(get_compression_ratio(sequence.text)),
        no_speech_prob=sequence.no_speech_prob,
        seek=0,
    )
    if not words:
        return (base,)
    sentences = list(split_sentences(words))
    texts = ["".join(word.text for word in sentence) for sentence in sentences]
    tokens = split_tokens(texts, sequence.tokens, sequence.tokenizer)
    return tuple(
        attrs.evolve(
            base,
            text=text.strip(),
            start=sentence[0].start,
            end=sentence[-1].end,
            words=tuple(attrs.evolve(word, text=word.text.strip()) for word in sentence),
            tokens=sentence_tokens,
        )
        for sentence, text, sentence_tokens in zip(sentences, texts, tokens, strict=True)
    )


def time_words(
    sequence: TokenSequence, model: WhisperModel, encoded: ctranslate2.StorageView, *, duration: float
) -> list[Word]:
    """Time the words by faster-whisper's own code, as for ``word_timestamps``; keep the spaces before them.

    Args:
        sequence: Tokens; not empty.
        model: Model that decoded *sequence*.
        encoded: Encoder output that *sequence* was decoded from: shape (1, frames / 2, d_model).
        duration: Seconds of audio in *encoded*.
    """
    segment: dict[str, Any] = {"seek": 0, "start": 0.0, "end": duration, "tokens": list(sequence.tokens)}
    frames = round(duration * model.frames_per_second)
    punctuations = (PREPEND_PUNCTUATIONS, APPEND_PUNCTUATIONS)
    model.add_word_timestamps([[segment]], sequence.tokenizer, encoded, frames, *punctuations, 0.0)
    return [attrs.evolve(to_word(word), text=word["word"]) for word in segment["words"]]


_ENDS = tuple(".?!。？！…")  # noqa: RUF001 - full-width punctuation is meant
_CLOSING = "\"'”’»)]」』"  # noqa: RUF001 - as above
_MAX_ABBREVIATION = 3
_PAUSE_S = 1.0
_MAX_MEDIAN_S = 0.7
"""Source: the rule for the first word of a segment in faster-whisper, ``add_word_timestamps``."""


def split_sentences(words: Sequence[Word]) -> Iterator[list[Word]]:
    """Split *words* after each sentence, and at each pause of a second.

    A full stop after three letters or fewer counts as an abbreviation, such as ``Mr.``, and ends no sentence. The first
    word of a sentence lasts no longer than two usual words, so that it does not include the pause before the sentence.
    """
    durations = [word.end - word.start for word in words if word.end > word.start]
    max_duration = 2 * min(_MAX_MEDIAN_S, median(durations)) if durations else 0.0
    for sentence in _split_at_ends(words):
        first = sentence[0]
        yield [attrs.evolve(first, start=max(first.start, first.end - max_duration)), *sentence[1:]]


def _split_at_ends(words: Sequence[Word]) -> Iterator[list[Word]]:
    sentence: list[Word] = []
    for word in words:
        if sentence and (word.start - sentence[-1].end >= _PAUSE_S or _ends_sentence(sentence[-1].text)):
            yield sentence
            sentence = []
        sentence.append(word)
    if sentence:
        yield sentence


def _ends_sentence(text: str) -> bool:
    bare = text.rstrip(_CLOSING)
    if not bare.endswith(_ENDS):
        return False
    letters = sum(map(str.isalnum, bare))
    return not bare.endswith(".") or letters > _MAX_ABBREVIATION or bare.isdigit()


def split_tokens(parts: Sequence[str], tokens: Sequence[int], tokenizer: Tokenizer) -> list[tuple[int, ...]]:
    """Split *tokens* by *parts* of their text, which follow one another in the text, including spaces."""
    words, tokens_by_word = tokenizer.split_to_word_tokens(list(tokens))
    remaining = list(zip(words, tokens_by_word, strict=True))
    result: list[tuple[int, ...]] = []
    for index, part in enumerate(parts):
        part_tokens: list[int] = []
        missing = len(part)
        while remaining and (missing > 0 or index == len(parts) - 1):
            word, word_tokens = remaining.pop(0)
            missing -= len(word)
            part_tokens += word_tokens
        result.append(tuple(part_tokens))
    return result
