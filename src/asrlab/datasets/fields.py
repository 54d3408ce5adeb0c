"""The values of a JSON object by key, each checked when it is taken out."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import attrs

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from asrlab.errors import DatasetError

__all__ = ["Fields", "json_type"]


@attrs.frozen(kw_only=True)
class Fields:
    """An object from somebody's file. Where several keys are given the first that is there counts; null is absent.

    Attributes:
        values: The object.
        error: Makes the error for a problem in it, with its place.

    Raises:
        DatasetError: By every method: the value is of another type, or cannot be.
    """

    values: Mapping[str, Any]
    error: Callable[[str], DatasetError]

    def string(self, *keys: str) -> str | None:
        """Text; None if absent."""
        value = self._first(keys)
        if value is not None and not isinstance(value, str):
            raise self.error(f"{_quoted(keys)} is {json_type(value)}; it must be text")
        if value is not None and any("\ud800" <= character <= "\udfff" for character in value):
            raise self.error(f"{_quoted(keys)} holds half a surrogate pair, which is no character")
        return value

    def label(self, *keys: str) -> str | None:
        """A name, not empty; it may be a whole number, as ids of utterances and speakers often are. None if absent."""
        value = self._first(keys)
        if isinstance(value, int) and not isinstance(value, bool):
            return str(value)
        if value == "":
            raise self.error(f"{_quoted(keys)} is empty; name something or leave it out")
        return self.string(*keys)

    def seconds(self, key: str) -> float | None:
        """A finite number of seconds, 0 or more; None if absent."""
        value = self._first((key,))
        if value is None:
            return None
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise self.error(f"'{key}' is {json_type(value)}; it must be a number of seconds")
        try:
            seconds = float(value)
        except OverflowError:
            seconds = math.inf
        if not (math.isfinite(seconds) and seconds >= 0):
            raise self.error(f"'{key}' is {value}; it must be a finite number of seconds, 0 or more")
        return seconds

    def _first(self, keys: tuple[str, ...]) -> Any:
        return next((self.values[key] for key in keys if self.values.get(key) is not None), None)


def json_type(value: object) -> str:
    """What JSON calls the type of *value*."""
    names = {dict: "an object", list: "an array", str: "a string", bool: "a boolean", type(None): "null"}
    return names.get(type(value), "a number")


def _quoted(keys: tuple[str, ...]) -> str:
    return " or ".join(f"'{key}'" for key in keys)
