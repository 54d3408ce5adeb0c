"""From CTranslate2's sequences of tokens to segments, timed by the model's attention to the audio."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from statistics import median
from typing import Any

import attrs
import ctranslate2
from faster_whisper import WhisperModel
from faster_whisper.tokenizer import Tokenizer
from faster_whisper.transcribe import Segment as EngineSegment, Word as EngineWord, get_compression_ratio

from asrlab.batching import Decoded
from asrlab.engines.faster_whisper.settings import APPENDED, PREPENDED, Settings
from asrlab.options import TranscribeOptions
from asrlab.transcript import Segment, Word


@attrs.frozen(kw_only=True)
class TokenSequence:
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
    def of(
        cls, result: ctranslate2.models.WhisperGenerationResult, tokenizer: Tokenizer, *, ended: bool
    ) -> TokenSequence:
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


def empty_result(text: TokenSequence) -> Decoded:
    """No segments, with the scores of *text*."""
    return Decoded(
        segments=(),
        avg_logprob=text.avg_logprob,
        compression_ratio=float(get_compression_ratio(text.written)),
        no_speech_prob=text.no_speech_prob,
        ended=text.ended,
    )


def to_decoded(
    text: TokenSequence, model: WhisperModel, encoded: ctranslate2.StorageView, *, duration: float, with_words: bool
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
    decoded = empty_result(text)
    if not words:
        segments: tuple[Segment, ...] = (_segment(text, decoded, (), words=None, start=0.0, end=duration),)
    else:
        parts = list(sentences(words))
        written = ["".join(word.text for word in part) for part in parts]
        shares = split_tokens(written, text.tokens, text.tokenizer)
        segments = tuple(
            _segment(text, decoded, share, words=part, start=part[0].start, end=part[-1].end)
            for part, share in zip(parts, shares, strict=True)
        )
    if not with_words:
        segments = tuple(attrs.evolve(segment, words=None) for segment in segments)
    return attrs.evolve(decoded, segments=segments)


def _words(
    text: TokenSequence, model: WhisperModel, encoded: ctranslate2.StorageView, *, duration: float
) -> list[Word]:
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
    text: TokenSequence,
    decoded: Decoded,
    tokens: Sequence[int],
    *,
    words: Sequence[Word] | None,
    start: float,
    end: float,
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


def arguments(options: TranscribeOptions) -> dict[str, Any]:
    """The keyword arguments for ``WhisperModel.transcribe``: only what was asked for, the rest stays its default."""
    given: dict[str, Any] = {
        "language": options.primary_language,
        "beam_size": options.beam_size,
        "temperature": options.temperatures,
        "initial_prompt": options.initial_prompt,
        "hotwords": options.hotwords,
    }
    return {
        **{name: value for name, value in given.items() if value is not None},
        "task": options.task,
        "word_timestamps": options.word_timestamps,
        "vad_filter": options.vad_filter,
        **Settings.of(options).arguments(dict(options.engine_options)),
    }


def to_segments(segments: Iterable[EngineSegment]) -> Iterator[Segment]:
    """The engine's segments, each as it comes."""
    for segment in segments:
        yield Segment(
            text=segment.text.strip(),
            start=float(segment.start),
            end=max(float(segment.start), float(segment.end)),
            words=None if segment.words is None else tuple(map(_word, segment.words)),
            tokens=tuple(segment.tokens),
            temperature=segment.temperature,
            avg_logprob=float(segment.avg_logprob),
            compression_ratio=float(segment.compression_ratio),
            no_speech_prob=float(segment.no_speech_prob),
            seek=segment.seek,
        )


def _word(word: EngineWord) -> Word:
    start = float(word.start)
    return Word(
        text=word.word.strip(), start=start, end=max(start, float(word.end)), probability=float(word.probability)
    )


_ENDS = tuple(".?!。？！…")  # noqa: RUF001 - full-width punctuation is meant
_CLOSING = "\"'”’»)]」』"  # noqa: RUF001 - as above
_LONGEST_ABBREVIATION = 3
_PAUSE_S = 1.0
_LONGEST_MEDIAN_S = 0.7
"""Source: faster-whisper, ``add_word_timestamps``, whose rule for the first word of a segment this is."""


def sentences(words: Sequence[Word]) -> Iterator[list[Word]]:
    """*words* parted behind the end of each sentence, and at each pause of a second.

    A full stop behind three letters or fewer ends none: it is taken for an abbreviation, such as ``Mr.``. The first
    word of a sentence lasts no longer than two usual words: a pause before it is not its own.
    """
    lengths = [word.end - word.start for word in words if word.end > word.start]
    longest = 2 * min(_LONGEST_MEDIAN_S, median(lengths)) if lengths else 0.0
    for sentence in _parted(words):
        first = sentence[0]
        yield [attrs.evolve(first, start=max(first.start, first.end - longest)), *sentence[1:]]


def _parted(words: Sequence[Word]) -> Iterator[list[Word]]:
    sentence: list[Word] = []
    for word in words:
        if sentence and (word.start - sentence[-1].end >= _PAUSE_S or _ends(sentence[-1].text)):
            yield sentence
            sentence = []
        sentence.append(word)
    if sentence:
        yield sentence


def _ends(text: str) -> bool:
    bare = text.rstrip(_CLOSING)
    if not bare.endswith(_ENDS):
        return False
    letters = sum(map(str.isalnum, bare))
    return not bare.endswith(".") or letters > _LONGEST_ABBREVIATION or bare.isdigit()


def split_tokens(parts: Sequence[str], tokens: Sequence[int], tokenizer: Tokenizer) -> list[tuple[int, ...]]:
    """*tokens* shared out among *parts* of their text, which follow one another in it, spaces included."""
    words, tokens_by_word = tokenizer.split_to_word_tokens(list(tokens))
    waiting = list(zip(words, tokens_by_word, strict=True))
    shares: list[tuple[int, ...]] = []
    for place, part in enumerate(parts):
        share: list[int] = []
        left = len(part)
        while waiting and (left > 0 or place == len(parts) - 1):
            word, own = waiting.pop(0)
            left -= len(word)
            share += own
        shares.append(tuple(share))
    return shares
