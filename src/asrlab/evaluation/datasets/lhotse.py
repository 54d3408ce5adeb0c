"""Lhotse's manifests: recordings with supervisions, or cuts; JSONL, gzipped or not."""

from __future__ import annotations

import math
from functools import partial
from typing import TYPE_CHECKING, Any

import attrs

from asrlab.errors import DatasetError
from asrlab.evaluation.datasets.dataset import Dataset, Utterance
from asrlab.evaluation.datasets.manifest import first_object, objects
from asrlab.evaluation.datasets.paths import AudioRoot, audio_slice
from asrlab.evaluation.datasets.text_file import TextFile, UniqueIds

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from asrlab.audio import AudioFile
    from asrlab.evaluation.datasets.format import ReadOptions
    from asrlab.evaluation.datasets.record_reader import RecordReader


_RECORDINGS, _SUPERVISIONS = "recordings", "supervisions"
_CUTS = ("MonoCut", "MultiCut", "MixedCut", "PaddingCut", "Cut")
_SUFFIXES = (".jsonl", ".jsonl.gz")
_ROUNDING_S = 0.001


def sniff_lhotse(path: Path) -> bool:
    """Whether the first line of *path* is a recording, supervision or cut; or a folder of such files."""
    return bool(_files(path)) if path.is_dir() else _kind(first_object(path)) is not None


def read_lhotse(path: Path, options: ReadOptions) -> Dataset:
    """One utterance for each supervision: its own stretch of its recording, wherever a cut begins and ends.

    Args:
        path: Cuts; or one of two files beside each other whose names differ by ``recordings`` and ``supervisions``; or
            a folder with one such pair or file. Relative paths in it begin in its folder.
        options: What is asked of every reader.

    The recordings of a pair are held in memory, by id, path, length and channels; everything else is read line by line.

    Raises:
        DatasetError: There is no such file, its counterpart is missing, or there are several; while iterating: a line
            cannot be read, with its number; a source is no file (a command is never run, nothing is fetched); a
            recording has several channels or transforms; a cut is mixed or padding; a supervision has no text, or a cut
            no supervision, where a reference is required.

    Source: Lhotse 1.33, ``audio/recording.py``, ``supervision.py``, ``cut/mono.py``.
    """
    place = _one(path)
    root = AudioRoot.of(place.absolute().parent, allow_external_audio=options.allow_external_audio)
    if path.is_dir():
        root.check(place.absolute())
    kind = _kind(first_object(place))
    if kind is None:
        raise DatasetError(
            f"{place} is no Lhotse manifest: its first line is no recording, supervision or cut; save it as JSONL with "
            "to_file('NAME.jsonl.gz')",
            path=place,
        )
    source = f"Lhotse manifest {place}"
    if kind == "cuts":
        return Dataset(name=place.name, source=source, read=partial(_of_cuts, place.absolute(), options))
    recordings, supervisions = _pair(place.absolute())
    root.check_all(other for other in (recordings, supervisions) if other != place.absolute())
    read = partial(_of_supervisions, recordings, supervisions, options)
    return Dataset(name=supervisions.name, source=source, read=read)


def _kind(first: dict[str, Any]) -> str | None:
    if first.get("type") in _CUTS or {"recording", "start"} <= first.keys():
        return "cuts"
    if {"id", "sources", "sampling_rate"} <= first.keys():
        return _RECORDINGS
    return _SUPERVISIONS if {"id", "recording_id", "start", "duration"} <= first.keys() else None


def _files(folder: Path) -> list[Path]:
    """The supervisions and cuts of a folder."""
    named = [path for suffix in _SUFFIXES for path in folder.glob(f"*{suffix}")]
    wanted = [path for path in sorted(named) if _SUPERVISIONS in path.name or "cuts" in path.name]
    return [path for path in wanted if _kind(first_object(path)) is not None]


def _one(path: Path) -> Path:
    if not path.is_dir():
        return path
    found = _files(path)
    if len(found) != 1:
        problem = f"several; give one: {', '.join(map(str, found))}" if found else "none; give a file"
        raise DatasetError(f"of Lhotse's supervisions and cuts (.jsonl, .jsonl.gz) {path} holds {problem}", path=path)
    return found[0]


def _pair(path: Path) -> tuple[Path, Path]:
    """The recordings and the supervisions, of which *path* is one."""
    head, found, tail = path.name.rpartition(_RECORDINGS)
    if not found:
        head, found, tail = path.name.rpartition(_SUPERVISIONS)
    recordings, supervisions = (path.with_name(f"{head}{name}{tail}") for name in (_RECORDINGS, _SUPERVISIONS))
    for other in (recordings, supervisions):
        if not found or not other.is_file():
            missing = f"there is no {other.name}" if found else "its name has neither word in it"
            raise DatasetError(
                f"{path} is one of a pair of files called alike but for 'recordings' and 'supervisions', and {missing};"
                " put both in one folder, or save cuts",
                path=path,
            )
    return recordings, supervisions


