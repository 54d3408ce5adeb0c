"""faster-whisper's records, field by field."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any
from warnings import warn

from asrlab import transcript
from asrlab.compat.base import leading_space, words_with_spaces
from asrlab.compat.faster_whisper.vad import VadOptions
from asrlab.engine.contract import Recognition


def _deprecated(record: Any) -> dict[str, Any]:
    kind = type(record).__name__
    warn(f"{kind}._asdict() is deprecated upstream; use dataclasses.asdict({kind})", DeprecationWarning, stacklevel=3)
    return asdict(record)


@dataclass
class Word:
    """One word with its place in the audio.

    Attributes:
        start: Seconds from the start of the audio.
        end: Likewise.
        word: With the space before it, where there is one.
        probability: In [0, 1]; None where the engine gives none.
    """

    start: float
    end: float
    word: str
    probability: float | None

    def _asdict(self) -> dict[str, Any]:
        return _deprecated(self)


@dataclass
class Segment:
    """A stretch of speech. What the engine does not tell is None, and its tokens are an empty list.

    Attributes:
        id: From 1.
        seek: Where the window that gave it began, in frames of 10 ms.
        start: Seconds from the start of the audio.
        end: Likewise.
        text: With the space before it, where the language writes spaces.
        tokens: The model's token ids, time stamps included.
        avg_logprob: Mean natural logarithm of the tokens' probabilities.
        compression_ratio: Length of the text over its compressed length.
        no_speech_prob: Probability that there is no speech.
        words: None if not asked for.
        temperature: Of the decoding that was kept.
    """

    id: int
    seek: int | None
    start: float
    end: float
    text: str
    tokens: list[int]
    avg_logprob: float | None
    compression_ratio: float | None
    no_speech_prob: float | None
    words: list[Word] | None
    temperature: float | None

    def _asdict(self) -> dict[str, Any]:
        return _deprecated(self)


@dataclass
class TranscriptionOptions:
    """What was asked for. Unlike upstream's, *suppress_tokens* is as it was given: -1 is not spelled out."""

    beam_size: int
    best_of: int
    patience: float
    length_penalty: float
    repetition_penalty: float
    no_repeat_ngram_size: int
    log_prob_threshold: float | None
    no_speech_threshold: float | None
    compression_ratio_threshold: float | None
    condition_on_previous_text: bool
    prompt_reset_on_temperature: float
    temperatures: Sequence[float]
    initial_prompt: str | None
    prefix: str | None
    suppress_blank: bool
    suppress_tokens: Sequence[int] | None
    without_timestamps: bool
    max_initial_timestamp: float
    word_timestamps: bool
    prepend_punctuations: str
    append_punctuations: str
    multilingual: bool
    max_new_tokens: int | None
    clip_timestamps: str | Sequence[float]
    hallucination_silence_threshold: float | None
    hotwords: str | None

    @classmethod
    def of(cls, given: dict[str, Any]) -> TranscriptionOptions:
        """From the arguments of a call."""
        temperature = given["temperature"]
        ladder = list(temperature) if isinstance(temperature, list | tuple) else [temperature]
        names = [name for name in cls.__dataclass_fields__ if name != "temperatures"]
        return cls(temperatures=ladder, **{name: given[name] for name in names})


@dataclass
class TranscriptionInfo:
    """What is known of a recording before its first segment.

    Attributes:
        language: The language given, or the one detected; None where the engine does not tell.
        language_probability: In [0, 1], and 1 where the language was given; not a number where the engine does not
            tell.
        duration: Seconds of audio.
        duration_after_vad: Seconds that were left by the voice activity model.
        all_language_probs: Each language that was weighed, the likeliest first; None where it was given, or the engine
            does not tell.
        transcription_options: What was asked for.
        vad_options: Parameters of the voice activity model; None where it was not asked for.
    """

    language: str | None
    language_probability: float
    duration: float
    duration_after_vad: float
    all_language_probs: list[tuple[str, float]] | None
    transcription_options: TranscriptionOptions
    vad_options: VadOptions | None


def segment_of(segment: transcript.Segment, number: int, language: str | None) -> Segment:
    """A segment of asrlab's as faster-whisper writes it."""
    lead = leading_space(language)
    words = [
        Word(start=word.start, end=word.end, word=text, probability=word.probability)
        for word, text in words_with_spaces(segment, lead)
    ]
    return Segment(
        id=number,
        seek=segment.seek,
        start=segment.start,
        end=segment.end,
        text=segment.text and lead + segment.text,
        tokens=list(segment.tokens or ()),
        avg_logprob=segment.avg_logprob,
        compression_ratio=segment.compression_ratio,
        no_speech_prob=segment.no_speech_prob,
        words=None if segment.words is None else words,
        temperature=segment.temperature,
    )


def info_of(
    recognition: Recognition, given: Mapping[str, Any], *, duration: float, english: bool = False
) -> TranscriptionInfo:
    """What an engine has told before its first segment, as faster-whisper writes it.

    Args:
        recognition: Begun.
        given: The arguments of the call.
        duration: Seconds of audio.
        english: Whether the model knows only English.
    """
    told = recognition.language_probability
    certain = 1.0 if given["language"] is not None or english else math.nan
    probabilities = recognition.language_probabilities
    left = recognition.speech_duration
    return TranscriptionInfo(
        language=recognition.language,
        language_probability=certain if told is None else told,
        duration=duration,
        duration_after_vad=duration if left is None else left,
        all_language_probs=None if probabilities is None else list(probabilities),
        transcription_options=TranscriptionOptions.of(dict(given)),
        vad_options=_vad_options(given),
    )


def _vad_options(given: Mapping[str, Any]) -> VadOptions | None:
    parameters: Any = given["vad_parameters"]
    if isinstance(parameters, VadOptions):
        return parameters
    if not given["vad_filter"]:
        return None
    return VadOptions(**(parameters or {}))


def shown(segments: Iterator[Segment], duration: float, *, on: bool) -> Iterator[Segment]:
    """*segments*, with a progress bar over the seconds of audio on standard error if *on*."""
    return _with_bar(segments, duration) if on else segments


def _with_bar(segments: Iterator[Segment], duration: float) -> Iterator[Segment]:
    from rich.console import Console
    from rich.progress import Progress

    with Progress(console=Console(stderr=True)) as bar:
        task = bar.add_task("transcribing", total=duration)
        for segment in segments:
            bar.update(task, completed=segment.end)
            yield segment
        bar.update(task, completed=duration)
