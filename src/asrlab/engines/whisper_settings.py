"""Options of faster-whisper and openai-whisper beyond asrlab's own, and the length of prompts."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Self

import attrs

from asrlab.engines.whisper import APPEND_PUNCTUATIONS, PREPEND_PUNCTUATIONS
from asrlab.errors import OptionError
from asrlab.options import TextToShorten, TranscribeOptions
from asrlab.upstream import import_upstream

MIN_TEXT_TOKENS = 100
"""Tokens reserved for the text of a window: 30 s of fast speech with its time stamps."""
SPECIAL_TOKENS = 5
"""Start of transcript, language, task, no time stamps or the first time stamp, and start of prompt."""
_WORD_OPTIONS = ("prepend_punctuations", "append_punctuations", "hallucination_silence_threshold")

type _Validator = Callable[[object, attrs.Attribute[Any], Any], None]


def _must_be(expected: str, accepts: Callable[[Any], bool], *, or_none: bool = False) -> _Validator:
    """Return an attrs validator that raises ``OptionError`` for values that *accepts* refuses."""

    def check(_settings: object, field: attrs.Attribute[Any], value: Any) -> None:
        if not (accepts(value) or (or_none and value is None)):
            message = f"{field.name} {value!r} must be {expected}"
            raise OptionError(message, option=field.name)

    return check


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _is_tokens(value: object) -> bool:
    return isinstance(value, list | tuple) and all(type(token) is int for token in value)


_boolean = _must_be("True or False", lambda value: isinstance(value, bool))
_number = _must_be("a number", _is_number)
_number_or_none = _must_be("a number or None", _is_number, or_none=True)
_positive = _must_be("a number above 0, or None", lambda value: _is_number(value) and value > 0, or_none=True)
_fraction = _must_be("a number from 0 to 1, or None", lambda value: _is_number(value) and 0 <= value <= 1, or_none=True)
_count = _must_be("a whole number of at least 0", lambda value: type(value) is int and value >= 0)
_positive_int = _must_be(
    "a whole number of at least 1, or None", lambda value: type(value) is int and value >= 1, or_none=True
)
_text = _must_be("text", lambda value: isinstance(value, str))
_text_or_none = _must_be("text", lambda value: isinstance(value, str), or_none=True)
_text_or_tokens = _must_be(
    "text or a list of token ids", lambda value: isinstance(value, str) or _is_tokens(value), or_none=True
)
_tokens = _must_be("a list of token ids, or None", _is_tokens, or_none=True)


def _to_list(value: Any) -> Any:
    """Return a tuple as a list, as upstream expects."""
    return list(value) if isinstance(value, tuple) else value


def _parse_clips(value: Any) -> tuple[float, ...]:
    """Return the seconds in Whisper's ``clip_timestamps``, which is text with commas or a list."""
    parts = [part for part in value.split(",") if value] if isinstance(value, str) else value
    try:
        seconds = tuple(float(part) for part in parts)
    except (TypeError, ValueError):
        seconds = (-1.0,)
    if not all(0 <= second < float("inf") for second in seconds):
        raise OptionError(
            f"clip_timestamps {value!r} must be seconds of at least 0: start,end,start,end,... as text or a list",
            option="clip_timestamps",
        )
    return seconds


def _clips_as_given(value: Any) -> str | list[float]:
    seconds = _parse_clips(value)
    return value if isinstance(value, str) else list(seconds)


def _parse_suppressed(value: Any) -> Any:
    """Return the token ids in openai-whisper's ``suppress_tokens``, which may be text with commas."""
    if not isinstance(value, str):
        return _to_list(value)
    try:
        return [int(part) for part in value.split(",")] if value else []
    except ValueError:
        message = f"suppress_tokens {value!r} must be token ids separated by commas"
        raise OptionError(message, option="suppress_tokens") from None


def _vad_parameters(value: Any) -> dict[str, Any] | None:
    if value is None:
        return None
    given: dict[str, Any] = dict(value)
    known = import_upstream("faster_whisper.vad").VadOptions.__dataclass_fields__
    bad = [name for name, number in given.items() if name not in known or not _is_number(number)]
    if bad:
        names = ", ".join(sorted({*known} - {"max_speech_duration_s"}))
        raise OptionError(
            f"vad_parameters {bad[0]}={given[bad[0]]!r} must be a number with one of these names: {names}",
            option="vad_parameters",
        )
    return given


