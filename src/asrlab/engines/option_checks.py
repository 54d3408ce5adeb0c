"""Checks of engine options: attrs validators for their values, and the length of prompts."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import attrs

from asrlab.errors import OptionError
from asrlab.options import TextToShorten, TranscribeOptions

_WORD_OPTIONS = ("prepend_punctuations", "append_punctuations", "hallucination_silence_threshold")


def is_number(value: object) -> bool:
    """Return whether *value* is a number other than a boolean."""
    return isinstance(value, int | float) and not isinstance(value, bool)


def boolean(_settings: object, field: attrs.Attribute[Any], value: object) -> None:
    """Check that *value* is True or False."""
    if not isinstance(value, bool):
        raise _value_error(field, value, "True or False")


def number(_settings: object, field: attrs.Attribute[Any], value: object) -> None:
    """Check that *value* is a number."""
    if not is_number(value):
        raise _value_error(field, value, "a number")


def number_or_none(_settings: object, field: attrs.Attribute[Any], value: object) -> None:
    """Check that *value* is a number or None."""
    if value is not None and not is_number(value):
        raise _value_error(field, value, "a number or None")


def positive_int(_settings: object, field: attrs.Attribute[Any], value: object) -> None:
    """Check that *value* is a whole number of at least 1, or None."""
    if value is not None and not (type(value) is int and value >= 1):
        raise _value_error(field, value, "a whole number of at least 1, or None")


def string(_settings: object, field: attrs.Attribute[Any], value: object) -> None:
    """Check that *value* is text."""
    if not isinstance(value, str):
        raise _value_error(field, value, "text")


def parse_clip_timestamps(value: Any) -> tuple[float, ...]:
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


def check_word_options(options: TranscribeOptions) -> None:
    """Raise ``OptionError`` for Whisper's options about words if words are not timed."""
    given = dict(options.engine_options)
    unused = [name for name in _WORD_OPTIONS if name in given and not options.word_timestamps]
    if unused:
        message = f"{unused[0]} applies to word timestamps; give word_timestamps=True, too"
        raise OptionError(message, option=unused[0])


def _value_error(field: attrs.Attribute[Any], value: object, expected: str) -> OptionError:
    return OptionError(f"{field.name} {value!r} must be {expected}", option=field.name)


MIN_TEXT_TOKENS = 100
"""Tokens reserved for the text of a window: 30 s of fast speech with its time stamps."""


@attrs.frozen(kw_only=True)
class TokenBudget:
    """Tokens that a model has for one window.

    Attributes:
        context: All tokens: 448 in every Whisper.
        special: Special tokens that the model puts between the prompt and the text of the window.
        new_tokens: Name of the option that limits the text of a window, and its value; None if it is not given.
    """

    context: int
    special: int
    new_tokens: tuple[str, int | None]

    @property
    def max_prompt(self) -> int:
        """Maximum tokens of one prompt: less than half of the context, where the engine's package cuts prompts."""
        return self.context // 2 - 1


def check_prompt_lengths(
    prompts: Mapping[str, str | Sequence[int] | None],
    *,
    encode: Callable[[str], Sequence[int]],
    budget: TokenBudget,
    model: str,
) -> None:
    """Check that each of *prompts* fits the model, and that together they leave room for the text of a window.

    Args:
        prompts: Text or tokens by the name of the option. The engine's package shortens a `TextToShorten`.
        encode: Function that returns the tokens of a prompt as the engine's package encodes it.
        budget: Tokens of the model.
        model: Name of the model, for messages.

    Raises:
        OptionError: If a prompt is too long; the message has the option, its tokens and the limit.
    """
    counts = {
        option: len(encode(f" {prompt.strip()}") if isinstance(prompt, str) else prompt)
        for option, prompt in prompts.items()
        if prompt and not isinstance(prompt, TextToShorten)
    }
    for option, count in counts.items():
        if count > budget.max_prompt:
            raise OptionError(
                f"{option} has {count} tokens; {model} takes {budget.max_prompt} at most: shorten it to about "
                f"{budget.max_prompt / count:.0%} of its length",
                option=option,
            )
    name, limit = budget.new_tokens
    text_tokens = MIN_TEXT_TOKENS if limit is None else limit
    if sum(counts.values()) + budget.special + text_tokens <= budget.context:
        return
    parts = [f"{option} ({count} tokens)" for option, count in counts.items()]
    if limit is None:
        parts.append(f"the {text_tokens} tokens for the text of a window")
        advice = "shorten them" if len(counts) > 1 else "shorten it"
    else:
        parts.append(f"{name}={limit}")
        advice = f"lower {name}" + (" or shorten the rest" if counts else "")
    raise OptionError(
        f"{' and '.join(parts)} are too many together: {model} has {budget.context} tokens for a window, "
        f"{budget.special} of them special; {advice}",
        option=next(iter(counts), name) if limit is None else name,
    )
