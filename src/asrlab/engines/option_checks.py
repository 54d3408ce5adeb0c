"""Checks of the values of engine options, as validators for the attrs classes that hold them."""

from __future__ import annotations

from typing import Any

import attrs

from asrlab.errors import OptionError
from asrlab.options import TranscribeOptions

__all__ = ["check_of_words", "count", "flag", "is_number", "number", "number_or_none", "seconds_of_clips", "text"]

_OF_WORDS = ("prepend_punctuations", "append_punctuations", "hallucination_silence_threshold")


def is_number(value: object) -> bool:
    """Whether *value* is a number and no truth value."""
    return isinstance(value, int | float) and not isinstance(value, bool)


def flag(_settings: object, field: attrs.Attribute[Any], value: object) -> None:
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


def count(_settings: object, field: attrs.Attribute[Any], value: object) -> None:
    """A whole number from 1 up, or None."""
    if value is not None and not (type(value) is int and value >= 1):
        raise _refused(field, value, "a whole number from 1 up, or None")


def text(_settings: object, field: attrs.Attribute[Any], value: object) -> None:
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


def check_of_words(options: TranscribeOptions) -> None:
    """Refuse Whisper's options about words where words are not timed."""
    given = dict(options.engine_options)
    idle = [name for name in _OF_WORDS if name in given and not options.word_timestamps]
    if idle:
        raise OptionError(f"{idle[0]} is about words; give word_timestamps=True, too", option=idle[0])


def _refused(field: attrs.Attribute[Any], value: object, wanted: str) -> OptionError:
    return OptionError(f"{field.name} {value!r} must be {wanted}", option=field.name)
