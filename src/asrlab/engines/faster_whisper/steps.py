"""faster-whisper's work on a batch: one encoding of each clip for language and text, one decoding of all of them."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property

import attrs
import ctranslate2
import numpy as np
from faster_whisper import WhisperModel
from faster_whisper.tokenizer import Tokenizer
from faster_whisper.transcribe import get_suppressed_tokens
from numpy.typing import NDArray

from asrlab.batching import Decoded, Detected, Piece
from asrlab.engines.faster_whisper.texts import LEAST_LEFT, Text, with_rest, with_stamps
from asrlab.options import TranscribeOptions

__all__ = ["BATCH_SIZE", "MARGIN", "FasterWhisperSteps"]

BATCH_SIZE = 8
MARGIN = 6.0
"""Seconds of silence behind the longest clip of a batch, instead of a window of 30 s.

With base on 41 clips in five languages 1 s makes texts loop. 6 s took 33 s where full windows took 44 s; the word error
rate was 1.05 points higher, with a 95 % interval from -0.20 to 2.39 (one round of ``benchmarks.throughput``).
"""

_DEFAULT_BEAM = 5
_FRAMES_PER_SECOND = 100
_FULL_FRAMES = 3000
_FIRST_STAMP_LIMIT = 50
"""Source: faster-whisper, ``max_initial_timestamp`` 1.0 s, in steps of 0.02 s."""
_SPARE_TOKENS = 40
_TOKENS_PER_SECOND = 20
"""More than anybody speaks in most scripts; a text that is cut off there goes through the full path, and a loop holds
up its batch no longer than that."""

type Features = NDArray[np.float32]


@attrs.frozen(kw_only=True, eq=False)
class FasterWhisperSteps:
    """The steps with one set of options.

    Attributes:
        model: Any number of its replicas may be used at once.
        options: Checked; without word timestamps or voice activity detection, and starting at temperature 0.
        workers: How many batches may be under way.
        margin: Seconds of silence behind the longest clip of a batch; 30 makes every window the full one.
    """

    model: WhisperModel
    options: TranscribeOptions
    workers: int
    margin: float = MARGIN

    @property
    def batch_size(self) -> int:
        """Eight: with more, decoding gains little, and with fewer it loses."""
        return BATCH_SIZE

    @property
    def longest(self) -> float:
        """Whisper's window."""
        return 30.0

    @property
    def language(self) -> str | None:
        """The language given, or English for a model that knows only that."""
        return self.options.primary_language if self.model.model.is_multilingual else "en"

    def features(self, samples: NDArray[np.float32]) -> Features:
        """Log-Mel: float32, shape (n_mels, frames), 100 frames a second.

        The last frame is half behind the audio. Source: faster-whisper, ``generate_segments``: ``content_frames``.
        """
        log_mel: Features = self.model.feature_extractor(samples)[:, :-1].astype(np.float32, copy=False)
        return log_mel

    def encode(self, pieces: Sequence[Piece[Features]]) -> ctranslate2.StorageView:
        """Shape (pieces, frames / 2, d_model). On the CPU one after the other: CTranslate2 gains nothing by more."""
        longest = max(piece.duration for piece in pieces)
        frames = min(_FULL_FRAMES, round((longest + self.margin) * _FRAMES_PER_SECOND) // 2 * 2)
        padded = [_padded(piece.features, frames) for piece in pieces]
        if self.model.model.device != "cpu":
            return self.model.encode(np.stack(padded))
        encoded = [np.asarray(self.model.encode(each)) for each in padded]
        return ctranslate2.StorageView.from_array(np.concatenate(encoded))

    def detect(self, encoded: ctranslate2.StorageView) -> tuple[Detected, ...]:
        """The likeliest language of each."""
        ranked = self.model.model.detect_language(encoded)
        return tuple(
            Detected(language=token[2:-2], probability=float(probability))
            for (token, probability), *_ in ranked
        )  # fmt: skip

    def decode(
        self, encoded: ctranslate2.StorageView, pieces: Sequence[Piece[Features]], languages: Sequence[str]
    ) -> tuple[Decoded, ...]:
        """Beam search at temperature 0, with time stamps; without them where they stop before the audio does."""
        tokenizers = [self._tokenizer(language) for language in languages]
        limit = _SPARE_TOKENS + round(_TOKENS_PER_SECOND * max(piece.duration for piece in pieces))
        stamped = self._generate(encoded, tokenizers, stamps=True, limit=limit)
        heard = [
            with_stamps(text, tokenizer, piece.duration)
            for text, tokenizer, piece in zip(stamped, tokenizers, pieces, strict=True)
        ]
        early = [place for place, each in enumerate(heard) if each.left > LEAST_LEFT]
        if early:
            kept = ctranslate2.StorageView.from_array(np.asarray(encoded)[early])
            plain = self._generate(kept, [tokenizers[place] for place in early], stamps=False, limit=limit)
            for place, text in zip(early, plain, strict=True):
                heard[place] = with_rest(heard[place], text, pieces[place].duration)
        return tuple(each.decoded for each in heard)

    def _generate(
        self, encoded: ctranslate2.StorageView, tokenizers: Sequence[Tokenizer], *, stamps: bool, limit: int
    ) -> list[Text]:
        prompts = [self._prompt(tokenizer, stamps=stamps) for tokenizer in tokenizers]
        most = min(self.model.max_length, len(prompts[0]) + limit)
        results = self.model.model.generate(
            encoded,
            prompts,
            beam_size=self.options.beam_size or _DEFAULT_BEAM,
            max_length=most,
            return_scores=True,
            return_no_speech_prob=True,
            suppress_tokens=self._suppressed,
            max_initial_timestamp_index=_FIRST_STAMP_LIMIT,
        )
        return [
            Text.of(result, tokenizer, ended=len(result.sequences_ids[0]) < most - len(prompt))
            for result, tokenizer, prompt in zip(results, tokenizers, prompts, strict=True)
        ]

    def _tokenizer(self, language: str) -> Tokenizer:
        multilingual = self.model.model.is_multilingual
        return Tokenizer(self.model.hf_tokenizer, multilingual, task=self.options.task, language=language)

    def _prompt(self, tokenizer: Tokenizer, *, stamps: bool) -> list[int]:
        """As the engine's own for a first window. All are of one length, as CTranslate2 asks."""
        prompt = self.options.initial_prompt
        before: list[int] = tokenizer.encode(f" {prompt.strip()}") if prompt is not None else []
        tokens: list[int] = self.model.get_prompt(
            tokenizer, before, without_timestamps=not stamps, hotwords=self.options.hotwords
        )
        return tokens

    @cached_property
    def _suppressed(self) -> list[int]:
        return list(get_suppressed_tokens(self._tokenizer("en"), [-1]))


def _padded(features: Features, frames: int) -> Features:
    kept = features[:, :frames]
    return np.pad(kept, ((0, 0), (0, frames - kept.shape[1])))