@attrs.frozen(kw_only=True)
class WhisperSettings:
    """Options for decoding windows that both packages have. None disables a check, or leaves a choice to the model.

    Attributes:
        condition_on_previous_text: True if the text of a window is the prompt of the next.
        compression_ratio_threshold: Compression ratio above which a text has failed.
        no_speech_threshold: Probability of no speech above which a window is skipped as silent.
        suppress_blank: True if a blank at the beginning of a text is suppressed.
        without_timestamps: True if the model writes no time stamps, which makes each window one segment.
        prepend_punctuations: Punctuation that belongs to the next word.
        append_punctuations: Punctuation that belongs to the previous word.
        hallucination_silence_threshold: Seconds of silence that are skipped around a probable hallucination.
    """

    condition_on_previous_text: bool = attrs.field(default=True, validator=_boolean)
    compression_ratio_threshold: float | None = attrs.field(default=2.4, validator=_number_or_none)
    no_speech_threshold: float | None = attrs.field(default=0.6, validator=_number_or_none)
    suppress_blank: bool = attrs.field(default=True, validator=_boolean)
    without_timestamps: bool = attrs.field(default=False, validator=_boolean)
    prepend_punctuations: str = attrs.field(default=PREPEND_PUNCTUATIONS, validator=_text)
    append_punctuations: str = attrs.field(default=APPEND_PUNCTUATIONS, validator=_text)
    hallucination_silence_threshold: float | None = attrs.field(default=None, validator=_number_or_none)

    @classmethod
    def names(cls) -> tuple[str, ...]:
        """Return the names that ``engine_options`` accepts."""
        return tuple(sorted(field.name for field in attrs.fields(cls)))

    @classmethod
    def from_options(cls, options: TranscribeOptions) -> Self:
        """Return the settings in *options*, completed with upstream's defaults.

        Raises:
            OptionError: If a value is out of range, or has no effect without another option.
        """
        given = dict(options.engine_options)
        unused = next((name for name in _WORD_OPTIONS if name in given and not options.word_timestamps), None)
        if unused:
            message = f"{unused} applies to word timestamps; give word_timestamps=True, too"
            raise OptionError(message, option=unused)
        if given.get("vad_parameters") is not None and not options.vad_filter:
            message = "vad_parameters apply to the voice filter; give vad_filter=True, too"
            raise OptionError(message, option="vad_parameters")
        return cls(**given)


@attrs.frozen(kw_only=True)
class FasterWhisperSettings(WhisperSettings):
    """Options of faster-whisper.

    Attributes:
        best_of: Number of candidates at temperatures above 0.
        patience: Patience of the beam search.
        length_penalty: Exponent of the length by which scores are divided.
        repetition_penalty: Penalty of repeated tokens; above 1 makes them less likely.
        no_repeat_ngram_size: Length of token sequences that may not occur twice; 0 allows all.
        log_prob_threshold: Mean log probability below which a text has failed.
        prompt_reset_on_temperature: Temperature above which a text is not used as a prompt.
        prefix: Beginning of the text of the first window.
        suppress_tokens: Token ids that are never chosen; -1 means all tokens that are not speech.
        max_initial_timestamp: Maximum start of a window's first segment, in seconds.
        multilingual: True to detect the language of each window.
        vad_parameters: Parameters of the voice activity model, as in ``faster_whisper.vad.VadOptions``.
        split_at_silence: True if, with the voice filter, a segment on both sides of a skipped silence is cut there.
            False keeps it whole, with faster-whisper's times. The option is asrlab's own.
        max_new_tokens: Maximum tokens in a window.
        chunk_length: Length of a window of features in seconds.
        clip_timestamps: Seconds of the parts to transcribe: start, end, start, end, ...; the last end is optional.
        language_detection_threshold: Probability of a language above which no further window is examined.
        language_detection_segments: Maximum number of windows to examine.

    Source: faster-whisper 1.2.1, ``WhisperModel.transcribe``.
    """

    best_of: int | None = attrs.field(default=5, validator=_positive_int)
    patience: float = attrs.field(default=1, validator=_number)
    length_penalty: float = attrs.field(default=1, validator=_number)
    repetition_penalty: float = attrs.field(default=1, validator=_number)
    no_repeat_ngram_size: int = attrs.field(default=0, validator=_count)
    log_prob_threshold: float | None = attrs.field(default=-1.0, validator=_number_or_none)
    prompt_reset_on_temperature: float = attrs.field(default=0.5, validator=_number)
    prefix: str | None = attrs.field(default=None, validator=_text_or_none)
    suppress_tokens: list[int] | None = attrs.field(factory=lambda: [-1], converter=_to_list, validator=_tokens)
    max_initial_timestamp: float = attrs.field(default=1.0, validator=_number)
    multilingual: bool = attrs.field(default=False, validator=_boolean)
    vad_parameters: dict[str, Any] | None = attrs.field(default=None, converter=_vad_parameters)
    split_at_silence: bool = attrs.field(default=True, validator=_boolean)
    max_new_tokens: int | None = attrs.field(default=None, validator=_positive_int)
    chunk_length: int | None = attrs.field(default=None, validator=_positive_int)
    clip_timestamps: str | list[float] = attrs.field(default="0", converter=_clips_as_given)
    language_detection_threshold: float | None = attrs.field(default=0.5, validator=_number_or_none)
    language_detection_segments: int | None = attrs.field(default=1, validator=_positive_int)


