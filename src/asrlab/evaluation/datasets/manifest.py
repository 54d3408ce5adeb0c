"""JSONL manifests in the style of NVIDIA NeMo: one JSON object a line."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from asrlab.errors import DatasetError
from asrlab.evaluation.datasets.dataset import Dataset, ReadOptions, Utterance
from asrlab.evaluation.datasets.paths import AudioRoot, audio_slice, default_id
from asrlab.evaluation.datasets.text_file import TextFile, UniqueIds, first_object, read_objects

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from asrlab.evaluation.datasets.text_file import RecordReader


def sniff_manifest(path: Path) -> bool:
    """Return True if the first line of *path* is an object with ``audio_filepath``."""
    return "audio_filepath" in first_object(path)


def read_manifest(path: Path, options: ReadOptions) -> Dataset:
    """Return the utterances of a manifest, one a line, read while they are iterated.

    Keys: ``audio_filepath`` (required; a relative path is relative to the manifest's folder), ``text``, ``offset`` and
    ``duration`` (seconds), ``id`` or ``utt_id``, ``lang`` or ``language``, ``speaker``, ``recording``. Other keys and
    blank lines are ignored, and ``null`` counts as absent. The id of an utterance without one is its
    ``audio_filepath`` without the suffix, followed by ``@OFFSET`` unless the offset is 0.

    A manifest may come from an untrusted source, so its audio must be in its folder or below, with links resolved.

    Source: NVIDIA NeMo, ASR manifest format.
    """
    _check_head(path)
    # absolute, since the working directory may change before the data set is iterated
    return Dataset(name=path.name, source=f"JSONL manifest {path}", read=partial(_read, path.absolute(), options))


def _check_head(path: Path) -> None:
    head = TextFile(path=path).head()
    if not head:
        raise DatasetError(f"{path} is empty; a manifest has one JSON object a line", path=path)
    if not head.startswith(b"{"):
        problem = "begins with a JSON array" if head.startswith(b"[") else "does not begin with a JSON object"
        raise DatasetError(
            f"{path} is not a JSONL manifest: it {problem}; write one object a line, as UTF-8, or give a folder of "
            "audio (single files are for: asrlab transcribe)",
            path=path,
        )


def _read(path: Path, options: ReadOptions) -> Iterator[Utterance]:
    file = TextFile(path=path)
    root = AudioRoot.at(path.parent, options)
    ids = UniqueIds(file=file, hint="give each line its own 'id'")
    for number, record in read_objects(file):
        utterance = _utterance(record, root, options)
        ids.add(utterance.id, number)
        yield utterance


def _utterance(record: RecordReader, root: AudioRoot, options: ReadOptions) -> Utterance:
    named = record.path("audio_filepath")
    offset = record.seconds("offset") or 0.0
    path = root.audio(named, field="audio_filepath", error=record.error)
    duration = record.seconds("duration")
    if duration == 0:
        raise record.error("'duration' is 0; leave it out to read to the end of the file")
    return Utterance(
        id=record.label("id", "utt_id") or default_id(named, offset),
        audio=audio_slice(path, offset=offset, duration=duration, error=record.error),
        text=record.reference("text", is_required=options.require_text),
        language=record.string("lang", "language"),
        speaker=record.label("speaker"),
        recording=record.label("recording"),
    )
