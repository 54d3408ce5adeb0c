"""The values of a JSON object by key, or of a table's row by column, each checked when it is taken out."""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING, Any

import attrs

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from asrlab.errors import DatasetError


_HALF = re.compile("[\ud800-\udfff]")


@attrs.frozen(kw_only=True)
class RecordReader:
    """An object from somebody's file. Where several keys are given the first that is there counts; null is absent.

    Attributes:
        values: The object.
        error: Makes the error for a problem in it, with its place.
        written: The values are all text, as in a table, so that numbers are written out.

    Raises:
        DatasetError: By every method: the value is of another type, or cannot be.
    """

    values: Mapping[str, Any]
    error: Callable[[str], DatasetError]
    written: bool = False

    def string(self, *keys: str) -> str | None:
        """Text; None if absent."""
        value = self._first(keys)
        if value is not None and not isinstance(value, str):
            raise self.error(f"{_quoted(keys)} is {json_type(value)}; it must be text")
        if value is not None and _HALF.search(value):
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

    def seconds(self, *keys: str) -> float | None:
        """A finite number of seconds, 0 or more; None if absent."""
        seconds = self.number(*keys)
        if seconds is not None and not (math.isfinite(seconds) and seconds >= 0):
            raise self.error(
                f"{_quoted(keys)} is {self._first(keys)}; it must be a finite number of seconds, 0 or more"
            )
        return seconds

    def number(self, *keys: str) -> float | None:
        """Any number, perhaps not finite; None if absent."""
        value = self._first(keys)
        if value is None:
            return None
        if self.written and isinstance(value, str):
            return self._written_number(value, keys)
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise self.error(f"{_quoted(keys)} is {json_type(value)}; it must be a number of seconds")
        try:
            return float(value)
        except OverflowError:
            return math.inf

    def nested(self, key: str) -> RecordReader | None:
        """An object in this one; None if absent."""
        value = self._first((key,))
        if value is not None and not isinstance(value, dict):
            raise self.error(f"{_quoted((key,))} is {json_type(value)}; it must be an object")
        return None if value is None else attrs.evolve(self, values=value)

    def several(self, key: str) -> list[RecordReader]:
        """The objects in an array of this one; empty if absent."""
        value = self._first((key,))
        if value is not None and not (isinstance(value, list) and all(isinstance(each, dict) for each in value)):
            raise self.error(f"{_quoted((key,))} is {json_type(value)}; it must be an array of objects")
        return [attrs.evolve(self, values=each) for each in value or ()]

    def _written_number(self, value: str, keys: tuple[str, ...]) -> float:
        try:
            return float(value)
        except ValueError as error:
            raise self.error(f"{_quoted(keys)} is {value!r}; it must be a number of seconds, such as 1.5") from error

    def _first(self, keys: tuple[str, ...]) -> Any:
        return next((self.values[key] for key in keys if self.values.get(key) is not None), None)


def json_type(value: object) -> str:
    """What JSON calls the type of *value*."""
    names = {dict: "an object", list: "an array", str: "a string", bool: "a boolean", type(None): "null"}
    return names.get(type(value), "a number")


def _quoted(keys: tuple[str, ...]) -> str:
    return " or ".join(f"'{key}'" for key in keys)
