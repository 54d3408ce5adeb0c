"""Checked access to the values of JSON objects by key, and of table rows by column."""

from __future__ import annotations

import json
import math
import re
from functools import partial
from typing import TYPE_CHECKING, Any

import attrs

from asrlab.bounded_json import parse_json
from asrlab.evaluation.datasets.text_file import TextFile, first_line

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

    from asrlab.errors import DatasetError


_SURROGATE = re.compile("[\ud800-\udfff]")


@attrs.frozen(kw_only=True)
class RecordReader:
    """A record from an untrusted file. Methods that take several keys use the first one present; null counts as absent.

    Attributes:
        values: The record's values by key or column.
        error: Function that makes the error for a problem, with the record's position.
        is_row: True for a table row, whose values are all strings. Numbers are then parsed.

    Raises:
        DatasetError: By every method, if the value has another type or is out of range.
    """

    values: Mapping[str, Any]
    error: Callable[[str], DatasetError]
    is_row: bool = False

    def string(self, *keys: str) -> str | None:
        """Return text; None if absent."""
        value = self._first(keys)
        if value is not None and not isinstance(value, str):
            raise self.error(f"{_quoted(keys)} is {json_type(value)}; it must be text")
        if value is not None and _SURROGATE.search(value):
            raise self.error(f"{_quoted(keys)} holds half a surrogate pair, which is not a character")
        return value

    def path(self, key: str) -> str:
        """Return the path of a file, which every record needs."""
        value = self.string(key)
        if not value:
            raise self.error(f"there is no '{key}'; every {'row' if self.is_row else 'line'} needs one")
        return value

    def reference(self, key: str, *, is_required: bool) -> str | None:
        """Return the reference text; None if absent and not required."""
        text = self.string(key)
        if text is None and is_required:
            raise self.error(f"there is no '{key}'; add the reference, or do without (require_text=False)")
        return text

    def label(self, *keys: str) -> str | None:
        """Return a name that is not empty, as text or as a whole number in text; None if absent."""
        value = self._first(keys)
        if isinstance(value, int) and not isinstance(value, bool):
            return str(value)
        if value == "":
            raise self.error(f"{_quoted(keys)} is empty; name something or leave it out")
        return self.string(*keys)

    def seconds(self, *keys: str) -> float | None:
        """Return a finite number of seconds, 0 or more; None if absent."""
        seconds = self.number(*keys)
        if seconds is not None and not (math.isfinite(seconds) and seconds >= 0):
            raise self.error(
                f"{_quoted(keys)} is {self._first(keys)}; it must be a finite number of seconds, 0 or more"
            )
        return seconds

    def number(self, *keys: str) -> float | None:
        """Return a number, which may not be finite; None if absent."""
        value = self._first(keys)
        if value is None:
            return None
        if self.is_row and isinstance(value, str):
            try:
                return float(value)
            except ValueError as error:
                raise self.error(
                    f"{_quoted(keys)} is {value!r}; it must be a number of seconds, such as 1.5"
                ) from error
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise self.error(f"{_quoted(keys)} is {json_type(value)}; it must be a number of seconds")
        try:
            return float(value)
        except OverflowError:
            return math.inf

    def nested(self, key: str) -> RecordReader | None:
        """Return the object at *key*; None if absent."""
        value = self._first((key,))
        if value is not None and not isinstance(value, dict):
            raise self.error(f"{_quoted((key,))} is {json_type(value)}; it must be an object")
        return None if value is None else attrs.evolve(self, values=value)

    def list(self, key: str) -> list[RecordReader]:
        """Return the objects of the array at *key*; empty if absent."""
        value = self._first((key,))
        if value is not None and not (isinstance(value, list) and all(isinstance(item, dict) for item in value)):
            raise self.error(f"{_quoted((key,))} is {json_type(value)}; it must be an array of objects")
        return [attrs.evolve(self, values=item) for item in value or ()]

    def _first(self, keys: tuple[str, ...]) -> Any:
        return next((self.values[key] for key in keys if self.values.get(key) is not None), None)


def json_type(value: object) -> str:
    """Return the JSON name of a value's type."""
    names = {dict: "an object", list: "an array", str: "a string", bool: "a boolean", type(None): "null"}
    return names.get(type(value), "a number")


def read_objects(file: TextFile) -> Iterator[tuple[int, RecordReader]]:
    """Yield the JSON object of each line with the line's number; skip blank lines.

    Raises:
        DatasetError: If the file cannot be read, or a line is not a JSON object.
    """
    for number, raw in file.raw_lines():
        if raw.strip():
            yield number, RecordReader(values=_parse_object(file, number, raw), error=partial(file.error, number))


def first_object(path: Path) -> dict[str, Any]:
    """Return the JSON object in the first line that is not blank; empty if there is none."""
    try:
        value = parse_json(first_line(path), allow_nonfinite=True)
    except ValueError:
        return {}
    return value if isinstance(value, dict) else {}


def _parse_object(file: TextFile, number: int, raw: bytes) -> dict[str, Any]:
    text = file.decode(number, raw).rstrip()
    try:
        # keys that no reader uses may hold NaN; `RecordReader` refuses it in the others
        value = parse_json(text, allow_nonfinite=True)
    except json.JSONDecodeError as error:
        raise file.error(number, f"column {error.colno}: not JSON ({error.msg})") from error
    except ValueError as error:
        raise file.error(number, f"not JSON that can be read ({error})") from error
    if not isinstance(value, dict):
        raise file.error(number, f"holds {json_type(value)}; a line must hold an object, {{...}}")
    return value


def _quoted(keys: tuple[str, ...]) -> str:
    return " or ".join(f"'{key}'" for key in keys)
