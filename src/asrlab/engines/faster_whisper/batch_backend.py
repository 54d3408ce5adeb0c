"""Batch decoding with faster-whisper: each chunk is encoded once for language and text, and all are decoded at once.

A chunk's text is split into a segment per sentence.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import cached_property
from statistics import median
from typing import Any, ClassVar

import attrs
import ctranslate2
import numpy as np
from faster_whisper import WhisperModel
from faster_whisper.tokenizer import Tokenizer
from faster_whisper.transcribe import get_compression_ratio, get_suppressed_tokens
from numpy.typing import NDArray

from asrlab.batching import ChunkFeatures, Decoded, Detected
from asrlab.engines.whisper import APPEND_PUNCTUATIONS, PREPEND_PUNCTUATIONS, to_word
from asrlab.options import Batching, TranscribeOptions
from asrlab.transcript import Segment, Word

_DEFAULT_BEAM = 5
_FRAMES_PER_SECOND = 100
_FULL_FRAMES = 3000
_SPARE_TOKENS = 40
_TOKENS_PER_SECOND = 20
"""More than anybody speaks in most scripts. A text cut off there takes the fallback, and a loop delays its batch no
longer."""
_ENDS = tuple(".?!。？！…")  # noqa: RUF001 - full-width punctuation is meant
_CLOSING = "\"'”’»)]」』"  # noqa: RUF001 - as above
_MAX_ABBREVIATION = 3
_PAUSE_S = 1.0
_MAX_MEDIAN_S = 0.7
"""Source: the rule for the first word of a segment in faster-whisper, ``add_word_timestamps``."""

type Features = NDArray[np.float32]


@attrs.frozen(kw_only=True)
class TokenSequence:
    """Decoded tokens of one chunk, without the prompt, time stamps and the end of text, and their scores.

    *avg_logprob* includes the end of text. *ended* is True if the model gave one.
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


