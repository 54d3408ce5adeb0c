"""Kaldi's data directory: ``wav.scp``, ``text``, and perhaps ``segments``, ``utt2spk`` and ``utt2lang``."""

from __future__ import annotations

import re
from functools import partial
from typing import TYPE_CHECKING

import attrs

from asrlab.errors import DatasetError
from asrlab.evaluation.datasets.dataset import Dataset, Utterance
from asrlab.evaluation.datasets.paths import AudioRoot, audio_slice
from asrlab.evaluation.datasets.record_reader import RecordReader
from asrlab.evaluation.datasets.text_file import TextFile, UniqueIds

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from asrlab.audio import AudioFile
    from asrlab.evaluation.datasets.format import ReadOptions


_FILES = ("wav.scp", "text", "segments", "utt2spk", "utt2lang")
_SPACE = re.compile(r"[ \t]+")
_OFFSET = re.compile(r":[0-9]+\Z")
_SLICE = re.compile(r":[0-9]+\[")


def sniff_kaldi(path: Path) -> bool:
    """Whether *path* is a folder with a ``wav.scp``."""
    return (path / "wav.scp").is_file()


def read_kaldi(path: Path, options: ReadOptions) -> Dataset:
    """The utterances of ``text``, in its order; those of ``segments`` are parts of their recordings.

    Relative paths begin in the directory, and not in the one that a recipe is run from. ``wav.scp``, ``segments``,
    ``utt2spk`` and ``utt2lang`` are held in memory, as strings; ``text`` is read line by line. Nothing in
    ``wav.scp`` is ever run.

    Raises:
        DatasetError: There is no ``wav.scp``, or no ``text`` where one is required; while iterating: a line cannot be
            read, with its file and number; ``wav.scp`` has a shell pipe, an archive or standard input; an utterance has
            no audio, no end, or no text where one is required.

    Source: Kaldi, "Data preparation".
    """
    for name in ("wav.scp", *(("text",) if options.require_text else ())):
        if not (path / name).is_file():
            raise DatasetError(
                f"{path} is no Kaldi directory: it has no {name}"
                + ("; add it, or do without references (require_text=False)" if name == "text" else ""),
                path=path,
            )
    _checked_root(path.absolute(), options)
    read = partial(_utterances, path.absolute(), options)
    return Dataset(name=path.resolve().name, source=f"Kaldi directory {path}", read=read)


@attrs.frozen(kw_only=True)
class _Segment:
    """A line of ``segments``; or, without times, the whole of a recording."""

    recording: str
    start: float = 0.0
    end: float | None = None


@attrs.frozen(kw_only=True)
class _Directory:
    """All files but ``text``."""

    root: AudioRoot
    audio: dict[str, str]
    segments: dict[str, _Segment] | None
    speakers: dict[str, str]
    languages: dict[str, str]

    def utterance(self, name: str, text: str | None, error: Callable[[str], DatasetError]) -> Utterance:
        """The utterance *name*, with what the other files have of it."""
        segment = self.segments.get(name) if self.segments is not None else _Segment(recording=name)
        if segment is None or segment.recording not in self.audio:
            what, there = (name, "segments") if segment is None else (segment.recording, "wav.scp")
            raise error(f"{what!r} is not in {there}; add it there, or remove the line")
        return Utterance(
            id=name,
            audio=self._audio(segment, error),
            text=text,
            language=self.languages.get(name),
            speaker=self.speakers.get(name),
            recording=segment.recording if self.segments is not None else None,
        )

    def _audio(self, segment: _Segment, error: Callable[[str], DatasetError]) -> Path | AudioFile:
        named, name = self.audio[segment.recording], segment.recording
        path = self.root.audio(named, field=name, error=lambda problem: self.error_at("wav.scp", name, problem))
        duration = None if segment.end is None else segment.end - segment.start
        return audio_slice(path, offset=segment.start, duration=duration, error=error)

    def error_at(self, file: str, name: str, problem: str) -> DatasetError:
        """An error at the line of *file* that begins with *name*, which is looked for only now."""
        lines = TextFile(path=self.root.folder / file)
        return lines.error(_line_of(lines, name), problem)


