"""A JSONL manifest: one JSON object a line, in the manner of NVIDIA NeMo."""

from __future__ import annotations

import json
import math
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import attrs

from asrlab.datasets.dataset import Dataset, Utterance
from asrlab.errors import DatasetError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from asrlab.audio import AudioFile

__all__ = ["read_manifest"]

_HEAD_BYTES = 65_536
_BOM = b"\xef\xbb\xbf"


def read_manifest(path: Path, *, require_text: bool = True, allow_outside: bool = False) -> Dataset:
    """The utterances of a manifest, one a line, each read when its turn comes.

    Keys: ``audio_filepath`` (needed; a relative path is relative to the manifest's folder), ``text``, ``offset`` and
    ``duration`` (seconds), ``id`` or ``utt_id``, ``lang`` or ``language``, ``speaker``, ``recording``. Other keys and
    blank lines are left out, and ``null`` is as good as absent. Without an id an utterance has its ``audio_filepath``
    without the ending, and ``@OFFSET`` behind it where it does not begin at 0.

    A manifest may come from a stranger, so its audio must be in its folder or below, links resolved.

    Args:
        path: The manifest, UTF-8 with or without a byte order mark.
        require_text: A line without ``text`` is an error; False gives it ``text=None``.
        allow_outside: Accept audio that is not below the manifest's folder.

    Raises:
        DatasetError: It is no manifest; while iterating: a line cannot be read, with its number, or two share an id.

    Source: NVIDIA NeMo, ASR manifest format.
    """
    _check_head(path)
    reader = _Reader(path=path, root=path.parent.resolve(), require_text=require_text, allow_outside=allow_outside)
    return Dataset(name=path.name, source=f"JSONL manifest {path}", read=partial(_utterances, reader))


def _check_head(path: Path) -> None:
    try:
        with path.open("rb") as file:
            head = file.read(_HEAD_BYTES).removeprefix(_BOM).lstrip()
    except OSError as error:
        raise DatasetError(f"{path} cannot be read ({error.strerror})", path=path) from error
    if not head:
        raise DatasetError(f"{path} is empty; a manifest has one JSON object a line", path=path)
    if not head.startswith(b"{"):
        saw = "begins with a JSON array" if head.startswith(b"[") else "does not begin with a JSON object"
        raise DatasetError(
            f"{path} is no JSONL manifest: it {saw}; write one object a line, as UTF-8, or give a folder of audio "
            "(single files are for: asrlab transcribe)",
            path=path,
        )


def _utterances(reader: _Reader) -> Iterator[Utterance]:
    lines: dict[str, int] = {}
    for number, raw in reader.raw_lines():
        line = _Line(reader=reader, number=number, fields=reader.parse(raw, number))
        utterance = line.utterance()
        first = lines.setdefault(utterance.id, number)
        if first != number:
            raise line.error(f"the id {utterance.id!r} is that of line {first} already; give each line its own 'id'")
        yield utterance


@attrs.frozen(kw_only=True)
class _Reader:
    """A manifest and how to read it."""

    path: Path
    root: Path
    require_text: bool
    allow_outside: bool

    def raw_lines(self) -> Iterator[tuple[int, bytes]]:
        """The lines that are not blank, with their numbers from 1."""
        try:
            with self.path.open("rb") as file:
                for number, raw in enumerate(file, start=1):
                    line = raw.removeprefix(_BOM) if number == 1 else raw
                    if line.strip():
                        yield number, line
        except OSError as error:
            raise DatasetError(f"{self.path} cannot be read ({error.strerror})", path=self.path) from error

    def parse(self, raw: bytes, number: int) -> dict[str, Any]:
        """The object in a line."""
        try:
            fields = json.loads(raw.decode())
        except UnicodeDecodeError as error:
            raise self.error(number, f"byte {error.start + 1} is not UTF-8; save the manifest as UTF-8") from error
        except json.JSONDecodeError as error:
            raise self.error(number, f"column {error.colno}: not JSON ({error.msg})") from error
        except (ValueError, RecursionError) as error:
            # numbers of thousands of digits, brackets thousands deep
            raise self.error(number, f"not JSON that can be read ({error})") from error
        if not isinstance(fields, dict):
            raise self.error(number, f"holds {_type(fields)}; a line must hold an object, {{...}}")
        return fields

    def error(self, number: int, problem: str) -> DatasetError:
        """The error for a line, with its place."""
        return DatasetError(f"{self.path}, line {number}: {problem}", path=self.path, line=number)


