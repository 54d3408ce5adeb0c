"""Batch decoding with openai-whisper: each chunk is encoded once for language and text, and all are decoded at once."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from functools import cached_property
from typing import ClassVar

import attrs
import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812 - as PyTorch's documentation calls it
from numpy.typing import NDArray
from whisper.audio import N_FRAMES, N_SAMPLES, log_mel_spectrogram, pad_or_trim
from whisper.decoding import DecodingOptions, DecodingResult, DecodingTask
from whisper.model import Whisper
from whisper.tokenizer import Tokenizer, get_tokenizer

from asrlab.batching import ChunkFeatures, Decoded, Detected
from asrlab.engines.openai_whisper.decode_loop import FRAMES_PER_SECOND, WINDOW_S, segment_dict
from asrlab.engines.whisper import split_at_timestamps, to_segments
from asrlab.options import Batching, TranscribeOptions

DEFAULT_BATCHING = Batching(batch_size=8, workers=1, threads=1, padding_s=6.0, batch_encoder=True)
"""One batch at a time, because upstream's cache of keys and values belongs to the model. PyTorch manages threads."""
type Features = torch.Tensor


@attrs.frozen(kw_only=True, eq=False)
class OpenAIWhisperBatchBackend:
    """Batch backend of openai-whisper with one set of options, without word timestamps and starting at temperature 0.

    *lock* is held while the model runs. *half* computes in float16.
    """

    model: Whisper
    lock: threading.Lock
    options: TranscribeOptions
    batching: Batching
    half: bool

    max_chunk_s: ClassVar[float] = WINDOW_S

    @property
    def language(self) -> str | None:
        """Language given, or English for an English model; None to detect the language."""
        return self.options.primary_language if self.model.is_multilingual else "en"

    def compute_features(self, samples: NDArray[np.float32]) -> Features:
        """Return the log-Mel spectrogram: float32, shape (n_mels, frames), at 100 frames a second."""
        mel: torch.Tensor = log_mel_spectrogram(samples, self.model.dims.n_mels, padding=N_SAMPLES)
        return mel[:, : mel.shape[-1] - N_FRAMES]

    def encode(self, chunks: Sequence[ChunkFeatures[Features]]) -> torch.Tensor:
        """Encode *chunks* in one window: shape (chunks, frames / 2, n_state)."""
        longest = max(chunk.duration for chunk in chunks)
        frames = min(N_FRAMES, round((longest + (self.batching.padding_s or 0.0)) * FRAMES_PER_SECOND) // 2 * 2)
        mel = torch.stack([pad_or_trim(chunk.features, frames) for chunk in chunks]).to(self.model.device)
        if self.half:
            mel = mel.half()
        with self.lock, torch.no_grad():
            if self.batching.batch_encoder:
                return encode(self.model, mel)
            return torch.cat([encode(self.model, features[None]) for features in mel])

    def detect_languages(self, encoded: torch.Tensor) -> tuple[Detected, ...]:
        """Return the most probable language of each chunk, without encoding a shorter window once more.

        Probabilities differ slightly from upstream's, which detects with silence after the audio and decodes with zeros
        after it. Source: openai-whisper 20250625, ``detect_language``.
        """
        tokenizer = self._tokenizer
        starts = torch.tensor([[tokenizer.sot]] * len(encoded), device=encoded.device)
        with self.lock, torch.no_grad():
            logits = self.model.logits(starts, encoded)[:, 0]
        rows = logits[:, list(tokenizer.all_language_tokens)].float().softmax(dim=-1).cpu()
        best = zip(rows.argmax(dim=-1).tolist(), rows, strict=True)
        codes = tokenizer.all_language_codes
        return tuple(Detected(language=codes[index], probability=float(row[index])) for index, row in best)

    def decode(
        self, encoded: torch.Tensor, chunks: Sequence[ChunkFeatures[Features]], languages: Sequence[str]
    ) -> tuple[Decoded, ...]:
        """Decode all chunks at once greedily, or one after the other with a beam search, with time stamps."""
        with self.lock:
            if self.options.beam_size is None:
                results = self._run(encoded, languages)
            else:
                rows = zip(encoded, languages, strict=True)
                results = [result for row, language in rows for result in self._run(row[None], [language])]
        return tuple(self._decoded(result, chunk.duration) for result, chunk in zip(results, chunks, strict=True))

    def _run(self, encoded: torch.Tensor, languages: Sequence[str]) -> list[DecodingResult]:
        prompt = self.options.initial_prompt
        options = DecodingOptions(
            task=self.options.task,
            language=languages[0],
            temperature=0.0,
            beam_size=self.options.beam_size,
            prompt=self._tokenizer.encode(f" {prompt.strip()}") if prompt else [],
            fp16=self.half,
        )
        results: list[DecodingResult] = BatchTask(self.model, options, languages).run(encoded)
        return results

    @cached_property
    def _tokenizer(self) -> Tokenizer:
        """Tokenizer for text and time stamps, which are the same in all languages."""
        return get_tokenizer(
            self.model.is_multilingual, num_languages=self.model.num_languages, language="en", task=self.options.task
        )

    def _decoded(self, result: DecodingResult, duration: float) -> Decoded:
        begin = self._tokenizer.timestamp_begin
        parts, resume = split_at_timestamps(result.tokens, first=begin, duration=duration)
        segments = to_segments(segment_dict(result, part, self._tokenizer) for part in parts)
        return Decoded(
            segments=tuple(segment for segment in segments if segment.start != segment.end and segment.text),
            avg_logprob=float(result.avg_logprob),
            compression_ratio=float(result.compression_ratio),
            no_speech_prob=float(result.no_speech_prob),
            ended=len(result.tokens) < self.model.dims.n_text_ctx // 2,
            remaining_s=0.0 if resume is None else max(0.0, duration - resume),
        )


def encode(model: Whisper, mel: torch.Tensor) -> torch.Tensor:
    """Return *mel*, shape (n, n_mels, frames), encoded: shape (n, frames / 2, n_state).

    Upstream's encoder refuses windows other than 30 s; a shorter window has the first of the positions.

    Source: openai-whisper 20250625, ``AudioEncoder.forward``.
    """
    encoder = model.encoder
    if mel.shape[-1] == 2 * model.dims.n_audio_ctx:
        full: torch.Tensor = encoder(mel)
        return full
    x = F.gelu(encoder.conv1(mel))
    x = F.gelu(encoder.conv2(x)).permute(0, 2, 1)
    x = (x + encoder.positional_embedding[: x.shape[1]]).to(x.dtype)
    for block in encoder.blocks:
        x = block(x)
    out: torch.Tensor = encoder.ln_post(x)
    return out


class BatchTask(DecodingTask):  # type: ignore[misc] # has no type information
    """Upstream's decoding task for encoded audio, with a language for each recording.

    Decoding is greedy, because upstream's beam search takes one recording: its ``run`` repeats the tokens for each
    beam, but not the audio that they attend to.
    """

    def __init__(self, model: Whisper, options: DecodingOptions, languages: Sequence[str]) -> None:
        super().__init__(model, options)
        self._languages = list(languages)

    def _get_audio_features(self, mel: torch.Tensor) -> torch.Tensor:
        return mel

    def _detect_language(self, _audio_features: torch.Tensor, tokens: torch.Tensor) -> tuple[list[str], None]:
        if self.model.is_multilingual:
            language_tokens = [self.tokenizer.to_language_token(language) for language in self._languages]
            tokens[:, self.sot_index + 1] = torch.tensor(language_tokens)
        return self._languages, None
