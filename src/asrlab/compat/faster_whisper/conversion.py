"""Conversion between faster-whisper and asrlab: arguments, each of which is honoured or refused, and records."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any
from warnings import warn

from asrlab import transcript
from asrlab.audio import Audio
from asrlab.compat import drop_ignored, progress_bar, segment_dict, warn_ignored
from asrlab.compat.faster_whisper.vad import VadOptions
from asrlab.engine.contract import Recognition
from asrlab.engine.transcriber import Transcriber
from asrlab.errors import OptionError
from asrlab.options import TextToShorten, TranscribeOptions
from asrlab.upstream import find_upstream, import_upstream

_CHUNK_S = 30
TEMPERATURES = (0.0, 0.2, 0.4, 0.6, 0.8, 1.0)
_BEAM_SIZE = 5
_NAMES_IN_OTHER_ENGINES = {"log_prob_threshold": "logprob_threshold"}
_CAPABILITIES = ("word_timestamps", "beam_size", "temperature", "initial_prompt", "hotwords", "vad_filter")
_COMMON = ("language", "task", *_CAPABILITIES)


@dataclass
class _Record:
    """A record with upstream's deprecated conversion."""

    def _asdict(self) -> dict[str, Any]:
        kind = type(self).__name__
        message = f"{kind}._asdict() is deprecated upstream; use dataclasses.asdict({kind})"
        warn(message, DeprecationWarning, stacklevel=2)
        return asdict(self)


@dataclass
class Word(_Record):
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


@dataclass
class Segment(_Record):
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
    fields = segment_dict(number, segment, language)
    words = [Word(**word) for word in fields.pop("words")] if "words" in fields else None
    return Segment(**fields | {"text": fields["text"] if segment.text else "", "words": words})


def convert_info(
    recognition: Recognition, given: Mapping[str, Any], *, duration: float, english_only: bool = False
) -> TranscriptionInfo:
    """Return the facts that an engine reports before its first segment, as faster-whisper writes them."""
    probability = recognition.language_probability
    if probability is None:
        probability = 1.0 if given["language"] is not None or english_only else math.nan
    probabilities = recognition.language_probabilities
    speech_duration = recognition.speech_duration
    vad_options: Any = given["vad_parameters"]
    if given["vad_filter"]:
        vad_options = None if speech_duration is None else as_vad_options(vad_options)
    return TranscriptionInfo(
        language=recognition.language,
        language_probability=probability,
        duration=duration,
        duration_after_vad=duration if speech_duration is None else speech_duration,
        all_language_probs=None if probabilities is None else list(probabilities),
        transcription_options=TranscriptionOptions.from_arguments(given),
        vad_options=vad_options,
    )


def with_batched_filter(info: TranscriptionInfo, audio: Audio, given: Mapping[str, Any]) -> TranscriptionInfo:
    """Return *info* with the parameters and the seconds of speech that upstream's pipeline reports.

    Source: faster-whisper 1.2.1, ``BatchedInferencePipeline.transcribe``.
    """
    if not given["vad_filter"]:
        return info
    limits = {"max_speech_duration_s": given["chunk_length"] or _CHUNK_S}
    options = given["vad_parameters"]
    if options is None:
        options = VadOptions(min_silence_duration_ms=160, **limits)
    elif not isinstance(options, VadOptions):
        options = VadOptions(**{**options, **limits})
    if find_upstream("faster_whisper") is None:
        return replace(info, vad_options=options)
    spans = import_upstream("faster_whisper.vad").get_speech_timestamps(audio.samples, options)
    speech_s = sum(span["end"] - span["start"] for span in spans) / audio.sample_rate
    return replace(info, vad_options=options, duration_after_vad=speech_s)


def with_progress(segments: Iterator[Segment], duration: float) -> Iterator[Segment]:
    """Yield *segments*, with a progress bar over the seconds of audio on standard error."""
    with progress_bar(duration) as update:
        for segment in segments:
            update(completed=segment.end)
            yield segment
        update(completed=duration)