@attrs.frozen(kw_only=True)
class _Line:
    """The object in one line of a manifest."""

    reader: _Reader
    number: int
    fields: dict[str, Any]

    def error(self, problem: str) -> DatasetError:
        return self.reader.error(self.number, problem)

    def utterance(self) -> Utterance:
        named = self.string("audio_filepath")
        if not named:
            raise self.error("there is no 'audio_filepath'; every line needs one")
        offset = self.seconds("offset") or 0.0
        return Utterance(
            id=self.label("id", "utt_id") or _default_id(named, offset),
            audio=self.audio(named, offset),
            text=self.text(),
            language=self.string("lang", "language"),
            speaker=self.label("speaker"),
            recording=self.label("recording"),
        )

    def audio(self, named: str, offset: float) -> Path | AudioFile:
        path, duration = self.inside(named), self.seconds("duration")
        if duration == 0:
            raise self.error("'duration' is 0; leave it out to read to the end of the file")
        if not offset and duration is None:
            return path
        # deferred: the audio room is above the cost of listing data sets
        from asrlab.audio import AudioFile

        return AudioFile(path=path, offset=offset, duration=duration)

    def inside(self, named: str) -> Path:
        path = self.reader.path.parent / named
        try:
            resolved = path.resolve()
        except (OSError, ValueError, RuntimeError) as error:  # a null byte, links in a circle
            raise self.error(f"'audio_filepath' {named!r} is no path ({error})") from error
        if not self.reader.allow_outside and not resolved.is_relative_to(self.reader.root):
            raise self.error(
                f"'audio_filepath' {named!r} leads out of the manifest's folder, to {resolved}; if you trust the "
                "manifest, allow it with allow_outside=True"
            )
        return path

    def text(self) -> str | None:
        text = self.string("text")
        if text is None and self.reader.require_text:
            raise self.error("there is no 'text'; add the reference, or do without (require_text=False)")
        return text

    def label(self, *keys: str) -> str | None:
        """A name that may be written as a whole number, as ids of utterances and speakers often are."""
        value = self.first(*keys)
        if isinstance(value, int) and not isinstance(value, bool):
            return str(value)
        if value == "":
            raise self.error(f"{_quoted(keys)} is empty; name something or leave it out")
        return self.string(*keys)

    def first(self, *keys: str) -> Any:
        return next((self.fields[key] for key in keys if self.fields.get(key) is not None), None)

    def string(self, *keys: str) -> str | None:
        value = self.first(*keys)
        if value is not None and not isinstance(value, str):
            raise self.error(f"{_quoted(keys)} is {_type(value)}; it must be text")
        if value is not None and any("\ud800" <= character <= "\udfff" for character in value):
            raise self.error(f"{_quoted(keys)} holds half a surrogate pair, which is no character")
        return value

    def seconds(self, key: str) -> float | None:
        value = self.first(key)
        if value is None:
            return None
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise self.error(f"'{key}' is {_type(value)}; it must be a number of seconds")
        try:
            seconds = float(value)
        except OverflowError:
            seconds = math.inf
        if not (math.isfinite(seconds) and seconds >= 0):
            raise self.error(f"'{key}' is {value}; it must be a finite number of seconds, 0 or more")
        return seconds


def _default_id(named: str, offset: float) -> str:
    stem = Path(named).with_suffix("").as_posix() if Path(named).name else named
    return f"{stem}@{offset}" if offset else stem


def _quoted(keys: tuple[str, ...]) -> str:
    return " or ".join(f"'{key}'" for key in keys)


def _type(value: object) -> str:
    """What JSON calls it."""
    names = {dict: "an object", list: "an array", str: "a string", bool: "a boolean", type(None): "null"}
    return names.get(type(value), "a number")
