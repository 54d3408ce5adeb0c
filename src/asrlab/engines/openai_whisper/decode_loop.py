"""Upstream's loop over 30 s windows, one window at a time.

``whisper.transcribe`` gives its segments only when the last window is done, keeps the probability of the language to
itself, and encodes a window again for each temperature. This loop takes the same decisions in the same order, so that
texts, times and scores are the same, but yields each window's segments at once and encodes each window once.

Source: openai-whisper 20250625, ``whisper/transcribe.py``.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator, Sequence
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
from whisper.utils import get_end

from asrlab.engines.openai_whisper.hallucinations import WindowSpan, first_hallucination, leading_silence
from asrlab.engines.openai_whisper.settings import Settings
from asrlab.engines.option_checks import MIN_TEXT_TOKENS
from asrlab.options import TranscribeOptions
from asrlab.transcript import Segment, Word

LADDER = (0.0, 0.2, 0.4, 0.6, 0.8, 1.0)
PROMPT_RESET_TEMPERATURE = 0.5
FRAMES_PER_SECOND = 100
SECONDS_PER_TIMESTAMP = 0.02
FRAMES_PER_TIMESTAMP = 2
_SPECIAL_TOKENS = 5


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


class WindowDecoder:
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
        language_probabilities: Of all, the likeliest first; None if it was given, or the model knows only English.
        frames: How long the recording is; 100 a second.
        seek: The frame up to which it has been transcribed.

    Raises:
        OptionError: An engine option's value is out of range.
    """

    def __init__(
        self, model: Whisper, lock: threading.Lock, samples: np.ndarray, options: TranscribeOptions, *, half: bool
    ) -> None:
        self._model, self._lock, self._options, self._half = model, lock, options, half
        self._settings = Settings.of(options)
        self._mel = log_mel_spectrogram(samples, model.dims.n_mels, padding=N_SAMPLES)
        self.frames = int(self._mel.shape[-1] - N_FRAMES)
        self.seek = 0
        self._last_speech = 0.0
        self.language_probabilities: tuple[tuple[str, float], ...] | None = None
        self.language = options.primary_language or self._detect()
        self._tokenizer = self._make_tokenizer()
        prompt = options.initial_prompt
        self._first: list[int] = [] if prompt is None else self._tokenizer.encode(f" {prompt.strip()}")
        self._tokens = list(self._first)
        self._context_start = 0

    def segments(self) -> Iterator[dict[str, Any]]:
        """Upstream's segment dictionaries as they come, without their ids; upstream empties those that `is_void`."""
        for start, end in self._settings.clips(self.frames):
            self.seek = start
            while self.seek < end:
                with self._lock:
                    ready = self._decode(self._window(end))
                yield from ready

    @property
    def language_probability(self) -> float | None:
        """That of `language`; None likewise."""
        return self.language_probabilities[0][1] if self.language_probabilities else None

    @property
    def text(self) -> str:
        """All that was heard so far, from the tokens, as upstream joins it."""
        return str(self._tokenizer.decode(self._tokens[len(self._first) :]))

    def _window(self, end: int) -> _Window:
        size = min(N_FRAMES, end - self.seek)
        mel = self._on_device(self._mel[:, self.seek : self.seek + size])
        with torch.no_grad():
            features = self._model.encoder(mel.unsqueeze(0))[0]
        return _Window(mel, features, self.seek, size)

    def _on_device(self, mel: torch.Tensor) -> torch.Tensor:
        padded: torch.Tensor = pad_or_trim(mel, N_FRAMES).to(self._model.device)
        return padded.half() if self._half else padded

    def _detect(self) -> str:
        if not self._model.is_multilingual:
            return "en"
        # not from the first window: upstream detects with silence behind the audio, and decodes with zeros behind it
        with self._lock:
            _, probabilities = self._model.detect_language(self._on_device(self._mel))
        ranked = sorted(probabilities.items(), key=lambda pair: -pair[1])
        self.language_probabilities = tuple((str(name), float(probability)) for name, probability in ranked)
        return self.language_probabilities[0][0]

    def _make_tokenizer(self) -> Tokenizer:
        return get_tokenizer(
            self._model.is_multilingual,
            num_languages=self._model.num_languages,
            language=self.language,
            task=self._options.task,
        )

    def _decode(self, window: _Window) -> list[dict[str, Any]]:
        result = self._with_fallback(window)
        if self._settings.silent(avg_logprob=result.avg_logprob, no_speech_prob=result.no_speech_prob):
            self.seek += window.size
            return []
        segments, ended = self._split(window, result)
        if self._options.word_timestamps:
            self._time_words(window, segments, ended=ended)
            if self._skip_made_up(window, segments, ended=ended):
                return []
        self._tokens += [token for segment in segments if not is_void(segment) for token in segment["tokens"]]
        if not self._settings.condition_on_previous_text or result.temperature > PROMPT_RESET_TEMPERATURE:
            self._context_start = len(self._tokens)
        return segments

    def _with_fallback(self, window: _Window) -> DecodingResult:
        ladder = self._options.temperatures or LADDER
        for temperature in ladder:
            result = self._model.decode(window.features, self._decoding_options(temperature))
            if not self._settings.failed(
                avg_logprob=result.avg_logprob,
                compression_ratio=result.compression_ratio,
                no_speech_prob=result.no_speech_prob,
            ):
                break
        return result

    def _decoding_options(self, temperature: float) -> DecodingOptions:
        return DecodingOptions(
            task=self._options.task,
            language=self.language,
            prompt=self._prompt(),
            fp16=self._half,
            **self._settings.decoding(temperature, self._options.beam_size),
        )

    def _prompt(self) -> list[int]:
        """What was heard since the last reset; carried, the initial prompt takes its part of the room."""
        carried = self._first if self._settings.carry_initial_prompt else []
        heard = self._tokens[max(len(carried), self._context_start) :]
        if carried:
            heard = heard[-(self._model.dims.n_text_ctx // 2 - 1 - len(carried)) :]
        if self._settings.prefix:  # takes its part, too: upstream fails where what was heard leaves no room for it
            heard = heard[max(0, len(carried) + len(heard) - self._room_before_prefix()) :]
        return carried + heard

    def _room_before_prefix(self) -> int:
        prefix = self._settings.prefix or []
        n_prefix = len(self._tokenizer.encode(f" {prefix.strip()}") if isinstance(prefix, str) else prefix)
        room: int = (
            self._model.dims.n_text_ctx - n_prefix - _SPECIAL_TOKENS - (self._settings.sample_len or MIN_TEXT_TOKENS)
        )
        return max(0, room)

    def _split(self, window: _Window, result: DecodingResult) -> tuple[list[dict[str, Any]], bool]:
        """The window's segments, and whether the speech ended inside the window; moves on in the recording."""
        tokens, begin = result.tokens, self._tokenizer.timestamp_begin
        stamps = [token >= begin for token in tokens]
        ended = stamps[-2:] == [False, True]
        cuts = [i for i in range(1, len(tokens)) if stamps[i - 1] and stamps[i]]
        if not cuts:
            end = self._last_stamp(tokens) or window.size / FRAMES_PER_SECOND
            self.seek += window.size
            return [self._segment(window, result, tokens, 0.0, end)], ended
        pieces = [tokens[a:b] for a, b in zip([0, *cuts], cuts + [len(tokens)] * ended, strict=False)]
        segments = [
            self._segment(window, result, piece, self._seconds(piece[0]), self._seconds(piece[-1])) for piece in pieces
        ]
        # without an end, the last piece is unfinished: go on from the last time stamp
        self.seek += window.size if ended else (tokens[cuts[-1] - 1] - begin) * FRAMES_PER_TIMESTAMP
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
            prepend_punctuations=self._settings.prepend_punctuations,
            append_punctuations=self._settings.append_punctuations,
            last_speech_timestamp=self._last_speech,
        )
        last_end = get_end(segments)
        if not ended and last_end is not None and last_end > window.offset:
            self.seek = round(last_end * FRAMES_PER_SECOND)

    def _skip_made_up(self, window: _Window, segments: list[dict[str, Any]], *, ended: bool) -> bool:
        """Drop what looks made up and go on behind the silence; whether the window is to be decoded anew from there."""
        threshold = self._settings.hallucination_silence_threshold
        if threshold is not None:
            size = window.size / FRAMES_PER_SECOND
            place = WindowSpan(offset=window.offset, size=size, last_speech=self._last_speech, threshold=threshold)
            self._go_on_behind(window, get_end(segments), place, ended=ended)
            gap = leading_silence(segments, place)
            if gap is not None:
                self.seek = window.seek + round(gap * FRAMES_PER_SECOND)
                return True
            self._drop(segments, place)
        last_end = get_end(segments)
        self._last_speech = self._last_speech if last_end is None else last_end
        return False

    def _go_on_behind(self, window: _Window, last_end: float | None, place: WindowSpan, *, ended: bool) -> None:
        if not ended and last_end is not None and last_end > window.offset:
            rest = place.window_end - last_end
            behind = round(last_end * FRAMES_PER_SECOND)
            self.seek = behind if rest > place.threshold else window.seek + window.size

    def _drop(self, segments: list[dict[str, Any]], place: WindowSpan) -> None:
        index = first_hallucination(segments, place)
        if index is None:
            return
        start, end = segments[index]["start"], segments[index]["end"]
        self.seek = round(max(place.offset + 1, start) * FRAMES_PER_SECOND)
        if self.frames / FRAMES_PER_SECOND - end < place.threshold:
            self.seek = self.frames
        del segments[index:]


def is_void(segment: dict[str, Any]) -> bool:
    """Whether a segment takes no time or has no text; upstream keeps it, without its text, tokens and words."""
    return bool(segment["start"] == segment["end"] or not segment["text"].strip())


def to_segments(segments: Iterable[dict[str, Any]]) -> Iterator[Segment]:
    """The engine's segments, each as it comes; those without time or text are left out."""
    for segment in segments:
        if is_void(segment):
            continue
        start = float(segment["start"])
        yield Segment(
            text=segment["text"].strip(),
            start=start,
            end=max(start, float(segment["end"])),
            words=tuple(map(_word, segment["words"])) if "words" in segment else None,
            tokens=tuple(segment["tokens"]),
            temperature=float(segment["temperature"]),
            avg_logprob=float(segment["avg_logprob"]),
            compression_ratio=float(segment["compression_ratio"]),
            no_speech_prob=float(segment["no_speech_prob"]),
            seek=segment["seek"],
        )


def _word(word: dict[str, Any]) -> Word:
    start = float(word["start"])
    return Word(
        text=word["word"].strip(), start=start, end=max(start, float(word["end"])), probability=word["probability"]
    )
