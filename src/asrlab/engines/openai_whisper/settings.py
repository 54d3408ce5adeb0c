"""Options of openai-whisper beyond asrlab's own, with its names and defaults."""

from __future__ import annotations

from typing import Any

import attrs

from asrlab.engines.option_checks import (
    boolean,
    check_word_options,
    is_number,
    number_or_none,
    parse_clip_timestamps,
    positive_int,
    string,
)
from asrlab.engines.whisper import APPEND_PUNCTUATIONS, PREPEND_PUNCTUATIONS
from asrlab.errors import OptionError
from asrlab.options import TranscribeOptions


def _positive(_settings: object, field: attrs.Attribute[Any], value: Any) -> None:
    if value is not None and not (is_number(value) and value > 0):
        raise OptionError(f"{field.name} {value!r} must be a number above 0, or None", option=field.name)


def _fraction(_settings: object, field: attrs.Attribute[Any], value: Any) -> None:
    if value is not None and not (is_number(value) and 0 <= value <= 1):
        raise OptionError(f"{field.name} {value!r} must be a number from 0 to 1, or None", option=field.name)


def _tokens(name: str, value: object) -> str | list[int] | None:
    """Return *value* if it is text, a list of token ids, or None; a tuple becomes a list, as upstream expects."""
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, list | tuple) and all(type(token) is int for token in value):
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
            message = f"suppress_tokens {value!r} must be token ids separated by commas"
            raise OptionError(message, option="suppress_tokens") from None
    return tokens


@attrs.frozen(kw_only=True)
class Settings:
    """Options for decoding windows. None disables a check, or leaves a choice to the model.

    Attributes:
        condition_on_previous_text: True if the text of a window is the prompt of the next.
        compression_ratio_threshold: Compression ratio above which a text has failed.
        logprob_threshold: Mean log probability below which a text has failed.
        no_speech_threshold: Probability of no speech above which a window is skipped as silent.
        carry_initial_prompt: True if the initial prompt precedes every window's prompt.
        clip_timestamps: Seconds of the parts to transcribe: start, end, start, end, ...; the last end is optional.
        hallucination_silence_threshold: Seconds of silence that are skipped around a probable hallucination.
        prepend_punctuations: Punctuation that belongs to the next word.
        append_punctuations: Punctuation that belongs to the previous word.
        best_of: Number of candidates at temperatures above 0.
        patience: Patience of the beam search.
        length_penalty: Exponent of Google's penalty, 0 to 1; None uses the mean.
        suppress_tokens: Token ids that are never chosen; -1 means all tokens that are not speech.
        suppress_blank: True if a blank at the beginning of a text is suppressed.
        prefix: Beginning of the text of each window, as text or tokens.
        max_initial_timestamp: Maximum start of a window's first segment, in seconds.
        sample_len: Maximum tokens in a window.
        without_timestamps: True if the model writes no time stamps, which makes each window one segment.

    Source: openai-whisper 20250625, ``transcribe`` and ``DecodingOptions``.
    """

    condition_on_previous_text: bool = attrs.field(default=True, validator=boolean)
    compression_ratio_threshold: float | None = attrs.field(default=2.4, validator=number_or_none)
    logprob_threshold: float | None = attrs.field(default=-1.0, validator=number_or_none)
    no_speech_threshold: float | None = attrs.field(default=0.6, validator=number_or_none)
    carry_initial_prompt: bool = attrs.field(default=False, validator=boolean)
    clip_timestamps: tuple[float, ...] = attrs.field(default=(0.0,), converter=parse_clip_timestamps)
    hallucination_silence_threshold: float | None = attrs.field(default=None, validator=number_or_none)
    prepend_punctuations: str = attrs.field(default=PREPEND_PUNCTUATIONS, validator=string)
    append_punctuations: str = attrs.field(default=APPEND_PUNCTUATIONS, validator=string)
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
    def from_options(cls, options: TranscribeOptions) -> Settings:
        """Return the settings in *options*, completed with upstream's defaults.

        Raises:
            OptionError: If a value is out of range, or has no effect without another option.
        """
        given = dict(options.engine_options)
        check_word_options(options)
        if given.get("patience") is not None and options.beam_size is None:
            raise OptionError("patience applies to the beam search; give beam_size, too", option="patience")
        return cls(**given)

    def clips(self, frames: int) -> list[tuple[int, int]]:
        """Return the first and last frame of each part to transcribe, at 100 frames a second.

        An end after the end of the audio becomes the end of the audio; upstream would decode the silence forever.
        """
        points = [round(seconds * 100) for seconds in self.clip_timestamps] or [0]
        points += [frames] * (len(points) % 2)
        return [(start, min(end, frames)) for start, end in zip(points[::2], points[1::2], strict=True)]

    def decoding_arguments(self, temperature: float, beam_size: int | None) -> dict[str, Any]:
        """Return the arguments of upstream's ``DecodingOptions``: a beam at temperature 0, candidates above."""
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
            "suppress_tokens": self.suppress_tokens
            and list(self.suppress_tokens),  # a copy, because upstream extends the list
            **search,
            **{name: getattr(self, name) for name in names},
        }

    def has_failed(self, *, avg_logprob: float, compression_ratio: float, no_speech_prob: float) -> bool:
        """Return whether to try the next temperature; never if there is no speech."""
        is_unlikely = self.logprob_threshold is not None and avg_logprob < self.logprob_threshold
        if is_unlikely and self.no_speech_threshold is not None and no_speech_prob > self.no_speech_threshold:
            return False
        limit = self.compression_ratio_threshold
        return is_unlikely or (limit is not None and compression_ratio > limit)

    def is_silent(self, *, avg_logprob: float, no_speech_prob: float) -> bool:
        """Return whether to skip a window because speech is unlikely, and the text, too."""
        if self.no_speech_threshold is None or not no_speech_prob > self.no_speech_threshold:
            return False
        return self.logprob_threshold is None or not avg_logprob > self.logprob_threshold


ENGINE_OPTIONS = tuple(sorted(field.name for field in attrs.fields(Settings)))
"""Names that ``engine_options`` accepts."""
