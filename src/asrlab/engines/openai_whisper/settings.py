"""Upstream's options beyond asrlab's own, by upstream's names, with upstream's defaults."""

from __future__ import annotations

from typing import Any

import attrs

from asrlab.engines.option_checks import (
    boolean,
    check_word_options,
    is_number,
    number_or_none,
    positive_int,
    seconds_of_clips,
    string,
)
from asrlab.errors import OptionError
from asrlab.options import TranscribeOptions

PREPENDED = "\"'“¿([{-"
APPENDED = "\"'.。,，!！?？:：”)]}、"  # noqa: RUF001 - full-width punctuation is meant


def _positive(_settings: object, field: attrs.Attribute[Any], value: Any) -> None:
    if value is not None and not (is_number(value) and value > 0):
        raise OptionError(f"{field.name} {value!r} must be a number above 0, or None", option=field.name)


def _fraction(_settings: object, field: attrs.Attribute[Any], value: Any) -> None:
    if value is not None and not (is_number(value) and 0 <= value <= 1):
        raise OptionError(f"{field.name} {value!r} must be a number from 0 to 1, or None", option=field.name)


def _tokens(name: str, value: object) -> str | list[int] | None:
    """Text, token ids, or None; upstream wants a list and no tuple."""
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, list | tuple) and all(type(each) is int for each in value):
        return list(value)
    raise OptionError(f"{name} {value!r} must be text or a list of token ids", option=name)


def _prefix(value: object) -> str | list[int] | None:
    return _tokens("prefix", value)


def _suppressed(value: object) -> list[int] | None:
    tokens = _tokens("suppress_tokens", value)
    if isinstance(tokens, str):
        try:
            return [int(part) for part in tokens.split(",")] if tokens else []
        except ValueError:
            message = f"suppress_tokens {value!r} must be token ids with commas between them"
            raise OptionError(message, option="suppress_tokens") from None
    return tokens


@attrs.frozen(kw_only=True)
class Settings:
    """What decides how windows are decoded. None switches a check off, or leaves a choice to the model.

    Attributes:
        condition_on_previous_text: What was heard in a window is the prompt of the next.
        compression_ratio_threshold: Text that compresses better than this has failed.
        logprob_threshold: Text whose mean log probability is below this has failed.
        no_speech_threshold: A window is skipped as silent above this probability of no speech.
        carry_initial_prompt: The initial prompt stands before every window's prompt.
        clip_timestamps: Seconds: start, end, start, end, ... of what is transcribed; the last end may be left out.
        hallucination_silence_threshold: Seconds of silence that are skipped around what looks made up.
        prepend_punctuations: Belong to the word behind them.
        append_punctuations: Belong to the word before them.
        best_of: Candidates where the temperature is above 0.
        patience: Of the beam search.
        length_penalty: Exponent of Google's penalty, 0 to 1; None is the mean.
        suppress_tokens: Never chosen; -1 stands for those that are no speech.
        suppress_blank: A text does not begin blank.
        prefix: Begins the text of each window; text or tokens.
        max_initial_timestamp: Seconds by which a window's first segment has begun.
        sample_len: The most tokens in a window.
        without_timestamps: Have the model write no time stamps: a segment a window.

    Source: openai-whisper 20250625, ``transcribe`` and ``DecodingOptions``.
    """

    condition_on_previous_text: bool = attrs.field(default=True, validator=boolean)
    compression_ratio_threshold: float | None = attrs.field(default=2.4, validator=number_or_none)
    logprob_threshold: float | None = attrs.field(default=-1.0, validator=number_or_none)
    no_speech_threshold: float | None = attrs.field(default=0.6, validator=number_or_none)
    carry_initial_prompt: bool = attrs.field(default=False, validator=boolean)
    clip_timestamps: tuple[float, ...] = attrs.field(default=(0.0,), converter=seconds_of_clips)
    hallucination_silence_threshold: float | None = attrs.field(default=None, validator=number_or_none)
    prepend_punctuations: str = attrs.field(default=PREPENDED, validator=string)
    append_punctuations: str = attrs.field(default=APPENDED, validator=string)
    best_of: int | None = attrs.field(default=None, validator=positive_int)
    patience: float | None = attrs.field(default=None, validator=_positive)
    length_penalty: float | None = attrs.field(default=None, validator=_fraction)
    suppress_tokens: list[int] | None = attrs.field(factory=lambda: [-1], converter=_suppressed)
    suppress_blank: bool = attrs.field(default=True, validator=boolean)
    prefix: str | list[int] | None = attrs.field(default=None, converter=_prefix)
    max_initial_timestamp: float | None = attrs.field(default=1.0, validator=number_or_none)
    sample_len: int | None = attrs.field(default=None, validator=positive_int)
    without_timestamps: bool = attrs.field(default=False, validator=boolean)

    @classmethod
    def of(cls, options: TranscribeOptions) -> Settings:
        """Those in *options*, and upstream's defaults for the rest.

        Raises:
            OptionError: A value is out of range, or has no effect without another option.
        """
        given = dict(options.engine_options)
        check_word_options(options)
        if given.get("patience") is not None and options.beam_size is None:
            raise OptionError("patience is the beam search's; give beam_size, too", option="patience")
        return cls(**given)

    def clips(self, frames: int) -> list[tuple[int, int]]:
        """Pairs of the frames at which what is transcribed begins and ends; 100 frames a second.

        An end behind the end of the audio is the end of the audio: upstream decodes the silence there for ever.
        """
        points = [round(seconds * 100) for seconds in self.clip_timestamps] or [0]
        points += [frames] * (len(points) % 2)
        return [(start, min(end, frames)) for start, end in zip(points[::2], points[1::2], strict=True)]

    def decoding(self, temperature: float, beam_size: int | None) -> dict[str, Any]:
        """The arguments of upstream's ``DecodingOptions``: a beam at temperature 0, candidates above it."""
        search = {"best_of": self.best_of} if temperature else {"beam_size": beam_size, "patience": self.patience}
        names = (
            "length_penalty",
            "suppress_blank",
            "prefix",
            "max_initial_timestamp",
            "sample_len",
            "without_timestamps",
        )
        return {
            "temperature": temperature,
            "suppress_tokens": self.suppress_tokens and list(self.suppress_tokens),  # upstream adds to the list
            **search,
            **{name: getattr(self, name) for name in names},
        }

    def failed(self, *, avg_logprob: float, compression_ratio: float, no_speech_prob: float) -> bool:
        """Whether the next temperature is to be tried: not where there is no speech."""
        unlikely = self.logprob_threshold is not None and avg_logprob < self.logprob_threshold
        if unlikely and self.no_speech_threshold is not None and no_speech_prob > self.no_speech_threshold:
            return False
        limit = self.compression_ratio_threshold
        return unlikely or (limit is not None and compression_ratio > limit)

    def silent(self, *, avg_logprob: float, no_speech_prob: float) -> bool:
        """Whether a window is skipped: no speech is likely, and the text is not."""
        if self.no_speech_threshold is None or not no_speech_prob > self.no_speech_threshold:
            return False
        return self.logprob_threshold is None or not avg_logprob > self.logprob_threshold


ENGINE_OPTIONS = tuple(sorted(field.name for field in attrs.fields(Settings)))
"""What ``engine_options`` may name."""
