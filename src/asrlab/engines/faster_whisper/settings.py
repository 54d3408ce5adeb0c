"""Options of faster-whisper beyond asrlab's own, with its names and defaults."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import attrs
from faster_whisper.vad import VadOptions

from asrlab.engines.option_checks import (
    boolean,
    check_word_options,
    is_number,
    number,
    number_or_none,
    parse_clip_timestamps,
    positive_int,
    string,
)
from asrlab.engines.whisper import APPEND_PUNCTUATIONS, PREPEND_PUNCTUATIONS
from asrlab.errors import OptionError
from asrlab.options import TranscribeOptions

_VAD_PARAMETERS = {field for field in VadOptions.__dataclass_fields__ if field != "max_speech_duration_s"}


def _clips(value: Any) -> str | list[float]:
    seconds = parse_clip_timestamps(value)
    return value if isinstance(value, str) else list(seconds)


def _tokens(value: Any) -> list[int] | None:
    if value is not None and not (isinstance(value, list | tuple) and all(type(token) is int for token in value)):
        raise OptionError(f"suppress_tokens {value!r} must be a list of token ids, or None", option="suppress_tokens")
    return value if value is None else list(value)


def _vad_parameters(value: Any) -> dict[str, Any] | None:
    if value is None:
        return None
    given: dict[str, Any] = dict(value)
    known = {*_VAD_PARAMETERS, "max_speech_duration_s"}
    bad = [name for name, number in given.items() if name not in known or not is_number(number)]
    if bad:
        raise OptionError(
            f"vad_parameters {bad[0]}={given[bad[0]]!r} must be a number with one of these names: "
            f"{', '.join(sorted(_VAD_PARAMETERS))}",
            option="vad_parameters",
        )
    return given


def _non_negative_int(_settings: object, field: attrs.Attribute[int], value: object) -> None:
    if type(value) is not int or value < 0:
        raise OptionError(f"{field.name} {value!r} must be a whole number of at least 0", option=field.name)


def _prefix(_settings: object, field: attrs.Attribute[str | None], value: object) -> None:
    if value is not None:
        string(_settings, field, value)


@attrs.frozen(kw_only=True)
class Settings:
    """Options for decoding windows. None disables a check, or leaves a choice to the model.

    Attributes:
        best_of: Number of candidates at temperatures above 0.
        patience: Patience of the beam search.
        length_penalty: Exponent of the length by which scores are divided.
        repetition_penalty: Penalty of repeated tokens; above 1 makes them less likely.
        no_repeat_ngram_size: Length of token sequences that may not occur twice; 0 allows all.
        compression_ratio_threshold: Compression ratio above which a text has failed.
        log_prob_threshold: Mean log probability below which a text has failed.
        no_speech_threshold: Probability of no speech above which a window is skipped as silent.
        condition_on_previous_text: True if the text of a window is the prompt of the next.
        prompt_reset_on_temperature: Temperature above which a text is not used as a prompt.
        prefix: Beginning of the text of the first window.
        suppress_blank: True if a blank at the beginning of a text is suppressed.
        suppress_tokens: Token ids that are never chosen; -1 means all tokens that are not speech.
        without_timestamps: True if the model writes no time stamps, which makes each window one segment.
        max_initial_timestamp: Maximum start of a window's first segment, in seconds.
        prepend_punctuations: Punctuation that belongs to the next word.
        append_punctuations: Punctuation that belongs to the previous word.
        multilingual: True to detect the language of each window.
        vad_parameters: Parameters of the voice activity model, as in ``faster_whisper.vad.VadOptions``.
        split_at_silence: True if, with the voice filter, a segment on both sides of a skipped silence is cut there.
            False keeps it whole, with faster-whisper's times. The option is asrlab's own.
        max_new_tokens: Maximum tokens in a window.
        chunk_length: Length of a window of features in seconds.
        clip_timestamps: Seconds of the parts to transcribe: start, end, start, end, ...; the last end is optional.
        hallucination_silence_threshold: Seconds of silence that are skipped around a probable hallucination.
        language_detection_threshold: Probability of a language above which no further window is examined.
        language_detection_segments: Maximum number of windows to examine.

    Source: faster-whisper 1.2.1, ``WhisperModel.transcribe``.
    """

    best_of: int | None = attrs.field(default=5, validator=positive_int)
    patience: float = attrs.field(default=1, validator=number)
    length_penalty: float = attrs.field(default=1, validator=number)
    repetition_penalty: float = attrs.field(default=1, validator=number)
    no_repeat_ngram_size: int = attrs.field(default=0, validator=_non_negative_int)
    compression_ratio_threshold: float | None = attrs.field(default=2.4, validator=number_or_none)
    log_prob_threshold: float | None = attrs.field(default=-1.0, validator=number_or_none)
    no_speech_threshold: float | None = attrs.field(default=0.6, validator=number_or_none)
    condition_on_previous_text: bool = attrs.field(default=True, validator=boolean)
    prompt_reset_on_temperature: float = attrs.field(default=0.5, validator=number)
    prefix: str | None = attrs.field(default=None, validator=_prefix)
    suppress_blank: bool = attrs.field(default=True, validator=boolean)
    suppress_tokens: list[int] | None = attrs.field(factory=lambda: [-1], converter=_tokens)
    without_timestamps: bool = attrs.field(default=False, validator=boolean)
    max_initial_timestamp: float = attrs.field(default=1.0, validator=number)
    prepend_punctuations: str = attrs.field(default=PREPEND_PUNCTUATIONS, validator=string)
    append_punctuations: str = attrs.field(default=APPEND_PUNCTUATIONS, validator=string)
    multilingual: bool = attrs.field(default=False, validator=boolean)
    vad_parameters: dict[str, Any] | None = attrs.field(default=None, converter=_vad_parameters)
    split_at_silence: bool = attrs.field(default=True, validator=boolean)
    max_new_tokens: int | None = attrs.field(default=None, validator=positive_int)
    chunk_length: int | None = attrs.field(default=None, validator=positive_int)
    clip_timestamps: str | list[float] = attrs.field(default="0", converter=_clips)
    hallucination_silence_threshold: float | None = attrs.field(default=None, validator=number_or_none)
    language_detection_threshold: float | None = attrs.field(default=0.5, validator=number_or_none)
    language_detection_segments: int | None = attrs.field(default=1, validator=positive_int)

    @classmethod
    def from_options(cls, options: TranscribeOptions) -> Settings:
        """Return the settings in *options*, completed with upstream's defaults.

        Raises:
            OptionError: If a value is out of range, or has no effect without another option.
        """
        given = dict(options.engine_options)
        check_word_options(options)
        if given.get("vad_parameters") is not None and not options.vad_filter:
            raise OptionError(
                "vad_parameters apply to the voice filter; give vad_filter=True, too", option="vad_parameters"
            )
        return cls(**given)

    def arguments(self, given: Mapping[str, Any]) -> dict[str, Any]:
        """Return the keyword arguments of ``WhisperModel.transcribe`` for the options that are *given*."""
        return {name: getattr(self, name) for name in given if name not in OWN_OPTIONS}


OWN_OPTIONS = ("split_at_silence",)
"""Options of asrlab that faster-whisper does not have."""
ENGINE_OPTIONS = tuple(sorted(field.name for field in attrs.fields(Settings)))
"""Names that ``engine_options`` accepts."""