def _utterances(place: Path, options: ReadOptions) -> Iterator[Utterance]:
    there = _directory(place, options)
    text = TextFile(path=place / "text")
    seen = UniqueIds(lines=text, hint="remove one of the two")
    for number, name, words in _pairs(text) if text.path.is_file() else ():
        seen.check(name, number)
        yield there.utterance(name, words, partial(text.error, number))
    file, names = ("wav.scp", there.audio) if there.segments is None else ("segments", there.segments)
    for name in names:
        if name not in seen:
            error = partial(there.error_at, file, name)
            if options.require_text:
                raise error(f"{name!r} has no line in text; add one, or do without references (require_text=False)")
            yield there.utterance(name, None, error)


def _directory(place: Path, options: ReadOptions) -> _Directory:
    segments = place / "segments"
    root = _checked_root(place, options)
    return _Directory(
        root=root,
        audio=_map(place / "wav.scp", check=_check_file),
        segments=_segments(TextFile(path=segments)) if segments.is_file() else None,
        speakers=_map(place / "utt2spk"),
        languages=_map(place / "utt2lang"),
    )


def _checked_root(place: Path, options: ReadOptions) -> AudioRoot:
    """The directory, whose files do not lead out of it.

    Raises:
        DatasetError: One does.
    """
    root = AudioRoot.of(place, allow_external_audio=options.allow_external_audio)
    root.check_all(path for name in _FILES if (path := place / name).is_symlink())
    return root


def _pairs(lines: TextFile) -> Iterator[tuple[int, str, str]]:
    """Each line's number, its first word, and the rest."""
    for number, line in lines.text():
        name, *rest = _SPACE.split(line, maxsplit=1)
        yield number, name, rest[0] if rest else ""


def _line_of(lines: TextFile, name: str) -> int:
    return next(number for number, first, _ in _pairs(lines) if first == name)


def _map(path: Path, *, check: Callable[[str, str], str | None] | None = None) -> dict[str, str]:
    """The lines of a file by their first words; empty where there is no file."""
    found: dict[str, str] = {}
    known: dict[str, str] = {}  # a speaker is written a thousand times and kept once
    lines = TextFile(path=path)
    for number, name, value in _pairs(lines) if path.is_file() else ():
        problem = (check and check(name, value)) or ("" if value else f"{name!r} has nothing behind it")
        if problem:
            raise lines.error(number, problem)
        if name in found:
            raise _twice(lines, number, name)
        found[name] = known.setdefault(value, value)
    return found


def _twice(lines: TextFile, number: int, name: str) -> DatasetError:
    return lines.error(number, f"{name!r} is on line {_line_of(lines, name)} already; remove one of the two")


def _check_file(name: str, value: str) -> str | None:
    """What keeps a line of ``wav.scp`` from naming a file."""
    if value.endswith("|") or value.startswith("|"):
        return (
            f"{name!r} is a shell pipe ({value[:80]}), and asrlab never runs what a data set says; write its audio "
            "to a file and name that"
        )
    if value == "-":
        return f"{name!r} is standard input; write its audio to a file and name that"
    if _is_in_archive(value):
        return f"{name!r} points into an archive ({value}); write its audio to a file and name that"
    return None


def _is_in_archive(value: str) -> bool:
    """Whether a value is like ``raw.ark:12`` or ``raw.ark:12[0:5]``."""
    return (_SLICE if value.endswith("]") else _OFFSET).search(value) is not None


def _segments(lines: TextFile) -> dict[str, _Segment]:
    found: dict[str, _Segment] = {}
    known: dict[str, str] = {}
    for number, line in lines.text():
        words = _SPACE.split(line)
        if len(words) != 4:
            raise lines.error(number, f"has {len(words)} fields; it needs 4: utterance, recording, start, end")
        name, recording, start, end = words
        times = RecordReader(values={"start": start, "end": end}, error=partial(lines.error, number), written=True)
        segment = _Segment(
            recording=known.setdefault(recording, recording), start=times.seconds("start") or 0.0, end=_end(times)
        )
        if segment.end is not None and segment.end <= segment.start:
            raise lines.error(number, f"'end' is {end}; it must be after 'start', which is {start}")
        if name in found:
            raise _twice(lines, number, name)
        found[name] = segment
    return found


def _end(times: RecordReader) -> float | None:
    """Where a segment ends; None for -1, which is Kaldi's word for the end of the recording."""
    return None if times.number("end") == -1 else times.seconds("end")
