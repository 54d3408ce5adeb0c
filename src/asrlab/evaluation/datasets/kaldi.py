"""Kaldi data directories: ``wav.scp``, ``text``, and optional ``segments``, ``utt2spk`` and ``utt2lang``."""

from __future__ import annotations

import re
from functools import partial
from typing import TYPE_CHECKING

import attrs

from asrlab.errors import DatasetError
from asrlab.evaluation.datasets.dataset import Dataset, Utterance
from asrlab.evaluation.datasets.paths import AudioRoot, audio_slice
from asrlab.evaluation.datasets.text_file import RecordReader, TextFile, UniqueIds

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from asrlab.evaluation.datasets.dataset import ReadOptions


_FILES = ("wav.scp", "text", "segments", "utt2spk", "utt2lang")
_SPACE = re.compile(r"[ \t]+")
_ARCHIVE_OFFSET = re.compile(r":[0-9]+\Z")  # raw.ark:12
_ARCHIVE_SLICE = re.compile(r":[0-9]+\[")  # raw.ark:12[0:5]


def sniff_kaldi(path: Path) -> bool:
    """Return True if *path* is a folder with a ``wav.scp``."""
    return (path / "wav.scp").is_file()


def read_kaldi(path: Path, options: ReadOptions) -> Dataset:
    """Return the utterances of ``text`` in its order; those of ``segments`` are parts of their recordings.

    Relative paths begin in the directory, not in the working directory of a recipe. ``wav.scp``, ``segments``,
    ``utt2spk`` and ``utt2lang`` are kept in memory as strings; ``text`` is read line by line. Commands in ``wav.scp``
    are never run.

    Source: Kaldi, "Data preparation".
    """
    for name in ("wav.scp", *(("text",) if options.require_text else ())):
        if not (path / name).is_file():
            raise DatasetError(
                f"{path} is not a Kaldi directory: it has no {name}"
                + ("; add it, or do without references (require_text=False)" if name == "text" else ""),
                path=path,
            )
    _checked_root(path.absolute(), options)
    read = partial(_read_utterances, path.absolute(), options)
    return Dataset(name=path.resolve().name, source=f"Kaldi directory {path}", read=read)


def _checked_root(folder: Path, options: ReadOptions) -> AudioRoot:
    """Return the root of the directory; refuse files of it that are links out of it."""
    root = AudioRoot.at(folder, options)
    root.check_all(path for name in _FILES if (path := folder / name).is_symlink())
    return root


@attrs.frozen(kw_only=True)
class _KaldiSegment:
    """A line of ``segments``; or, without times, a whole recording."""

    recording: str
    start: float = 0.0
    end: float | None = None


@attrs.frozen(kw_only=True)
class _KaldiDirectory:
    """The contents of all files but ``text``."""

    root: AudioRoot
    audio: dict[str, str]
    segments: dict[str, _KaldiSegment] | None
    speakers: dict[str, str]
    languages: dict[str, str]

    def utterance(self, name: str, text: str | None, error: Callable[[str], DatasetError]) -> Utterance:
        """Combine the entries of utterance *name* in all files."""
        segment = self.segments.get(name) if self.segments is not None else _KaldiSegment(recording=name)
        if segment is None or segment.recording not in self.audio:
            missing, file = (name, "segments") if segment is None else (segment.recording, "wav.scp")
            raise error(f"{missing!r} is not in {file}; add it there, or remove the line")
        path = self.root.audio(
            self.audio[segment.recording],
            field=segment.recording,
            error=partial(self.error_at, "wav.scp", segment.recording),
        )
        duration = None if segment.end is None else segment.end - segment.start
        return Utterance(
            id=name,
            audio=audio_slice(path, offset=segment.start, duration=duration, error=error),
            text=text,
            language=self.languages.get(name),
            speaker=self.speakers.get(name),
            recording=segment.recording if self.segments is not None else None,
        )

    def error_at(self, name: str, entry: str, problem: str) -> DatasetError:
        """Return an error for the line of file *name* that begins with *entry*; find the line only now."""
        file = TextFile(path=self.root.folder / name)
        return file.error(_line_number(file, entry), problem)


