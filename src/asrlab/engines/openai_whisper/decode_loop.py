"""Loop of openai-whisper over 30 s windows, one window at a time.

``whisper.transcribe`` returns its segments only after the last window, does not report the probability of the language,
and encodes a window again for each temperature. This loop makes the same decisions in the same order, so that texts,
times and scores are the same, but yields each window's segments at once and encodes each window once.

Source: openai-whisper 20250625, ``whisper/transcribe.py``.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import attrs
import numpy as np
import torch
from whisper.audio import N_FRAMES, N_SAMPLES, log_mel_spectrogram, pad_or_trim
from whisper.decoding import DecodingOptions, DecodingResult
from whisper.model import Whisper
from whisper.timing import add_word_timestamps
from whisper.tokenizer import Tokenizer, get_tokenizer
from whisper.utils import get_end

from asrlab.engine.contract import Recognition
from asrlab.engines.whisper import (
    APPEND_PUNCTUATIONS,
    PREPEND_PUNCTUATIONS,
    TimestampedTokens,
    split_at_timestamps,
    to_segments,
)
from asrlab.engines.whisper_settings import MIN_TEXT_TOKENS, SPECIAL_TOKENS, OpenAIWhisperSettings
from asrlab.options import TranscribeOptions

FALLBACK_TEMPERATURES = (0.0, 0.2, 0.4, 0.6, 0.8, 1.0)
PROMPT_RESET_TEMPERATURE = 0.5
FRAMES_PER_SECOND = 100
WINDOW_S = N_FRAMES / FRAMES_PER_SECOND
# Hallucinations, segments that the model made up in silence: anomalous words with silence around them.
_MIN_PROBABILITY = 0.15
_MIN_WORD_S, _MAX_WORD_S = 0.133, 2.0
_MAX_WORDS = 8
_EDGE_S = 2.0  # seconds at either end of a window that count as silence
_PUNCTUATION = PREPEND_PUNCTUATIONS + APPEND_PUNCTUATIONS


@attrs.define
class _Window:
    """One window of at most 30 s and its encoder output."""

    mel: torch.Tensor
    features: torch.Tensor
    seek: int
    size: int

    @property
    def offset(self) -> float:
        return self.seek / FRAMES_PER_SECOND


class WindowDecoder:
    """Decoder of one recording: float32, shape (n,), in [-1, 1], at 16 kHz.

    *lock* is held while the model runs: upstream's cache of keys and values belongs to the model itself, so two
    decodings at once would mix. *half* computes in float16.

    Attributes:
        language: Language given, or detected in the first window.
        language_probabilities: Probabilities of all languages, the likeliest first; None if the language was given, or
            the model knows only English.
        frames: Length of the recording, at 100 frames a second.
        seek: Frame up to which the recording has been transcribed.
    """

    def __init__(
        self, model: Whisper, lock: threading.Lock, samples: np.ndarray, options: TranscribeOptions, *, half: bool
    ) -> None:
        self._model, self._lock, self._options, self._half = model, lock, options, half
        self._settings = OpenAIWhisperSettings.from_options(options)
        self._mel = log_mel_spectrogram(samples, model.dims.n_mels, padding=N_SAMPLES)
        self.frames = int(self._mel.shape[-1] - N_FRAMES)
        self.seek = 0
        self._last_speech = 0.0
        self.language_probabilities: tuple[tuple[str, float], ...] | None = None
        self.language = options.primary_language or self._detect_language()
        self._tokenizer = get_tokenizer(
            model.is_multilingual, num_languages=model.num_languages, language=self.language, task=options.task
        )
        prompt = options.initial_prompt
        self._initial: list[int] = [] if prompt is None else self._tokenizer.encode(f" {prompt.strip()}")
        self._tokens = list(self._initial)
        self._context_start = 0

    def segments(self) -> Iterator[dict[str, Any]]:
        """Yield upstream's segment dictionaries without ids; upstream blanks those that `is_empty` finds."""
        for start, end in self._settings.clips(self.frames):
            self.seek = start
            while self.seek < end:
                with self._lock:
                    ready = self._decode(self._window(end))
                yield from ready

    def to_recognition(self, segments: Iterable[dict[str, Any]]) -> Recognition:
        """Return the language and those of *segments* that are not blanked."""
        return Recognition(
            segments=to_segments(segment for segment in segments if not is_empty(segment)),
            language=self._options.language or self.language,
            language_probability=self.language_probabilities[0][1] if self.language_probabilities else None,
            language_probabilities=self.language_probabilities,
        )

    @property
    def text(self) -> str:
        """Text so far, decoded from all tokens as upstream does."""
        return str(self._tokenizer.decode(self._tokens[len(self._initial) :]))

    def _window(self, end: int) -> _Window:
        size = min(N_FRAMES, end - self.seek)
        mel = self._on_device(self._mel[:, self.seek : self.seek + size])
        with torch.no_grad():
            features = self._model.encoder(mel.unsqueeze(0))[0]
        return _Window(mel, features, self.seek, size)

    def _on_device(self, mel: torch.Tensor) -> torch.Tensor:
        padded: torch.Tensor = pad_or_trim(mel, N_FRAMES).to(self._model.device)
        return padded.half() if self._half else padded

    def _detect_language(self) -> str:
        if not self._model.is_multilingual:
            return "en"
        # Not from the first window: upstream detects with silence after the audio, and decodes with zeros after it.
        with self._lock:
            _, probabilities = self._model.detect_language(self._on_device(self._mel))
        ranked = sorted(probabilities.items(), key=lambda pair: -pair[1])
        self.language_probabilities = tuple((str(name), float(probability)) for name, probability in ranked)
        return self.language_probabilities[0][0]

    def _decode(self, window: _Window) -> list[dict[str, Any]]:
        result = self._with_fallback(window)
        if self._settings.is_silent(avg_logprob=result.avg_logprob, no_speech_prob=result.no_speech_prob):
            self.seek += window.size
            return []
        segments, ended = self._split(window, result)
        if self._options.word_timestamps:
            self._time_words(window, segments, ended=ended)
            if self._skip_hallucinations(window, segments, ended=ended):
                return []
        self._tokens += [token for segment in segments if not is_empty(segment) for token in segment["tokens"]]
        if not self._settings.condition_on_previous_text or result.temperature > PROMPT_RESET_TEMPERATURE:
            self._context_start = len(self._tokens)
        return segments

    def _with_fallback(self, window: _Window) -> DecodingResult:
        temperatures = self._options.temperatures or FALLBACK_TEMPERATURES
        for temperature in temperatures:
            decoding_options = DecodingOptions(
                task=self._options.task,
                language=self.language,
                prompt=self._prompt(),
                fp16=self._half,
                **self._settings.decoding_arguments(temperature, self._options.beam_size),
            )
            result = self._model.decode(window.features, decoding_options)
            if not self._settings.has_failed(
                avg_logprob=result.avg_logprob,
                compression_ratio=result.compression_ratio,
                no_speech_prob=result.no_speech_prob,
            ):
                break
        return result

    def _prompt(self) -> list[int]:
        """Return the text since the last reset; a carried initial prompt takes its part of the room."""
        carried = self._initial if self._settings.carry_initial_prompt else []
        context = self._tokens[max(len(carried), self._context_start) :]
        if carried:
            context = context[-(self._model.dims.n_text_ctx // 2 - 1 - len(carried)) :]
        if prefix := self._settings.prefix:  # takes room, too: upstream fails if the context leaves none for the prefix
            n_prefix = len(self._tokenizer.encode(f" {prefix.strip()}") if isinstance(prefix, str) else prefix)
            n_text = self._settings.sample_len or MIN_TEXT_TOKENS
            room = max(0, self._model.dims.n_text_ctx - n_prefix - SPECIAL_TOKENS - n_text)
            context = context[max(0, len(carried) + len(context) - room) :]
        return carried + context

    def _split(self, window: _Window, result: DecodingResult) -> tuple[list[dict[str, Any]], bool]:
        """Return the window's segments, and whether speech ended inside the window; advance in the recording."""
        tokens, begin = result.tokens, self._tokenizer.timestamp_begin
        parts, resume = split_at_timestamps(tokens, first=begin, duration=window.size / FRAMES_PER_SECOND)
        self.seek += window.size if resume is None else round(resume * FRAMES_PER_SECOND)
        ended = [token >= begin for token in tokens[-2:]] == [False, True]
        return [segment_dict(result, part, self._tokenizer, seek=window.seek) for part in parts], ended

    def _time_words(self, window: _Window, segments: list[dict[str, Any]], *, ended: bool) -> None:
        add_word_timestamps(
            segments=segments,
            model=self._model,
            tokenizer=self._tokenizer,
            mel=window.mel,
            num_frames=window.size,
            prepend_punctuations=self._settings.prepend_punctuations,
            append_punctuations=self._settings.append_punctuations,
            last_speech_timestamp=self._last_speech,
        )
        last_end = get_end(segments)
        if not ended and last_end is not None and last_end > window.offset:
            self.seek = round(last_end * FRAMES_PER_SECOND)

    def _skip_hallucinations(self, window: _Window, segments: list[dict[str, Any]], *, ended: bool) -> bool:
        """Drop hallucinations and advance past the silence; return whether to decode the window again from there."""
        threshold, last_end = self._settings.hallucination_silence_threshold, get_end(segments)
        if threshold is not None:
            if not ended and last_end is not None and last_end > window.offset:
                is_long = window.offset + WINDOW_S - last_end > threshold
                self.seek = round(last_end * FRAMES_PER_SECOND) if is_long else window.seek + window.size
            first = _first_with_words(segments)
            gap = float(first["start"] - window.offset) if first is not None and _is_anomalous(first) else None
            if gap is not None and gap > threshold:
                self.seek = window.seek + round(gap * FRAMES_PER_SECOND)
                return True
            index = self._first_hallucination(window, segments, threshold)
            if index is not None:
                start, end = segments[index]["start"], segments[index]["end"]
                self.seek = round(max(window.offset + 1, start) * FRAMES_PER_SECOND)
                if self.frames / FRAMES_PER_SECOND - end < threshold:
                    self.seek = self.frames
                del segments[index:]
                last_end = get_end(segments)
        self._last_speech = self._last_speech if last_end is None else last_end
        return False

    def _first_hallucination(self, window: _Window, segments: list[dict[str, Any]], threshold: float) -> int | None:
        """Return the index of the first anomalous segment that has silence or more anomalous segments around it."""
        previous_end, audio_end = self._last_speech, window.offset + window.size / FRAMES_PER_SECOND
        for index, segment in enumerate(segments):
            if not segment["words"]:
                continue
            start, end = segment["start"], segment["end"]
            following = _first_with_words(segments[index + 1 :])
            next_start = following["words"][0]["start"] if following else audio_end
            is_early = start < threshold or start - window.offset < _EDGE_S
            has_silence_before = is_early or start - previous_end > threshold
            has_silence_after = next_start - end > threshold or window.offset + WINDOW_S - end < _EDGE_S
            if _is_anomalous(segment) and has_silence_before and (has_silence_after or _is_anomalous(following)):
                return index
            previous_end = end
        return None


def segment_dict(
    result: DecodingResult, part: TimestampedTokens, tokenizer: Tokenizer, *, seek: int = 0
) -> dict[str, Any]:
    """Return upstream's dictionary of *part* of the *result* of the window that starts at frame *seek*."""
    offset = seek / FRAMES_PER_SECOND
    return {
        "seek": seek,
        "start": offset + part.start,
        "end": offset + part.end,
        "text": tokenizer.decode([token for token in part.tokens if token < tokenizer.eot]),
        "tokens": list(part.tokens),
        "temperature": result.temperature,
        "avg_logprob": result.avg_logprob,
        "compression_ratio": result.compression_ratio,
        "no_speech_prob": result.no_speech_prob,
    }


def is_empty(segment: dict[str, Any]) -> bool:
    """Return whether *segment* has no duration or no text; upstream keeps it without text, tokens and words."""
    return bool(segment["start"] == segment["end"] or not segment["text"].strip())


def _first_with_words(segments: Sequence[dict[str, Any]]) -> dict[str, Any] | None:
    return next((segment for segment in segments if segment["words"]), None)


def _is_anomalous(segment: dict[str, Any] | None) -> bool:
    """Return whether the first words of *segment* are too short, too long or too improbable to be speech."""
    if segment is None or not segment["words"]:
        return False
    words = [word for word in segment["words"] if word["word"] not in _PUNCTUATION][:_MAX_WORDS]
    score = 0.0
    for word in words:
        duration = word["end"] - word["start"]
        improbable = float(word.get("probability", 0.0) < _MIN_PROBABILITY)
        score += improbable + max(0.0, _MIN_WORD_S - duration) * 15 + max(0.0, duration - _MAX_WORD_S)
    return bool(score >= 3 or score + 0.01 >= len(words))
