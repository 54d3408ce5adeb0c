"""Checks of the values of engine options, as validators for the attrs classes that hold them."""

from __future__ import annotations

from typing import Any

import attrs

from asrlab.errors import OptionError

__all__ = ["count", "flag", "is_number", "number", "number_or_none", "text"]


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


def _refused(field: attrs.Attribute[Any], value: object, wanted: str) -> OptionError:
    return OptionError(f"{field.name} {value!r} must be {wanted}", option=field.name)
