"""Batch decoding with faster-whisper: each chunk is encoded once for language and text, and all are decoded at once."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cached_property
from typing import ClassVar

import attrs
import ctranslate2
import numpy as np
from faster_whisper import WhisperModel
from faster_whisper.tokenizer import Tokenizer
from faster_whisper.transcribe import get_suppressed_tokens
from numpy.typing import NDArray

from asrlab.batching import ChunkFeatures, Decoded, Detected
from asrlab.engines.faster_whisper.decode import TokenSequence, split_to_segments, time_words
from asrlab.options import Batching, TranscribeOptions

_DEFAULT_BEAM = 5
_FRAMES_PER_SECOND = 100
_FULL_FRAMES = 3000
_SPARE_TOKENS = 40
_TOKENS_PER_SECOND = 20
"""More than anybody speaks in most scripts. A text cut off there takes the fallback, and a loop delays its batch no
longer."""

type Features = NDArray[np.float32]


@attrs.frozen(kw_only=True, eq=False)
class FasterWhisperBatchBackend:
    """Batch backend of faster-whisper with one set of options.

    Attributes:
        model: Model for features and tokens.
        batch_model: Function that returns the model loaded for the workers and threads of *batching*.
        options: Checked options, without voice activity detection and starting at temperature 0.
        batching: Complete settings, without None.
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
        prompt = self.options.initial_prompt
        initial: list[int] = tokenizer.encode(f" {prompt.strip()}") if prompt is not None else []
        tokens: list[int] = self.model.get_prompt(
            tokenizer, initial, without_timestamps=True, hotwords=self.options.hotwords
        )
        return tokens

    @cached_property
    def _suppressed(self) -> list[int]:
        return list(get_suppressed_tokens(self._tokenizer("en"), [-1]))


def _on_cpu(encoded: ctranslate2.StorageView) -> NDArray[np.float32]:
    moved = encoded if encoded.device == "cpu" else encoded.to_device(ctranslate2.Device.cpu)
    return np.asarray(moved)