def to_options(
    given: Mapping[str, Any], defaults: Mapping[str, Any], transcriber: Transcriber, *, upstream_call: str
) -> TranscribeOptions:
    """Convert the arguments of a call, *given*, to options; messages name *upstream_call*.

    An argument at upstream's default requests nothing, except the beam size of 5 if the engine has a beam search.

    Raises:
        OptionError: If the transcriber cannot honour an argument.
    """
    capabilities = transcriber.info.capabilities
    requested = {name: value for name, value in given.items() if not _is_default(value, defaults[name])}
    if capabilities.beam_size:
        requested.setdefault("beam_size", _BEAM_SIZE)
    _drop_unused_filter(requested, has_filter=capabilities.vad_filter)
    if not isinstance(requested.get("initial_prompt", ""), str):
        raise _unsupported("initial_prompt as token ids", "initial_prompt", transcriber, upstream_call)
    drop_ignored(requested, capabilities.languages)
    for name in ("initial_prompt", "hotwords", "prefix"):
        if isinstance(requested.get(name), str):
            requested[name] = TextToShorten(requested[name])
    common: dict[str, Any] = {name: requested.pop(name) for name in list(requested) if name in _COMMON}
    if common.get("task") not in (None, *capabilities.tasks):
        raise _unsupported(f"task {common['task']!r}", "task", transcriber, upstream_call)
    for name in common:
        if name in _CAPABILITIES and not getattr(capabilities, name):
            raise _unsupported(name, name, transcriber, upstream_call)
    engine_options = {}
    for name, value in requested.items():
        known = capabilities.engine_options
        engine_name = name if name in known else _NAMES_IN_OTHER_ENGINES.get(name, name)
        if engine_name not in known:
            raise _unsupported(name, name, transcriber, upstream_call)
        engine_options[engine_name] = value
    if given.get("vad_filter") and "split_at_silence" in capabilities.engine_options:
        engine_options["split_at_silence"] = False  # the shim returns upstream's segments
    return TranscribeOptions.of(None, {**common, "engine_options": engine_options})


def _drop_unused_filter(requested: dict[str, Any], *, has_filter: bool) -> None:
    """Keep the changed parameters of the filter; remove them without a filter, and a filter that the engine lacks."""
    if requested.get("vad_filter") and not has_filter:
        del requested["vad_filter"]
        warn_ignored("vad_filter", "the engine transcribes all of the audio")
        requested.pop("vad_parameters", None)
    changed = _changed_vad_options(requested.pop("vad_parameters", None) or {})
    if changed and requested.get("vad_filter"):
        requested["vad_parameters"] = changed
    elif changed:
        warn_ignored("vad_parameters", "it requires vad_filter=True")


def as_vad_options(given: VadOptions | Mapping[str, Any] | None) -> VadOptions:
    """Return the parameters of a filter that runs, as upstream does."""
    return given if isinstance(given, VadOptions) else VadOptions(**(given or {}))


def _is_default(value: Any, default: Any) -> bool:
    if isinstance(value, VadOptions):
        return not _changed_vad_options(value)
    value = tuple(value) if isinstance(value, list) else value
    return bool(value == default and isinstance(value, bool) == isinstance(default, bool))


def _unsupported(what: str, option: str, transcriber: Transcriber, upstream_call: str) -> OptionError:
    model = transcriber.info.model.name
    return OptionError(f"{model} cannot honour {what}; use {upstream_call}(audio, {option}=...)", option=option)


def _changed_vad_options(given: VadOptions | Mapping[str, Any]) -> dict[str, Any]:
    """Return the parameters that differ from their defaults."""
    values = asdict(given) if isinstance(given, VadOptions) else dict(given)
    defaults = asdict(VadOptions())
    return {name: value for name, value in values.items() if name not in defaults or value != defaults[name]}
