"""A JSONL manifest: one JSON object a line, in the manner of NVIDIA NeMo."""

from __future__ import annotations

import json
from functools import partial
from typing import TYPE_CHECKING, Any

import attrs

from asrlab.bounded_json import parse_json
from asrlab.errors import DatasetError
from asrlab.evaluation.datasets.dataset import Dataset, Utterance
from asrlab.evaluation.datasets.format import ExternalAudioPolicy, ReadOptions
from asrlab.evaluation.datasets.paths import AudioRoot, audio_slice, default_id
from asrlab.evaluation.datasets.record_reader import RecordReader, json_type
from asrlab.evaluation.datasets.text_file import TextFile, UniqueIds, first_line

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from asrlab.audio import AudioFile
    from asrlab.evaluation.datasets.record_reader import RecordReader


def sniff_manifest(path: Path) -> bool:
    """Whether the first line of *path* is an object with ``audio_filepath``."""
    return "audio_filepath" in first_object(path)


def read_manifest(
    path: Path, *, require_text: bool = True, allow_external_audio: ExternalAudioPolicy = False
) -> Dataset:
    """The utterances of a manifest, one a line, each read when its turn comes.

    Keys: ``audio_filepath`` (needed; a relative path is relative to the manifest's folder), ``text``, ``offset`` and
    ``duration`` (seconds), ``id`` or ``utt_id``, ``lang`` or ``language``, ``speaker``, ``recording``. Other keys and
    blank lines are left out, and ``null`` is as good as absent. Without an id an utterance has its ``audio_filepath``
    without the ending, and ``@OFFSET`` behind it where it does not begin at 0.

    A manifest may come from a stranger, so its audio must be in its folder or below, links resolved.

    Args:
        path: The manifest, UTF-8 with or without a byte order mark.
        require_text: A line without ``text`` is an error; False gives it ``text=None``.
        allow_external_audio: Accept audio that is not below the manifest's folder.

    Raises:
        DatasetError: It is no manifest; while iterating: a line cannot be read, with its number, or two share an id.

    Source: NVIDIA NeMo, ASR manifest format.
    """
    _check_head(path)
    options = ReadOptions(require_text=require_text, allow_external_audio=allow_external_audio)
    place = path.absolute()  # the working directory may be another when it is iterated
    return Dataset(name=path.name, source=f"JSONL manifest {path}", read=partial(_utterances, place, options))


def _check_head(path: Path) -> None:
    head = TextFile(path=path).head()
    if not head:
        raise DatasetError(f"{path} is empty; a manifest has one JSON object a line", path=path)
    if not head.startswith(b"{"):
        saw = "begins with a JSON array" if head.startswith(b"[") else "does not begin with a JSON object"
        raise DatasetError(
            f"{path} is no JSONL manifest: it {saw}; write one object a line, as UTF-8, or give a folder of audio "
            "(single files are for: asrlab transcribe)",
            path=path,
        )


def _utterances(place: Path, options: ReadOptions) -> Iterator[Utterance]:
    lines = TextFile(path=place)
    reader = _Reader(
        root=AudioRoot.of(place.parent, allow_external_audio=options.allow_external_audio), options=options
    )
    seen = UniqueIds(lines=lines, hint="give each line its own 'id'")
    for number, fields in objects(lines):
        utterance = reader.utterance(fields)
        seen.check(utterance.id, number)
        yield utterance


@attrs.frozen(kw_only=True)
class _Reader:
    """How to read a line."""

    root: AudioRoot
    options: ReadOptions

    def utterance(self, fields: RecordReader) -> Utterance:
        """The utterance that a line describes."""
        named = fields.string("audio_filepath")
        if not named:
            raise fields.error("there is no 'audio_filepath'; every line needs one")
        offset = fields.seconds("offset") or 0.0
        return Utterance(
            id=fields.label("id", "utt_id") or default_id(named, offset),
            audio=self._audio(fields, named, offset),
            text=self._text(fields),
            language=fields.string("lang", "language"),
            speaker=fields.label("speaker"),
            recording=fields.label("recording"),
        )

    def _audio(self, fields: RecordReader, named: str, offset: float) -> Path | AudioFile:
        path = self.root.audio(named, field="audio_filepath", error=fields.error)
        duration = fields.seconds("duration")
        if duration == 0:
            raise fields.error("'duration' is 0; leave it out to read to the end of the file")
        return audio_slice(path, offset=offset, duration=duration, error=fields.error)

    def _text(self, fields: RecordReader) -> str | None:
        text = fields.string("text")
        if text is None and self.options.require_text:
            raise fields.error("there is no 'text'; add the reference, or do without (require_text=False)")
        return text


def objects(lines: TextFile) -> Iterator[tuple[int, RecordReader]]:
    """The objects, each with the number of its line; blank lines are passed over.

    Raises:
        DatasetError: The file cannot be read, or a line is no JSON object.
    """
    for number, raw in lines.raw():
        if raw.strip():
            yield number, RecordReader(values=_parsed(lines, number, raw), error=partial(lines.error, number))


def first_object(path: Path) -> dict[str, Any]:
    """The object in the first line that is not blank; empty where there is none."""
    try:
        found = parse_json(first_line(path), allow_nonfinite=True)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def _parsed(lines: TextFile, number: int, raw: bytes) -> dict[str, Any]:
    text = lines.decoded(number, raw).rstrip()
    try:
        found = parse_json(
            text, allow_nonfinite=True
        )  # of keys that nobody reads; `RecordReader` refuses them elsewhere
    except json.JSONDecodeError as error:
        raise lines.error(number, f"column {error.colno}: not JSON ({error.msg})") from error
    except ValueError as error:
        raise lines.error(number, f"not JSON that can be read ({error})") from error
    if not isinstance(found, dict):
        raise lines.error(number, f"holds {json_type(found)}; a line must hold an object, {{...}}")
    return found