@attrs.frozen(kw_only=True)
class OpenAIWhisperSettings(WhisperSettings):
    """Options of openai-whisper.

    Attributes:
        logprob_threshold: Mean log probability below which a text has failed.
        carry_initial_prompt: True if the initial prompt precedes every window's prompt.
        clip_timestamps: Seconds of the parts to transcribe: start, end, start, end, ...; the last end is optional.
        best_of: Number of candidates at temperatures above 0.
        patience: Patience of the beam search.
        length_penalty: Exponent of Google's penalty, 0 to 1; None uses the mean.
        suppress_tokens: Token ids that are never chosen; -1 means all tokens that are not speech.
        prefix: Beginning of the text of each window, as text or tokens.
        max_initial_timestamp: Maximum start of a window's first segment, in seconds.
        sample_len: Maximum tokens in a window.

    Source: openai-whisper 20250625, ``transcribe`` and ``DecodingOptions``.
    """

    logprob_threshold: float | None = attrs.field(default=-1.0, validator=_number_or_none)
    carry_initial_prompt: bool = attrs.field(default=False, validator=_boolean)
    clip_timestamps: tuple[float, ...] = attrs.field(default=(0.0,), converter=_parse_clips)
    best_of: int | None = attrs.field(default=None, validator=_positive_int)
    patience: float | None = attrs.field(default=None, validator=_positive)
    length_penalty: float | None = attrs.field(default=None, validator=_fraction)
    suppress_tokens: list[int] | None = attrs.field(
        factory=lambda: [-1], converter=_parse_suppressed, validator=_text_or_tokens
    )
    prefix: str | list[int] | None = attrs.field(default=None, converter=_to_list, validator=_text_or_tokens)
    max_initial_timestamp: float | None = attrs.field(default=1.0, validator=_number_or_none)
    sample_len: int | None = attrs.field(default=None, validator=_positive_int)

    @classmethod
    def from_options(cls, options: TranscribeOptions) -> Self:
        """Return the settings as the base class does; refuse ``patience`` without ``beam_size``."""
        if dict(options.engine_options).get("patience") is not None and options.beam_size is None:
            raise OptionError("patience applies to the beam search; give beam_size, too", option="patience")
        return super().from_options(options)

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
        return {
            "temperature": temperature,
            "suppress_tokens": self.suppress_tokens and [*self.suppress_tokens],  # upstream extends the list
            "length_penalty": self.length_penalty,
            "suppress_blank": self.suppress_blank,
            "prefix": self.prefix,
            "max_initial_timestamp": self.max_initial_timestamp,
            "sample_len": self.sample_len,
            "without_timestamps": self.without_timestamps,
            **search,
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


def check_prompt_lengths(
    prompts: Mapping[str, str | Sequence[int] | None],
    *,
    encode: Callable[[str], Sequence[int]],
    context: int,
    new_tokens: tuple[str, int | None],
    model: str,
) -> None:
    """Check that each of *prompts* fits the model, and that together they leave room for the text of a window.

    A single prompt may take less than half of the context, where the engine's package cuts prompts.

    Args:
        prompts: Text or tokens by the name of the option. The engine's package shortens a `TextToShorten`.
        encode: Function that returns the tokens of a prompt as the engine's package encodes it.
        context: All tokens that the model has for one window: 448 in every Whisper.
        new_tokens: Name of the option that limits the text of a window, and its value; None if it is not given.
        model: Name of the model, for messages.

    Raises:
        OptionError: If a prompt is too long; the message has the option, its tokens and the limit.
    """
    counts = {
        option: len(encode(f" {prompt.strip()}") if isinstance(prompt, str) else prompt)
        for option, prompt in prompts.items()
        if prompt and not isinstance(prompt, TextToShorten)
    }
    max_prompt = context // 2 - 1
    for option, count in counts.items():
        if count > max_prompt:
            raise OptionError(
                f"{option} has {count} tokens; {model} takes {max_prompt} at most: shorten it to about "
                f"{max_prompt / count:.0%} of its length",
                option=option,
            )
    name, limit = new_tokens
    text_tokens = MIN_TEXT_TOKENS if limit is None else limit
    if sum(counts.values()) + SPECIAL_TOKENS + text_tokens <= context:
        return
    parts = [f"{option} ({count} tokens)" for option, count in counts.items()]
    if limit is None:
        parts.append(f"the {text_tokens} tokens for the text of a window")
        advice = "shorten them" if len(counts) > 1 else "shorten it"
    else:
        parts.append(f"{name}={limit}")
        advice = f"lower {name}" + (" or shorten the rest" if counts else "")
    raise OptionError(
        f"{' and '.join(parts)} are too many together: {model} has {context} tokens for a window, "
        f"{SPECIAL_TOKENS} of them special; {advice}",
        option=next(iter(counts), name) if limit is None else name,
    )