def _read_utterances(folder: Path, options: ReadOptions) -> Iterator[Utterance]:
    directory = _read_directory(folder, options)
    text = TextFile(path=folder / "text")
    ids = UniqueIds(file=text)
    for number, name, words in _read_pairs(text) if text.path.is_file() else ():
        ids.add(name, number)
        yield directory.utterance(name, words, partial(text.error, number))
    file, names = ("wav.scp", directory.audio) if directory.segments is None else ("segments", directory.segments)
    for name in names:
        if name not in ids:
            error = partial(directory.error_at, file, name)
            if options.require_text:
                raise error(f"{name!r} has no line in text; add one, or do without references (require_text=False)")
            yield directory.utterance(name, None, error)


def _read_directory(folder: Path, options: ReadOptions) -> _KaldiDirectory:
    segments = folder / "segments"
    root = _checked_root(folder, options)
    return _KaldiDirectory(
        root=root,
        audio=_read_map(folder / "wav.scp", find_problem=_wav_problem),
        segments=_read_segments(TextFile(path=segments)) if segments.is_file() else None,
        speakers=_read_map(folder / "utt2spk"),
        languages=_read_map(folder / "utt2lang"),
    )


def _read_pairs(file: TextFile) -> Iterator[tuple[int, str, str]]:
    """Yield each line's number, its first word and its rest."""
    for number, line in file.lines():
        name, *rest = _SPACE.split(line, maxsplit=1)
        yield number, name, rest[0] if rest else ""


def _line_number(file: TextFile, name: str) -> int:
    return next(number for number, first, _ in _read_pairs(file) if first == name)


def _read_map(path: Path, *, find_problem: Callable[[str, str], str | None] | None = None) -> dict[str, str]:
    """Return the lines of a file by their first words; empty if there is no file."""
    values: dict[str, str] = {}
    interned: dict[str, str] = {}  # a speaker comes a thousand times and is stored once
    file = TextFile(path=path)
    for number, name, value in _read_pairs(file) if path.is_file() else ():
        problem = (find_problem and find_problem(name, value)) or ("" if value else f"{name!r} has no value")
        if problem:
            raise file.error(number, problem)
        if name in values:
            raise _repeated(file, number, name)
        values[name] = interned.setdefault(value, value)
    return values


def _repeated(file: TextFile, number: int, name: str) -> DatasetError:
    return file.error(number, f"{name!r} is on line {_line_number(file, name)} already; remove one of the two")


def _wav_problem(name: str, value: str) -> str | None:
    """Return the reason why a line of ``wav.scp`` names no audio file; None if it does."""
    if value.endswith("|") or value.startswith("|"):
        return (
            f"{name!r} is a shell pipe ({value[:80]}), and asrlab never runs a command of a data set; write its audio "
            "to a file and name that"
        )
    if value == "-":
        return f"{name!r} is standard input; write its audio to a file and name that"
    if (_ARCHIVE_SLICE if value.endswith("]") else _ARCHIVE_OFFSET).search(value):
        return f"{name!r} points into an archive ({value}); write its audio to a file and name that"
    return None


def _read_segments(file: TextFile) -> dict[str, _KaldiSegment]:
    segments: dict[str, _KaldiSegment] = {}
    interned: dict[str, str] = {}
    for number, line in file.lines():
        words = _SPACE.split(line)
        if len(words) != 4:
            raise file.error(number, f"has {len(words)} fields; it needs 4: utterance, recording, start, end")
        name, recording, start, end = words
        times = RecordReader(values={"start": start, "end": end}, error=partial(file.error, number), is_row=True)
        segment = _KaldiSegment(
            recording=interned.setdefault(recording, recording),
            start=times.seconds("start") or 0.0,
            end=None if times.number("end") == -1 else times.seconds("end"),  # -1 is the end of the recording
        )
        if segment.end is not None and segment.end <= segment.start:
            raise file.error(number, f"'end' is {end}; it must be after 'start', which is {start}")
        if name in segments:
            raise _repeated(file, number, name)
        segments[name] = segment
    return segments
