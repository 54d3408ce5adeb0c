"""Text files, gzipped or not, read line by line with line numbers, and checked access to the records in them.

What is wrong in a file is raised as `DatasetError`, with the file and, where there is one, the line number.
"""

from __future__ import annotations

import gzip
import json
import math
import re
import zlib
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Any

import attrs

from asrlab.bounded_json import parse_json
from asrlab.errors import DatasetError
from asrlab.evaluation.datasets.dataset import Utterance

_BOM = b"\xef\xbb\xbf"
_GZIP_MAGIC = b"\x1f\x8b"
_BLANK_LINES = re.compile(rb"[ \t\r\n]*\n")
_MAX_LINE_BYTES = 64 * 2**20
_HEAD_BYTES = 2**20
_BLOCK_BYTES = 2**16
# Manifests compress to a twentieth of their size, rarely to a hundredth; zeros and newlines to a thousandth.
_MAX_GZIP_RATIO = 200
_MIN_GZIP_LIMIT_BYTES = 8 * 2**20
_SURROGATE = re.compile("[\ud800-\udfff]")


@attrs.frozen(kw_only=True)
class TextFile:
    """A file in UTF-8, with or without a byte order mark, gzipped or not.

    The file may come from an untrusted source and a small gzipped file can hold gigabytes. So a line may have at most
    64 MiB, and a gzipped file is unpacked only up to 8 MiB plus 200 times its size.
    """

    path: Path

    def raw_lines(self, max_bytes: int | None = None) -> Generator[tuple[int, bytes], None, None]:
        """Yield the number (from 1) and bytes of each line, with its line end, up to *max_bytes* of the file.

        Consecutive blank lines may come as one line, with all of their ends and the number of the first: a small
        gzipped file can hold millions of them.
        """
        number, parts, size = 1, list[bytes](), 0
        try:
            for block in self._blocks(max_bytes):
                start = 0
                while start < len(block):
                    blank = None if parts else _BLANK_LINES.match(block, start)
                    end = blank.end() if blank else block.find(b"\n", start) + 1
                    parts.append(block[start : end or None])
                    start += len(parts[-1])
                    size += len(parts[-1])
                    if size > _MAX_LINE_BYTES:
                        raise self.error(number, f"is longer than {_MAX_LINE_BYTES >> 20} MiB; is this a text file?")
                    if end:
                        yield number, b"".join(parts)
                        number += parts[-1].count(b"\n")
                        parts, size = [], 0
        except (EOFError, zlib.error, gzip.BadGzipFile) as error:
            raise self.error(number, f"the gzipped file is damaged here ({error}); copy it again") from error
        except OSError as error:
            raise DatasetError(f"{self.path} cannot be read ({error.strerror})", path=self.path) from error
        if parts:
            yield number, b"".join(parts)

    def lines(self) -> Iterator[tuple[int, str]]:
        """Yield the number and text of each line that is not blank, without surrounding white space."""
        for number, raw in self.raw_lines():
            if line := raw.strip(b" \t\r\n"):
                yield number, self.decode(number, line)

    def decode(self, number: int, raw: bytes) -> str:
        """Decode line *number* from UTF-8."""
        try:
            return raw.decode()
        except UnicodeDecodeError as error:
            raise self.error(number, f"byte {error.start + 1} is not UTF-8; save the file as UTF-8") from error

    def head(self) -> bytes:
        """Return the first line that is not blank, or its first mebibyte; empty if the first mebibyte is blank."""
        lines = (raw.strip() for _, raw in self.raw_lines(_HEAD_BYTES))
        return next(filter(None, lines), b"")

    def error(self, number: int, problem: str) -> DatasetError:
        """Return an error that names the file and line *number*."""
        return DatasetError(f"{self.path}, line {number}: {problem}", path=self.path, line=number)

    def _blocks(self, max_bytes: int | None) -> Iterator[bytes]:
        """Yield the content, unpacked and without a byte order mark, up to *max_bytes*."""
        done = 0
        with self.path.open("rb") as raw:
            is_gzipped = raw.read(len(_GZIP_MAGIC)) == _GZIP_MAGIC
        with gzip.open(self.path, "rb") if is_gzipped else self.path.open("rb") as file:
            limit = _MIN_GZIP_LIMIT_BYTES + _MAX_GZIP_RATIO * self.path.stat().st_size if is_gzipped else None
            while block := file.read(_BLOCK_BYTES if max_bytes is None else min(_BLOCK_BYTES, max_bytes - done)):
                yield block if done else block.removeprefix(_BOM)
                done += len(block)
                if limit is not None and done > limit:
                    raise DatasetError(
                        f"{self.path} unpacks to more than {_MAX_GZIP_RATIO} times its size ({done >> 20} MiB so far); "
                        "if you trust it, unpack it with gunzip and give the unpacked file",
                        path=self.path,
                    )