@attrs.frozen(kw_only=True, eq=False)
class FasterWhisperBatchBackend:
    """Batch backend of faster-whisper with one set of options, without the voice filter and starting at temperature 0.

    *model* is for features and tokens; *batch_model* returns the model for the workers and threads of *batching*.
    """

    model: WhisperModel
    batch_model: Callable[[], WhisperModel]
    options: TranscribeOptions
    batching: Batching

    max_chunk_s: ClassVar[float] = _FULL_FRAMES / _FRAMES_PER_SECOND

    @property
    def language(self) -> str | None:
        """Language given, or English for an English model; None to detect the language."""
        return self.options.primary_language if self.model.model.is_multilingual else "en"

    def compute_features(self, samples: NDArray[np.float32]) -> Features:
        """Return the log-Mel spectrogram: float32, shape (n_mels, frames), at 100 frames a second.

        The last frame lies half after the audio and is left out. Source: ``content_frames`` in ``generate_segments``.
        """
        log_mel: Features = self.model.feature_extractor(samples)[:, :-1].astype(np.float32, copy=False)
        return log_mel

    def encode(self, chunks: Sequence[ChunkFeatures[Features]]) -> ctranslate2.StorageView:
        """Encode *chunks* in one window: shape (chunks, frames / 2, d_model)."""
        longest = max(chunk.duration for chunk in chunks)
        frames = min(_FULL_FRAMES, round((longest + (self.batching.padding_s or 0.0)) * _FRAMES_PER_SECOND) // 2 * 2)
        trimmed = [chunk.features[:, :frames] for chunk in chunks]
        padded = [np.pad(features, ((0, 0), (0, frames - features.shape[1]))) for features in trimmed]
        if self.batching.batch_encoder:
            return self.batch_model().encode(np.stack(padded))
        encoded = [_on_cpu(self.batch_model().encode(features)) for features in padded]
        return ctranslate2.StorageView.from_array(np.concatenate(encoded))

    def detect_languages(self, encoded: ctranslate2.StorageView) -> tuple[Detected, ...]:
        """Return the most probable language of each chunk."""
        best = (ranked[0] for ranked in self.batch_model().model.detect_language(encoded))
        return tuple(Detected(language=token[2:-2], probability=float(probability)) for token, probability in best)

    def decode(
        self, encoded: ctranslate2.StorageView, chunks: Sequence[ChunkFeatures[Features]], languages: Sequence[str]
    ) -> tuple[Decoded, ...]:
        """Decode the chunks with a beam search at temperature 0, and time the words by the model's attention.

        Time stamps are off: with them, the model may stop before the audio ends to continue in another window, and has
        more to search.
        """
        tokenizers = [self._tokenizer(language) for language in languages]
        limit = _SPARE_TOKENS + round(_TOKENS_PER_SECOND * max(chunk.duration for chunk in chunks))
        sequences = self._generate(encoded, tokenizers, limit=limit)
        rows = _on_cpu(encoded)
        return tuple(
            self._to_decoded(sequence, rows[index : index + 1], chunk.duration)
            for index, (sequence, chunk) in enumerate(zip(sequences, chunks, strict=True))
        )

    def _to_decoded(self, sequence: TokenSequence, encoded: NDArray[np.float32], duration: float) -> Decoded:
        if not sequence.text or not sequence.ended:
            return sequence.to_decoded()
        view = ctranslate2.StorageView.from_array(encoded)
        segments = split_to_segments(
            sequence, time_words(sequence, self.batch_model(), view, duration=duration), duration=duration
        )
        if not self.options.word_timestamps:
            segments = tuple(attrs.evolve(segment, words=None) for segment in segments)
        return sequence.to_decoded(segments)

    def _generate(
        self, encoded: ctranslate2.StorageView, tokenizers: Sequence[Tokenizer], *, limit: int
    ) -> list[TokenSequence]:
        prompts = [self._prompt(tokenizer) for tokenizer in tokenizers]
        max_length = min(self.model.max_length, len(prompts[0]) + limit)
        results = self.batch_model().model.generate(
            encoded,
            prompts,
            beam_size=self.options.beam_size or _DEFAULT_BEAM,
            max_length=max_length,
            return_scores=True,
            return_no_speech_prob=True,
            suppress_tokens=self._suppressed,
        )
        return [
            TokenSequence.from_result(result, tokenizer, ended=len(result.sequences_ids[0]) < max_length - len(prompt))
            for result, tokenizer, prompt in zip(results, tokenizers, prompts, strict=True)
        ]

    def _tokenizer(self, language: str) -> Tokenizer:
        multilingual = self.model.model.is_multilingual
        return Tokenizer(self.model.hf_tokenizer, multilingual, task=self.options.task, language=language)

    def _prompt(self, tokenizer: Tokenizer) -> list[int]:
        """Return the prompt of a first window; all prompts have the same length, as CTranslate2 requires."""
        prompt, hotwords = self.options.initial_prompt, self.options.hotwords
        initial: list[int] = tokenizer.encode(f" {prompt.strip()}") if prompt is not None else []
        return list(self.model.get_prompt(tokenizer, initial, without_timestamps=True, hotwords=hotwords))

    @cached_property
    def _suppressed(self) -> list[int]:
        return list(get_suppressed_tokens(self._tokenizer("en"), [-1]))


def _on_cpu(encoded: ctranslate2.StorageView) -> NDArray[np.float32]:
    moved = encoded if encoded.device == "cpu" else encoded.to_device(ctranslate2.Device.cpu)
    return np.asarray(moved)


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

    *encoded*, shape (1, frames / 2, d_model), has *duration* seconds of audio.
    """
    segment: dict[str, Any] = {"seek": 0, "start": 0.0, "end": duration, "tokens": list(sequence.tokens)}
    frames = round(duration * model.frames_per_second)
    punctuations = (PREPEND_PUNCTUATIONS, APPEND_PUNCTUATIONS)
    model.add_word_timestamps([[segment]], sequence.tokenizer, encoded, frames, *punctuations, 0.0)
    return [attrs.evolve(to_word(word), text=word["word"]) for word in segment["words"]]


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
