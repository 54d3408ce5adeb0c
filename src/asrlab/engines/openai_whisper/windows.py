"""Upstream's loop over 30 s windows, one window at a time.

``whisper.transcribe`` gives its segments only when the last window is done, keeps the probability of the language to
itself, and encodes a window again for each temperature. This loop takes the same decisions in the same order, so that
texts, times and scores are the same, but yields each window's segments at once and encodes each window once.

Source: openai-whisper 20250625, ``whisper/transcribe.py``.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from typing import Any

import attrs
import numpy as np
import torch
from whisper.audio import (
    N_FRAMES,
    N_SAMPLES,
    log_mel_spectrogram,
    pad_or_trim,
)
from whisper.decoding import DecodingOptions, DecodingResult
from whisper.model import Whisper
from whisper.timing import add_word_timestamps
from whisper.tokenizer import Tokenizer, get_tokenizer

from asrlab.options import TranscribeOptions

__all__ = ["Windows"]

LADDER = (0.0, 0.2, 0.4, 0.6, 0.8, 1.0)
COMPRESSION_RATIO_LIMIT = 2.4
LOGPROB_LIMIT = -1.0
NO_SPEECH_LIMIT = 0.6
PROMPT_RESET_TEMPERATURE = 0.5
FRAMES_PER_SECOND = 100
SECONDS_PER_TIMESTAMP = 0.02
FRAMES_PER_TIMESTAMP = 2
PREPENDED = "\"'“¿([{-"
APPENDED = "\"'.。,，!！?？:：”)]}、"  # noqa: RUF001 - full-width punctuation is meant


@attrs.define
class _Window:
    """One window of at most 30 s and what was decoded from it."""

    mel: torch.Tensor
    features: torch.Tensor
    seek: int
    size: int

    @property
    def offset(self) -> float:
        return self.seek / FRAMES_PER_SECOND


class Windows:
    """The transcription of one recording, window by window.

    Args:
        model: The loaded model.
        lock: Held while the model runs: upstream's cache of keys and values hangs on the model itself, so that two
            decodings at once would mix.
        samples: float32, shape (n,), in [-1, 1], at 16 kHz.
        options: Checked options.
        half: Compute in float16.

    Attributes:
        language: The language given, or the one detected in the first window.
        language_probability: None if it was given, or the model knows only English.
    """

    def __init__(
        self, model: Whisper, lock: threading.Lock, samples: np.ndarray, options: TranscribeOptions, *, half: bool
    ) -> None:
        self._model, self._lock, self._options, self._half = model, lock, options, half
        self._mel = log_mel_spectrogram(samples, model.dims.n_mels, padding=N_SAMPLES)
        self._content_frames = self._mel.shape[-1] - N_FRAMES
        self._seek = 0
        self._last_speech = 0.0
        self.language_probability: float | None = None
        self.language = options.primary_language or self._detect()
        self._tokenizer = self._make_tokenizer()
        prompt = options.initial_prompt
        self._tokens: list[int] = self._tokenizer.encode(f" {prompt.strip()}") if prompt else []
        self._context_start = 0

    def segments(self) -> Iterator[dict[str, Any]]:
        """Upstream's segment dictionaries, those without text left out."""
        while self._seek < self._content_frames:
            with self._lock:
                ready = self._decode(self._window())
            yield from ready

    def _window(self) -> _Window:
        size = min(N_FRAMES, self._content_frames - self._seek)
        mel = self._on_device(self._mel[:, self._seek : self._seek + size])
        with torch.no_grad():
            features = self._model.encoder(mel.unsqueeze(0))[0]
        return _Window(mel, features, self._seek, size)

    def _on_device(self, mel: torch.Tensor) -> torch.Tensor:
        padded: torch.Tensor = pad_or_trim(mel, N_FRAMES).to(self._model.device)
        return padded.half() if self._half else padded

    def _detect(self) -> str:
        if not self._model.is_multilingual:
            return "en"
        # not from the first window: upstream detects with silence behind the audio, and decodes with zeros behind it
        with self._lock:
            _, probabilities = self._model.detect_language(self._on_device(self._mel))
        best = max(probabilities, key=probabilities.get)
        self.language_probability = float(probabilities[best])
        return str(best)

    def _make_tokenizer(self) -> Tokenizer:
        return get_tokenizer(
            self._model.is_multilingual,
            num_languages=self._model.num_languages,
            language=self.language,
            task=self._options.task,
        )

    def _decode(self, window: _Window) -> list[dict[str, Any]]:
        result = self._with_fallback(window)
        if result.no_speech_prob > NO_SPEECH_LIMIT and result.avg_logprob <= LOGPROB_LIMIT:
            self._seek += window.size
            return []
        segments, ended = self._split(window, result)
        if self._options.word_timestamps:
            self._time_words(window, segments, ended=ended)
        kept = [s for s in segments if s["start"] != s["end"] and s["text"].strip()]
        self._tokens += [token for segment in kept for token in segment["tokens"]]
        if result.temperature > PROMPT_RESET_TEMPERATURE:
            self._context_start = len(self._tokens)
        return kept

    def _with_fallback(self, window: _Window) -> DecodingResult:
        ladder = self._options.temperature_ladder or LADDER
        for temperature in ladder:
            result = self._model.decode(window.features, self._decoding_options(temperature))
            if not _failed(result):
                break
        return result

    def _decoding_options(self, temperature: float) -> DecodingOptions:
        return DecodingOptions(
            task=self._options.task,
            language=self.language,
            temperature=temperature,
            beam_size=self._options.beam_size if temperature == 0 else None,
            prompt=self._tokens[self._context_start :],
            fp16=self._half,
        )

    def _split(self, window: _Window, result: DecodingResult) -> tuple[list[dict[str, Any]], bool]:
        """The window's segments, and whether the speech ended inside the window; moves on in the recording."""
        tokens, begin = result.tokens, self._tokenizer.timestamp_begin
        stamps = [token >= begin for token in tokens]
        ended = stamps[-2:] == [False, True]
        cuts = [i for i in range(1, len(tokens)) if stamps[i - 1] and stamps[i]]
        if not cuts:
            end = self._last_stamp(tokens) or window.size / FRAMES_PER_SECOND
            self._seek += window.size
            return [self._segment(window, result, tokens, 0.0, end)], ended
        pieces = [tokens[a:b] for a, b in zip([0, *cuts], cuts + [len(tokens)] * ended, strict=False)]
        segments = [
            self._segment(window, result, piece, self._seconds(piece[0]), self._seconds(piece[-1])) for piece in pieces
        ]
        # without an end, the last piece is unfinished: go on from the last time stamp
        self._seek += window.size if ended else (tokens[cuts[-1] - 1] - begin) * FRAMES_PER_TIMESTAMP
        return segments, ended

    def _last_stamp(self, tokens: Sequence[int]) -> float:
        stamps = [token for token in tokens if token >= self._tokenizer.timestamp_begin]
        return self._seconds(stamps[-1]) if stamps else 0.0

    def _seconds(self, stamp: int) -> float:
        return float((stamp - self._tokenizer.timestamp_begin) * SECONDS_PER_TIMESTAMP)

    def _segment(
        self, window: _Window, result: DecodingResult, tokens: list[int], start: float, end: float
    ) -> dict[str, Any]:
        return {
            "seek": window.seek,
            "start": window.offset + start,
            "end": window.offset + end,
            "text": self._tokenizer.decode([token for token in tokens if token < self._tokenizer.eot]),
            "tokens": tokens,
            "temperature": result.temperature,
            "avg_logprob": result.avg_logprob,
            "compression_ratio": result.compression_ratio,
            "no_speech_prob": result.no_speech_prob,
        }

    def _time_words(self, window: _Window, segments: list[dict[str, Any]], *, ended: bool) -> None:
        add_word_timestamps(
            segments=segments,
            model=self._model,
            tokenizer=self._tokenizer,
            mel=window.mel,
            num_frames=window.size,
            prepend_punctuations=PREPENDED,
            append_punctuations=APPENDED,
            last_speech_timestamp=self._last_speech,
        )
        last_end = next((w["end"] for s in reversed(segments) for w in reversed(s["words"])), None)
        if last_end is None:
            return
        if not ended and last_end > window.offset:
            self._seek = round(last_end * FRAMES_PER_SECOND)
        self._last_speech = last_end


def _failed(result: DecodingResult) -> bool:
    """Whether the next temperature is to be tried."""
    unlikely = bool(result.avg_logprob < LOGPROB_LIMIT)
    if unlikely and result.no_speech_prob > NO_SPEECH_LIMIT:
        return False
    return unlikely or bool(result.compression_ratio > COMPRESSION_RATIO_LIMIT)