@attrs.frozen(kw_only=True)
class UniqueIds:
    """The ids read from a file so far, with their line numbers."""

    file: TextFile
    hint: str = "remove one of the two"  # advice in the error about a repeated id
    _numbers: dict[str, int] = attrs.field(factory=dict, init=False, repr=False)

    def __contains__(self, name: object) -> bool:
        return name in self._numbers

    def add(self, name: str, number: int) -> None:
        """Record the id of line *number*."""
        first = self._numbers.setdefault(name, number)
        if first != number:
            raise self.file.error(number, f"the id {name!r} is that of line {first} already; {self.hint}")

    def check(self, numbered: Iterable[tuple[int, Utterance]]) -> Iterator[Utterance]:
        """Yield utterances that are given with their line numbers; record their ids."""
        for number, utterance in numbered:
            self.add(utterance.id, number)
            yield utterance


def first_line(path: Path) -> str:
    """Return the first line that is not blank, cut at one mebibyte; empty if there is none or it cannot be read."""
    try:
        head = TextFile(path=path).head()
    except (DatasetError, ValueError):  # ValueError: a null byte in the name
        return ""
    return head.decode(errors="replace")


@attrs.frozen(kw_only=True)
class RecordReader:
    """A record from an untrusted file. Methods that take several keys use the first one present; null counts as absent.

    They raise the error if the value has another type or is out of range.
    """

    values: Mapping[str, Any]  # by key or column
    error: Callable[[str], DatasetError]  # makes the error for a problem, with the record's position
    is_row: bool = False  # of a table: all values are strings, and numbers are parsed

    def string(self, *keys: str) -> str | None:
        """Return text; None if absent."""
        value = self._first(keys)
        if value is None:
            return None
        if not isinstance(value, str):
            raise self._wrong(keys, f"is {json_type(value)}; it must be text")
        if _SURROGATE.search(value):
            raise self._wrong(keys, "holds half a surrogate pair, which is not a character")
        return value

    def path(self, key: str) -> str:
        """Return the path of a file, which every record needs."""
        return self.required(self.string(key) or None, key)

    def name(self, key: str) -> str:
        """Return a label that every record needs."""
        return self.required(self.label(key), key)

    def required(self, value: str | None, key: str) -> str:
        """Return the value at *key*; refuse None."""
        if value is None:
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
            raise self._wrong(keys, "is empty; name something or leave it out")
        return self.string(*keys)

    def seconds(self, *keys: str) -> float | None:
        """Return a finite number of seconds, 0 or more; None if absent."""
        seconds = self.number(*keys)
        if seconds is not None and not (math.isfinite(seconds) and seconds >= 0):
            raise self._wrong(keys, f"is {self._first(keys)}; it must be a finite number of seconds, 0 or more")
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
                raise self._wrong(keys, f"is {value!r}; it must be a number of seconds, such as 1.5") from error
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise self._wrong(keys, f"is {json_type(value)}; it must be a number of seconds")
        try:
            return float(value)
        except OverflowError:
            return math.inf

    def nested(self, key: str) -> RecordReader | None:
        """Return the object at *key*; None if absent."""
        value = self._first((key,))
        if value is not None and not isinstance(value, dict):
            raise self._wrong((key,), f"is {json_type(value)}; it must be an object")
        return None if value is None else attrs.evolve(self, values=value)

    def list(self, key: str) -> list[RecordReader]:
        """Return the objects of the array at *key*; empty if absent."""
        value = self._first((key,))
        if value is not None and not (isinstance(value, list) and all(isinstance(item, dict) for item in value)):
            raise self._wrong((key,), f"is {json_type(value)}; it must be an array of objects")
        return [attrs.evolve(self, values=item) for item in value or ()]

    def _wrong(self, keys: tuple[str, ...], problem: str) -> DatasetError:
        return self.error(f"{' or '.join(f"'{key}'" for key in keys)} {problem}")

    def _first(self, keys: tuple[str, ...]) -> Any:
        return next((self.values[key] for key in keys if self.values.get(key) is not None), None)


def json_type(value: object) -> str:
    """Return the JSON name of a value's type."""
    names = {dict: "an object", list: "an array", str: "a string", bool: "a boolean", type(None): "null"}
    return names.get(type(value), "a number")


def read_objects(file: TextFile) -> Iterator[tuple[int, RecordReader]]:
    """Yield the JSON object of each line with the line's number; skip blank lines."""
    # a line that is refused closes the file at once
    with closing(file.raw_lines()) as lines:
        for number, raw in lines:
            if not raw.strip():
                continue
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
            yield number, RecordReader(values=value, error=partial(file.error, number))


def first_object(path: Path) -> dict[str, Any]:
    """Return the JSON object in the first line that is not blank; empty if there is none."""
    try:
        value = parse_json(first_line(path), allow_nonfinite=True)
    except ValueError:
        return {}
    return value if isinstance(value, dict) else {}