@attrs.frozen(kw_only=True)
class _Recording:
    """A recording that can be read: one channel of one file."""

    path: Path
    duration: float | None

    def part(self, start: float, duration: float | None, error: Callable[[str], DatasetError]) -> Path | AudioFile:
        """A stretch of it; the path where that is all."""
        if -_ROUNDING_S < start < 0:
            start = 0.0
        if start < 0 or not math.isfinite(start):
            raise error(f"the supervision starts at {start:g} s of its recording; it must be 0 or more")
        end = math.inf if duration is None else start + duration
        if start == 0 and self.duration is not None and abs(end - self.duration) < _ROUNDING_S:
            return self.path
        return audio_slice(self.path, offset=start, duration=duration, error=error)


def _of_supervisions(recordings: Path, supervisions: Path, options: ReadOptions) -> Iterator[Utterance]:
    root = AudioRoot.of(recordings.parent, allow_external_audio=options.allow_external_audio)
    there = {_needed(fields, "id"): _recording(fields, root) for _, fields in objects(TextFile(path=recordings))}
    lines = TextFile(path=supervisions)
    seen = UniqueIds(lines=lines, hint="give each its own")
    for number, fields in objects(lines):
        recording = there.get(_needed(fields, "recording_id"))
        if recording is None:
            raise fields.error(f"the recording {fields.label('recording_id')!r} is not in {recordings.name}")
        utterance = _utterance(fields, recording, options)
        seen.check(utterance.id, number)
        yield utterance


def _of_cuts(place: Path, options: ReadOptions) -> Iterator[Utterance]:
    lines = TextFile(path=place)
    root = AudioRoot.of(place.parent, allow_external_audio=options.allow_external_audio)
    seen = UniqueIds(lines=lines, hint="give each supervision its own, and do not cut one in two")
    for number, fields in objects(lines):
        for utterance in _of_cut(fields, root, options):
            seen.check(utterance.id, number)
            yield utterance


def _of_cut(cut: RecordReader, root: AudioRoot, options: ReadOptions) -> Iterator[Utterance]:
    kind, recorded = cut.string("type") or "MonoCut", cut.nested("recording")
    if kind not in ("MonoCut", "Cut", "MultiCut"):
        raise cut.error(f"is a {kind}, which is no stretch of one recording; save its audio and make a cut of that")
    if recorded is None:
        raise cut.error("the cut has no 'recording' (of features alone no engine can transcribe); add it")
    recording, start = _recording(recorded, root), cut.seconds("start") or 0.0
    supervisions = cut.several("supervisions")
    for fields in supervisions:
        yield _utterance(fields, recording, options, start=start)
    if supervisions:
        return
    if options.require_text:
        raise cut.error("the cut has no supervision; add one, or do without references (require_text=False)")
    audio = recording.part(start, cut.seconds("duration"), cut.error)
    yield Utterance(id=_needed(cut, "id"), audio=audio, recording=recorded.label("id"))


def _utterance(fields: RecordReader, recording: _Recording, options: ReadOptions, *, start: float = 0.0) -> Utterance:
    """A supervision, whose own start counts from *start*."""
    text = fields.string("text")
    if text is None and options.require_text:
        raise fields.error("there is no 'text'; add the reference, or do without (require_text=False)")
    begin = start + (fields.number("start") or 0.0)
    return Utterance(
        id=_needed(fields, "id"),
        audio=recording.part(begin, fields.seconds("duration"), fields.error),
        text=text,
        language=fields.string("language"),
        speaker=fields.label("speaker"),
        recording=fields.label("recording_id"),
    )


def _recording(fields: RecordReader, root: AudioRoot) -> _Recording:
    """A recording.

    Raises:
        DatasetError: It is not one channel of one file, as it is on the disk.
    """
    name = _needed(fields, "id")
    sources = fields.several("sources")
    channels = [channel for source in sources for channel in _channels(source)]
    if len(sources) != 1 or len(channels) != 1:
        raise fields.error(
            f"recording {name!r} has {len(channels)} channels, and asrlab mixes the channels of a file; write each to "
            "a file of its own"
        )
    if fields.values.get("transforms"):
        raise fields.error(f"recording {name!r} has 'transforms', which only Lhotse applies; save the audio with them")
    kind, named = sources[0].string("type"), sources[0].string("source")
    if kind != "file" or not named:
        never = ", and asrlab never runs what a data set says" if kind == "command" else ""
        raise fields.error(f"recording {name!r} has a source of type {kind!r}{never}; save its audio to a file")
    path = root.audio(named, field="source", error=fields.error)
    return _Recording(path=path, duration=fields.seconds("duration"))


def _channels(source: RecordReader) -> list[Any]:
    channels = source.values.get("channels", [0])
    if not isinstance(channels, list):
        raise source.error("'channels' is no array")
    return channels


def _needed(fields: RecordReader, key: str) -> str:
    found = fields.label(key)
    if found is None:
        raise fields.error(f"there is no '{key}'; every line needs one")
    return found
