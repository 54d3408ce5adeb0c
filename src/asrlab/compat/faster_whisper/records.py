"""faster-whisper's records, and their conversion from asrlab's."""

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


def _asdict_with_warning(record: Any) -> dict[str, Any]:
    kind = type(record).__name__
    warn(f"{kind}._asdict() is deprecated upstream; use dataclasses.asdict({kind})", DeprecationWarning, stacklevel=3)
    return asdict(record)


@dataclass
class Word:
    """A word with its times in the audio.

    Attributes:
        start: Seconds from the start of the audio.
        end: Seconds from the start of the audio.
        word: The word, with the space before it if there is one.
        probability: Probability in [0, 1]; None if the engine has none.
    """

    start: float
    end: float
    word: str
    probability: float | None

    def _asdict(self) -> dict[str, Any]:
        return _asdict_with_warning(self)


@dataclass
class Segment:
    """A stretch of recognized speech. Fields that the engine does not report are None, and tokens an empty list.

    Attributes:
        id: Number of the segment, from 1.
        seek: Start of the decoded window, in frames of 10 ms.
        start: Seconds from the start of the audio.
        end: Seconds from the start of the audio.
        text: The text, with a space before it if the language is written with spaces.
        tokens: The model's token ids, timestamp tokens included.
        avg_logprob: Mean natural logarithm of the token probabilities.
        compression_ratio: Length of the text over its compressed length.
        no_speech_prob: Probability that there is no speech.
        words: Word timings; None if not requested.
        temperature: Sampling temperature of the accepted decoding.
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
        return _asdict_with_warning(self)


@dataclass
class TranscriptionOptions:
    """The arguments of a call. Unlike upstream's, *suppress_tokens* is as given: -1 is not expanded."""

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
    def from_arguments(cls, given: Mapping[str, Any]) -> TranscriptionOptions:
        """Return the options for the arguments of a call."""
        temperature = given["temperature"]
        temperatures = list(temperature) if isinstance(temperature, list | tuple) else [temperature]
        names = [name for name in cls.__dataclass_fields__ if name != "temperatures"]
        return cls(temperatures=temperatures, **{name: given[name] for name in names})


@dataclass
class TranscriptionInfo:
    """The facts of a recording that are known before its first segment.

    Attributes:
        language: The language, given or detected; None if the engine does not report one.
        language_probability: Probability in [0, 1]; 1 if the language was given, NaN if the engine does not report one.
        duration: Seconds of audio.
        duration_after_vad: Seconds of audio that the voice activity model kept.
        all_language_probs: Probability of each language, the likeliest first; None if the language was given or the
            engine does not report them.
        transcription_options: The arguments of the call.
        vad_options: Parameters of the voice activity model; None if it was not requested.
    """

    language: str | None
    language_probability: float
    duration: float
    duration_after_vad: float
    all_language_probs: list[tuple[str, float]] | None
    transcription_options: TranscriptionOptions
    vad_options: VadOptions | None


def convert_segment(segment: transcript.Segment, number: int, language: str | None) -> Segment:
    """Return *segment* as faster-whisper writes it."""
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


def convert_info(
    recognition: Recognition, given: Mapping[str, Any], *, duration: float, english_only: bool = False
) -> TranscriptionInfo:
    """Return the facts that an engine reports before its first segment, as faster-whisper writes them.

    Args:
        recognition: The started recognition.
        given: The arguments of the call.
        duration: Seconds of audio.
        english_only: True if the model knows only English.
    """
    probability = recognition.language_probability
    if probability is None:
        probability = 1.0 if given["language"] is not None or english_only else math.nan
    probabilities = recognition.language_probabilities
    speech_duration = recognition.speech_duration
    return TranscriptionInfo(
        language=recognition.language,
        language_probability=probability,
        duration=duration,
        duration_after_vad=duration if speech_duration is None else speech_duration,
        all_language_probs=None if probabilities is None else list(probabilities),
        transcription_options=TranscriptionOptions.from_arguments(given),
        vad_options=_vad_options(given),
    )


def _vad_options(given: Mapping[str, Any]) -> VadOptions | None:
    parameters: Any = given["vad_parameters"]
    if isinstance(parameters, VadOptions):
        return parameters
    return VadOptions(**(parameters or {})) if given["vad_filter"] else None


def with_progress(segments: Iterator[Segment], duration: float) -> Iterator[Segment]:
    """Yield *segments*, with a progress bar over the seconds of audio on standard error."""
    from rich.console import Console
    from rich.progress import Progress

    with Progress(console=Console(stderr=True)) as bar:
        task = bar.add_task("transcribing", total=duration)
        for segment in segments:
            bar.update(task, completed=segment.end)
            yield segment
        bar.update(task, completed=duration)
