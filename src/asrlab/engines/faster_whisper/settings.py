"""Upstream's options beyond asrlab's own, by upstream's names, with upstream's defaults."""

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
    positive_int,
    seconds_of_clips,
    string,
)
from asrlab.errors import OptionError
from asrlab.options import TranscribeOptions

PREPENDED = "\"'“¿([{-"
APPENDED = "\"'.。,，!！?？:：”)]}、"  # noqa: RUF001 - full-width punctuation is meant
"""Source: faster-whisper, ``transcribe``: ``prepend_punctuations`` and ``append_punctuations``."""
_VAD = {field for field in VadOptions.__dataclass_fields__ if field != "max_speech_duration_s"}


def _clips(value: Any) -> str | list[float]:
    seconds = seconds_of_clips(value)
    return value if isinstance(value, str) else list(seconds)


def _tokens(value: Any) -> list[int] | None:
    if value is not None and not (isinstance(value, list | tuple) and all(type(each) is int for each in value)):
        raise OptionError(f"suppress_tokens {value!r} must be a list of token ids, or None", option="suppress_tokens")
    return value if value is None else list(value)


def _voice(value: Any) -> dict[str, Any] | None:
    if value is None:
        return None
    given: dict[str, Any] = dict(value)
    bad = [name for name, each in given.items() if name not in {*_VAD, "max_speech_duration_s"} or not is_number(each)]
    if bad:
        raise OptionError(
            f"vad_parameters {bad[0]}={given[bad[0]]!r}: there are {', '.join(sorted(_VAD))}, each a number",
            option="vad_parameters",
        )
    return given


def _natural(_settings: object, field: attrs.Attribute[int], value: object) -> None:
    if type(value) is not int or value < 0:
        raise OptionError(f"{field.name} {value!r} must be a whole number from 0 up", option=field.name)


def _prefix(_settings: object, field: attrs.Attribute[str | None], value: object) -> None:
    if value is not None:
        string(_settings, field, value)


@attrs.frozen(kw_only=True)
class Settings:
    """What decides how windows are decoded. None switches a check off, or leaves a choice to the model.

    Attributes:
        best_of: Candidates where the temperature is above 0.
        patience: Of the beam search.
        length_penalty: Exponent of the length that scores are divided by.
        repetition_penalty: Above 1 makes tokens that came before less likely.
        no_repeat_ngram_size: No run of so many tokens comes twice; 0 allows it.
        compression_ratio_threshold: Text that compresses better than this has failed.
        log_prob_threshold: Text whose mean log probability is below this has failed.
        no_speech_threshold: A window is skipped as silent above this probability of no speech.
        condition_on_previous_text: What was heard in a window is the prompt of the next.
        prompt_reset_on_temperature: Not where it was heard at a temperature above this.
        prefix: Begins the text of the first window.
        suppress_blank: A text does not begin blank.
        suppress_tokens: Never chosen; -1 stands for those that are no speech.
        without_timestamps: Have the model write no time stamps: a segment a window.
        max_initial_timestamp: Seconds by which a window's first segment has begun.
        prepend_punctuations: Belong to the word behind them.
        append_punctuations: Belong to the word before them.
        multilingual: Detect the language of each window.
        vad_parameters: Of the voice activity model, as ``faster_whisper.vad.VadOptions`` has them.
        split_at_silence: With the voice filter, cut a segment that lies on both sides of a silence that was left out.
            False leaves it whole, with the times that faster-whisper gives it. It is asrlab's own option.
        max_new_tokens: The most tokens in a window.
        chunk_length: Seconds of a window of features.
        clip_timestamps: Seconds: start, end, start, end, ... of what is transcribed; the last end may be left out.
        hallucination_silence_threshold: Seconds of silence that are skipped around what looks made up.
        language_detection_threshold: Probability of a language above which no further window is asked.
        language_detection_segments: Windows that may be asked.

    Source: faster-whisper 1.2.1, ``WhisperModel.transcribe``.
    """

    best_of: int | None = attrs.field(default=5, validator=positive_int)
    patience: float = attrs.field(default=1, validator=number)
    length_penalty: float = attrs.field(default=1, validator=number)
    repetition_penalty: float = attrs.field(default=1, validator=number)
    no_repeat_ngram_size: int = attrs.field(default=0, validator=_natural)
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
    prepend_punctuations: str = attrs.field(default=PREPENDED, validator=string)
    append_punctuations: str = attrs.field(default=APPENDED, validator=string)
    multilingual: bool = attrs.field(default=False, validator=boolean)
    vad_parameters: dict[str, Any] | None = attrs.field(default=None, converter=_voice)
    split_at_silence: bool = attrs.field(default=True, validator=boolean)
    max_new_tokens: int | None = attrs.field(default=None, validator=positive_int)
    chunk_length: int | None = attrs.field(default=None, validator=positive_int)
    clip_timestamps: str | list[float] = attrs.field(default="0", converter=_clips)
    hallucination_silence_threshold: float | None = attrs.field(default=None, validator=number_or_none)
    language_detection_threshold: float | None = attrs.field(default=0.5, validator=number_or_none)
    language_detection_segments: int | None = attrs.field(default=1, validator=positive_int)

    @classmethod
    def of(cls, options: TranscribeOptions) -> Settings:
        """Those in *options*, and upstream's defaults for the rest.

        Raises:
            OptionError: A value is out of range, or has no effect without another option.
        """
        given = dict(options.engine_options)
        check_word_options(options)
        if given.get("vad_parameters") is not None and not options.vad_filter:
            raise OptionError("vad_parameters are the filter's; give vad_filter=True, too", option="vad_parameters")
        return cls(**given)

    def arguments(self, given: Mapping[str, Any]) -> dict[str, Any]:
        """The keyword arguments of ``WhisperModel.transcribe`` for those that are *given*; the rest is its default."""
        return {name: getattr(self, name) for name in given if name not in OWN_OPTIONS}


OWN_OPTIONS = ("split_at_silence",)
"""Those of asrlab, which faster-whisper does not know."""
ENGINE_OPTIONS = tuple(sorted(field.name for field in attrs.fields(Settings)))
"""What ``engine_options`` may name."""
