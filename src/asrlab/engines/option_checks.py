"""Checks of the values of engine options, as validators for the attrs classes that hold them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import attrs

from asrlab.errors import OptionError
from asrlab.options import TextToShorten, TranscribeOptions

_OF_WORDS = ("prepend_punctuations", "append_punctuations", "hallucination_silence_threshold")


def is_number(value: object) -> bool:
    """Whether *value* is a number and no truth value."""
    return isinstance(value, int | float) and not isinstance(value, bool)


def boolean(_settings: object, field: attrs.Attribute[Any], value: object) -> None:
    """True or False."""
    if not isinstance(value, bool):
        raise _refused(field, value, "True or False")


def number(_settings: object, field: attrs.Attribute[Any], value: object) -> None:
    """Any number."""
    if not is_number(value):
        raise _refused(field, value, "a number")


def number_or_none(_settings: object, field: attrs.Attribute[Any], value: object) -> None:
    """Any number, or None."""
    if value is not None and not is_number(value):
        raise _refused(field, value, "a number or None")


def positive_int(_settings: object, field: attrs.Attribute[Any], value: object) -> None:
    """A whole number from 1 up, or None."""
    if value is not None and not (type(value) is int and value >= 1):
        raise _refused(field, value, "a whole number from 1 up, or None")


def string(_settings: object, field: attrs.Attribute[Any], value: object) -> None:
    """Text."""
    if not isinstance(value, str):
        raise _refused(field, value, "text")


def seconds_of_clips(value: Any) -> tuple[float, ...]:
    """Whisper's ``clip_timestamps``, as text with commas or a list, as seconds."""
    parts = [part for part in value.split(",") if value] if isinstance(value, str) else value
    try:
        seconds = tuple(float(part) for part in parts)
    except (TypeError, ValueError):
        seconds = (-1.0,)
    if not all(0 <= each < float("inf") for each in seconds):
        raise OptionError(
            f"clip_timestamps {value!r} must be seconds from 0 up: start,end,start,end,... as text or a list",
            option="clip_timestamps",
        )
    return seconds


def check_word_options(options: TranscribeOptions) -> None:
    """Refuse Whisper's options about words where words are not timed."""
    given = dict(options.engine_options)
    idle = [name for name in _OF_WORDS if name in given and not options.word_timestamps]
    if idle:
        raise OptionError(f"{idle[0]} is about words; give word_timestamps=True, too", option=idle[0])


def _refused(field: attrs.Attribute[Any], value: object, wanted: str) -> OptionError:
    return OptionError(f"{field.name} {value!r} must be {wanted}", option=field.name)


MIN_TEXT_TOKENS = 100
"""What must remain for the text of a window: 30 s of fast speech with its time stamps."""


@attrs.frozen(kw_only=True)
class TokenBudget:
    """How many tokens a model has for one window.

    Attributes:
        context: All of them: 448 in every Whisper.
        special: Those that the model itself puts between the given texts and the text of the window.
        new_tokens: The option that limits the text of a window, and its value; None where it is not given.
    """

    context: int
    special: int
    new_tokens: tuple[str, int | None]

    @property
    def longest(self) -> int:
        """The most tokens of one given text: less than half of the context, where upstream cuts."""
        return self.context // 2 - 1


def refuse_long_texts(
    texts: Mapping[str, str | Sequence[int] | None],
    *,
    encode: Callable[[str], Sequence[int]],
    budget: TokenBudget,
    model: str,
) -> None:
    """Refuse *texts* of which one is too long for the model, or which together leave no room for what is heard.

    Args:
        texts: What was given, by the name of its option: text or tokens. A `TextToShorten` is left to upstream.
        encode: Gives the tokens of a text as upstream puts it before the window's.
        budget: The room that there is.
        model: The model's name, for messages.

    Raises:
        OptionError: Naming the option, how many tokens were given and how many there may be.
    """
    counts = {
        option: len(encode(f" {string.strip()}") if isinstance(string, str) else string)
        for option, string in texts.items()
        if string and not isinstance(string, TextToShorten)
    }
    for option, positive_int in counts.items():
        if positive_int > budget.longest:
            raise OptionError(
                f"{option} has {positive_int} tokens; {model} takes {budget.longest} at most: shorten it to about "
                f"{budget.longest / positive_int:.0%} of its length",
                option=option,
            )
    name, limit = budget.new_tokens
    wanted = MIN_TEXT_TOKENS if limit is None else limit
    if sum(counts.values()) + budget.special + wanted <= budget.context:
        return
    named = [f"{option} ({positive_int} tokens)" for option, positive_int in counts.items()]
    if limit is None:
        needs = f"the {wanted} that the text of a window needs"
        cure = "shorten them" if len(named) > 1 else "shorten it"
    else:
        needs = f"{name}={limit}"
        cure = f"lower {name}" + (" or shorten the rest" if named else "")
    raise OptionError(
        f"{' and '.join([*named, needs])} do not fit together: {model} has {budget.context} tokens for a window, "
        f"{budget.special} of them its own; {cure}",
        option=next(iter(counts), name) if limit is None else name,
    )
