"""JSONL manifests, gzipped or not: NVIDIA NeMo's, and Lhotse's recordings with supervisions, or cuts."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import attrs

from asrlab.audio import AudioFile
from asrlab.errors import DatasetError
from asrlab.evaluation.datasets.dataset import Dataset, ReadOptions, Utterance
from asrlab.evaluation.datasets.paths import AudioRoot, audio_slice, default_id
from asrlab.evaluation.datasets.text_file import RecordReader, TextFile, UniqueIds, first_object, read_objects


def sniff_manifest(path: Path) -> bool:
    """Return True if the first line of *path* is an object with ``audio_filepath``."""
    return "audio_filepath" in first_object(path)


def read_manifest(path: Path, options: ReadOptions) -> Dataset:
    """Return the utterances of a manifest, one a line, read while they are iterated.

    A manifest may come from an untrusted source, so its audio must be in its folder or below, with links resolved.

    Source: NVIDIA NeMo, ASR manifest format.
    """
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
    file = TextFile(path=path.absolute())  # since the working directory may change before the data set is iterated

    def read() -> Iterator[Utterance]:
        root = AudioRoot.at(file.path.parent, options)
        ids = UniqueIds(file=file, hint="give each line its own 'id'")
        return ids.check((number, _manifest_utterance(record, root, options)) for number, record in read_objects(file))

    return Dataset(name=path.name, source=f"JSONL manifest {path}", read=read)


def _manifest_utterance(record: RecordReader, root: AudioRoot, options: ReadOptions) -> Utterance:
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


_RECORDINGS, _SUPERVISIONS = "recordings", "supervisions"
_CUT_TYPES = ("MonoCut", "MultiCut", "MixedCut", "PaddingCut", "Cut")
_SUFFIXES = (".jsonl", ".jsonl.gz")
_ROUNDING_S = 0.001


def sniff_lhotse(path: Path) -> bool:
    """Return True if the first line of *path* is a recording, supervision or cut, or for a folder of such files."""
    return bool(_list_files(path)) if path.is_dir() else _kind(first_object(path)) is not None


def read_lhotse(path: Path, options: ReadOptions) -> Dataset:
    """Return an utterance for each supervision: its own part of its recording, wherever a cut begins and ends.

    The *path* is that of cuts; or of one of two files whose names differ by ``recordings`` and ``supervisions``; or of
    a folder with one such pair or file. The recordings of a pair are kept in memory. Commands are never run, and
    nothing is fetched. Recordings with several channels or transforms and mixed cuts are refused.

    Source: Lhotse 1.33, ``audio/recording.py``, ``supervision.py``, ``cut/mono.py``.
    """
    files = _list_files(path) if path.is_dir() else [path]
    if len(files) != 1:
        problem = f"several; give one: {', '.join(map(str, files))}" if files else "none; give a file"
        raise DatasetError(f"of Lhotse's supervisions and cuts (.jsonl, .jsonl.gz) {path} holds {problem}", path=path)
    file = files[0]
    root = AudioRoot.at(file.absolute().parent, options)
    if path.is_dir():
        root.check(file.absolute())
    kind = _kind(first_object(file))
    if kind is None:
        raise DatasetError(
            f"{file} is not a Lhotse manifest: its first line is not a recording, supervision or cut; save it as JSONL "
            "with to_file('NAME.jsonl.gz')",
            path=file,
        )
    source = f"Lhotse manifest {file}"
    if kind == "cuts":
        return Dataset(name=file.name, source=source, read=partial(_read_cuts, file.absolute(), options))
    recordings, supervisions = _find_pair(file.absolute())
    root.check_all(other for other in (recordings, supervisions) if other != file.absolute())
    read = partial(_read_supervisions, recordings, supervisions, options)
    return Dataset(name=supervisions.name, source=source, read=read)


def _kind(first: dict[str, Any]) -> str | None:
    if first.get("type") in _CUT_TYPES or {"recording", "start"} <= first.keys():
        return "cuts"
    if {"id", "sources", "sampling_rate"} <= first.keys():
        return _RECORDINGS
    return _SUPERVISIONS if {"id", "recording_id", "start", "duration"} <= first.keys() else None


def _list_files(folder: Path) -> list[Path]:
    """Return the supervisions and cuts of a folder."""
    named = [path for suffix in _SUFFIXES for path in folder.glob(f"*{suffix}")]
    wanted = [path for path in sorted(named) if _SUPERVISIONS in path.name or "cuts" in path.name]
    return [path for path in wanted if _kind(first_object(path)) is not None]


def _find_pair(path: Path) -> tuple[Path, Path]:
    """Return the recordings and the supervisions, where *path* is one of the two."""
    head, word, tail = path.name.rpartition(_RECORDINGS)
    if not word:
        head, word, tail = path.name.rpartition(_SUPERVISIONS)
    recordings, supervisions = (path.with_name(f"{head}{name}{tail}") for name in (_RECORDINGS, _SUPERVISIONS))
    for other in (recordings, supervisions):
        if not word or not other.is_file():
            problem = f"there is no {other.name}" if word else "its name has neither word in it"
            raise DatasetError(
                f"{path} belongs to a pair of files whose names differ by 'recordings' and 'supervisions', and "
                f"{problem}; put both in one folder, or save cuts",
                path=path,
            )
    return recordings, supervisions


@attrs.frozen(kw_only=True)
class _Recording:
    """A recording that can be read: one channel of one file."""

    path: Path
    duration: float | None

    def slice(self, start: float, duration: float | None, error: Callable[[str], DatasetError]) -> Path | AudioFile:
        """Return a part of the recording; the path if that is all of it."""
        if -_ROUNDING_S < start < 0:
            start = 0.0
        if start < 0 or not math.isfinite(start):
            raise error(f"the supervision starts at {start:g} s of its recording; it must be 0 or more")
        end = math.inf if duration is None else start + duration
        if start == 0 and self.duration is not None and abs(end - self.duration) < _ROUNDING_S:
            return self.path
        return audio_slice(self.path, offset=start, duration=duration, error=error)


def _read_supervisions(recordings: Path, supervisions: Path, options: ReadOptions) -> Iterator[Utterance]:
    root = AudioRoot.at(recordings.parent, options)
    by_id = {record.name("id"): _read_recording(record, root) for _, record in read_objects(TextFile(path=recordings))}
    file = TextFile(path=supervisions)

    def read() -> Iterator[tuple[int, Utterance]]:
        for number, record in read_objects(file):
            recording = by_id.get(record.name("recording_id"))
            if recording is None:
                raise record.error(f"the recording {record.label('recording_id')!r} is not in {recordings.name}")
            yield number, _utterance(record, recording, options)

    return UniqueIds(file=file, hint="give each its own").check(read())


def _read_cuts(path: Path, options: ReadOptions) -> Iterator[Utterance]:
    file, root = TextFile(path=path), AudioRoot.at(path.parent, options)
    ids = UniqueIds(file=file, hint="give each supervision its own, and do not cut one in two")
    return ids.check(
        (number, utterance) for number, record in read_objects(file) for utterance in _read_cut(record, root, options)
    )


def _read_cut(cut: RecordReader, root: AudioRoot, options: ReadOptions) -> Iterator[Utterance]:
    kind, recorded = cut.string("type") or "MonoCut", cut.nested("recording")
    if kind not in ("MonoCut", "Cut", "MultiCut"):
        raise cut.error(f"is a {kind}, not a part of one recording; save its audio and make a cut of that")
    if recorded is None:
        raise cut.error("the cut has no 'recording' (engines cannot transcribe features alone); add it")
    recording, start = _read_recording(recorded, root), cut.seconds("start") or 0.0
    supervisions = cut.list("supervisions")
    for record in supervisions:
        yield _utterance(record, recording, options, start=start)
    if supervisions:
        return
    if options.require_text:
        raise cut.error("the cut has no supervision; add one, or do without references (require_text=False)")
    audio = recording.slice(start, cut.seconds("duration"), cut.error)
    yield Utterance(id=cut.name("id"), audio=audio, recording=recorded.label("id"))


def _utterance(record: RecordReader, recording: _Recording, options: ReadOptions, *, start: float = 0.0) -> Utterance:
    """Return the utterance of a supervision, whose own start is relative to *start*."""
    text = record.reference("text", is_required=options.require_text)
    begin = start + (record.number("start") or 0.0)
    return Utterance(
        id=record.name("id"),
        audio=recording.slice(begin, record.seconds("duration"), record.error),
        text=text,
        language=record.string("language"),
        speaker=record.label("speaker"),
        recording=record.label("recording_id"),
    )


def _read_recording(record: RecordReader, root: AudioRoot) -> _Recording:
    """Return a recording that is one channel of one file, unchanged; refuse others."""
    name = record.name("id")
    sources = record.list("sources")
    channels: list[Any] = []
    for source in sources:
        own = source.values.get("channels", [0])
        if not isinstance(own, list):
            raise source.error("'channels' is not an array")
        channels += own
    if len(sources) != 1 or len(channels) != 1:
        raise record.error(
            f"recording {name!r} has {len(channels)} channels, and asrlab mixes the channels of a file; write each to "
            "a file of its own"
        )
    if record.values.get("transforms"):
        raise record.error(f"recording {name!r} has 'transforms', which only Lhotse applies; save the audio with them")
    kind, named = sources[0].string("type"), sources[0].string("source")
    if kind != "file" or not named:
        never = ", and asrlab never runs a command of a data set" if kind == "command" else ""
        raise record.error(f"recording {name!r} has a source of type {kind!r}{never}; save its audio to a file")
    path = root.audio(named, field="source", error=record.error)
    return _Recording(path=path, duration=record.seconds("duration"))
