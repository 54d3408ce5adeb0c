"""faster-whisper's work on a batch: one encoding of each clip for language and text, one decoding of all of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cached_property

import attrs
import ctranslate2
import numpy as np
from faster_whisper import WhisperModel
from faster_whisper.tokenizer import Tokenizer
from faster_whisper.transcribe import get_suppressed_tokens
from numpy.typing import NDArray

from asrlab.batching import ChunkFeatures, Decoded, Detected
from asrlab.engines.faster_whisper.decode import TokenSequence, empty_result, to_decoded
from asrlab.options import Batching, TranscribeOptions

FULL_WINDOW = 30.0
_DEFAULT_BEAM = 5
_FRAMES_PER_SECOND = 100
_FULL_FRAMES = 3000
_SPARE_TOKENS = 40
_TOKENS_PER_SECOND = 20
"""More than anybody speaks in most scripts; a text that is cut off there goes through the full path, and a loop holds
up its batch no longer than that."""

type Features = NDArray[np.float32]


@attrs.frozen(kw_only=True, eq=False)
class FasterWhisperBatchBackend:
    """The steps with one set of options.

    Attributes:
        model: For features and tokens.
        crew: Gives the model that works, loaded for the workers and threads of *batching*.
        options: Checked; without voice activity detection, and starting at temperature 0.
        batching: Nothing in it is None.
    """

    model: WhisperModel
    crew: Callable[[], WhisperModel]
    options: TranscribeOptions
    batching: Batching

    @property
    def max_chunk_s(self) -> float:
        """Whisper's window."""
        return FULL_WINDOW

    @property
    def language(self) -> str | None:
        """The language given, or English for a model that knows only that."""
        return self.options.primary_language if self.model.model.is_multilingual else "en"

    def compute_features(self, samples: NDArray[np.float32]) -> Features:
        """Log-Mel: float32, shape (n_mels, frames), 100 frames a second.

        The last frame is half behind the audio. Source: faster-whisper, ``generate_segments``: ``content_frames``.
        """
        log_mel: Features = self.model.feature_extractor(samples)[:, :-1].astype(np.float32, copy=False)
        return log_mel

    def encode(self, pieces: Sequence[ChunkFeatures[Features]]) -> ctranslate2.StorageView:
        """Shape (pieces, frames / 2, d_model)."""
        longest = max(piece.duration for piece in pieces)
        frames = min(_FULL_FRAMES, round((longest + (self.batching.padding_s or 0.0)) * _FRAMES_PER_SECOND) // 2 * 2)
        padded = [_padded(piece.features, frames) for piece in pieces]
        if self.batching.batch_encoder:
            return self.crew().encode(np.stack(padded))
        encoded = [_on_cpu(self.crew().encode(each)) for each in padded]
        return ctranslate2.StorageView.from_array(np.concatenate(encoded))

    def detect_languages(self, encoded: ctranslate2.StorageView) -> tuple[Detected, ...]:
        """The likeliest language of each."""
        ranked = self.crew().model.detect_language(encoded)
        return tuple(
            Detected(language=token[2:-2], probability=float(probability))
            for (token, probability), *_ in ranked
        )  # fmt: skip

    def decode(
        self, encoded: ctranslate2.StorageView, pieces: Sequence[ChunkFeatures[Features]], languages: Sequence[str]
    ) -> tuple[Decoded, ...]:
        """Beam search at temperature 0 without time stamps; the words are timed by where the model attends to.

        Asked for stamps, the model may stop before the audio does and go on in another window, and it has more to
        search for.
        """
        tokenizers = [self._tokenizer(language) for language in languages]
        limit = _SPARE_TOKENS + round(_TOKENS_PER_SECOND * max(piece.duration for piece in pieces))
        texts = self._generate(encoded, tokenizers, limit=limit)
        rows = _on_cpu(encoded)
        return tuple(
            self._heard(text, rows[place : place + 1], piece.duration)
            for place, (text, piece) in enumerate(zip(texts, pieces, strict=True))
        )

    def _heard(self, text: TokenSequence, encoded: NDArray[np.float32], duration: float) -> Decoded:
        if not text.written or not text.ended:
            return empty_result(text)
        view = ctranslate2.StorageView.from_array(encoded)
        return to_decoded(text, self.crew(), view, duration=duration, with_words=self.options.word_timestamps)

    def _generate(
        self, encoded: ctranslate2.StorageView, tokenizers: Sequence[Tokenizer], *, limit: int
    ) -> list[TokenSequence]:
        prompts = [self._prompt(tokenizer) for tokenizer in tokenizers]
        most = min(self.model.max_length, len(prompts[0]) + limit)
        results = self.crew().model.generate(
            encoded,
            prompts,
            beam_size=self.options.beam_size or _DEFAULT_BEAM,
            max_length=most,
            return_scores=True,
            return_no_speech_prob=True,
            suppress_tokens=self._suppressed,
        )
        return [
            TokenSequence.of(result, tokenizer, ended=len(result.sequences_ids[0]) < most - len(prompt))
            for result, tokenizer, prompt in zip(results, tokenizers, prompts, strict=True)
        ]

    def _tokenizer(self, language: str) -> Tokenizer:
        multilingual = self.model.model.is_multilingual
        return Tokenizer(self.model.hf_tokenizer, multilingual, task=self.options.task, language=language)

    def _prompt(self, tokenizer: Tokenizer) -> list[int]:
        """As the engine's own for a first window. All are of one length, as CTranslate2 asks."""
        prompt = self.options.initial_prompt
        before: list[int] = tokenizer.encode(f" {prompt.strip()}") if prompt is not None else []
        tokens: list[int] = self.model.get_prompt(
            tokenizer, before, without_timestamps=True, hotwords=self.options.hotwords
        )
        return tokens

    @cached_property
    def _suppressed(self) -> list[int]:
        return list(get_suppressed_tokens(self._tokenizer("en"), [-1]))


def _padded(features: Features, frames: int) -> Features:
    kept = features[:, :frames]
    return np.pad(kept, ((0, 0), (0, frames - kept.shape[1])))


def _on_cpu(encoded: ctranslate2.StorageView) -> NDArray[np.float32]:
    moved = encoded if encoded.device == "cpu" else encoded.to_device(ctranslate2.Device.cpu)
    return np.asarray(moved)
