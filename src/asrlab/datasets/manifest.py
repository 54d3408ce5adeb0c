"""A JSONL manifest: one JSON object a line, in the manner of NVIDIA NeMo."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import attrs

from asrlab.audio import AudioFile
from asrlab.datasets.dataset import Dataset, Utterance
from asrlab.datasets.fields import Fields, json_type
from asrlab.errors import DatasetError

if TYPE_CHECKING:
    from collections.abc import Iterator

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
    place = path.absolute()  # the working directory may be another when it is iterated
    reader = _Reader(path=place, root=place.parent.resolve(), require_text=require_text, allow_outside=allow_outside)
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
        utterance = reader.utterance(Fields(values=reader.parse(raw, number), error=partial(reader.error, number)))
        first = lines.setdefault(utterance.id, number)
        if first != number:
            problem = f"the id {utterance.id!r} is that of line {first} already; give each line its own 'id'"
            raise reader.error(number, problem)
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
            fields = json.loads(raw.decode().rstrip())
        except UnicodeDecodeError as error:
            raise self.error(number, f"byte {error.start + 1} is not UTF-8; save the manifest as UTF-8") from error
        except json.JSONDecodeError as error:
            raise self.error(number, f"column {error.colno}: not JSON ({error.msg})") from error
        except (ValueError, RecursionError) as error:
            # numbers of thousands of digits, brackets thousands deep
            raise self.error(number, f"not JSON that can be read ({error})") from error
        if not isinstance(fields, dict):
            raise self.error(number, f"holds {json_type(fields)}; a line must hold an object, {{...}}")
        return fields

    def error(self, number: int, problem: str) -> DatasetError:
        """The error for a line, with its place."""
        return DatasetError(f"{self.path}, line {number}: {problem}", path=self.path, line=number)

    def utterance(self, fields: Fields) -> Utterance:
        """The utterance that a line describes."""
        named = fields.string("audio_filepath")
        if not named:
            raise fields.error("there is no 'audio_filepath'; every line needs one")
        offset = fields.seconds("offset") or 0.0
        return Utterance(
            id=fields.label("id", "utt_id") or _default_id(named, offset),
            audio=self._audio(fields, named, offset),
            text=self._text(fields),
            language=fields.string("lang", "language"),
            speaker=fields.label("speaker"),
            recording=fields.label("recording"),
        )

    def _audio(self, fields: Fields, named: str, offset: float) -> Path | AudioFile:
        path, duration = self._inside(fields, named), fields.seconds("duration")
        if duration == 0:
            raise fields.error("'duration' is 0; leave it out to read to the end of the file")
        if not offset and duration is None:
            return path
        return AudioFile(path=path, offset=offset, duration=duration)

    def _inside(self, fields: Fields, named: str) -> Path:
        path = self.path.parent / named
        try:
            resolved = path.resolve()
            if resolved.is_symlink():  # Python 3.13 leaves links in a circle as they are, where 3.12 raises
                raise OSError("links in a circle")
        except (OSError, ValueError, RuntimeError) as error:  # a null byte, links in a circle
            raise fields.error(f"'audio_filepath' {named!r} is no path ({error})") from error
        if not self.allow_outside and not resolved.is_relative_to(self.root):
            raise fields.error(
                f"'audio_filepath' {named!r} leads out of the manifest's folder, to {resolved}; if you trust the "
                "manifest, allow it with allow_outside=True"
            )
        return path

    def _text(self, fields: Fields) -> str | None:
        text = fields.string("text")
        if text is None and self.require_text:
            raise fields.error("there is no 'text'; add the reference, or do without (require_text=False)")
        return text


def _default_id(named: str, offset: float) -> str:
    stem = Path(named).with_suffix("").as_posix() if Path(named).name else named
    return f"{stem}@{offset}" if offset else stem
