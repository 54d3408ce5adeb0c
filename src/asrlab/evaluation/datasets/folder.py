"""Folders of audio with text files: same-named ``.txt`` files, LibriSpeech's tree, and Kaldi data directories."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import attrs

from asrlab.errors import DatasetError
from asrlab.evaluation.datasets.dataset import Dataset, ReadOptions, Utterance
from asrlab.evaluation.datasets.paths import AUDIO_SUFFIXES, AudioRoot, audio_by_stem, audio_slice
from asrlab.evaluation.datasets.text_file import RecordReader, TextFile, UniqueIds

type _Error = Callable[[str], DatasetError]
_MAX_SHOWN = 3
_MAX_TEXT_BYTES = 64 * 2**20
_SPACE = re.compile(r"[ \t]+")


def sniff_folder(path: Path) -> bool:
    """Return True if *path* is a folder that directly holds audio with a ``.txt`` of the same name."""
    files = [entry for entry in path.iterdir() if not entry.name.startswith(".")] if path.is_dir() else []
    texts = {file.stem for file in files if file.suffix.lower() == ".txt"}
    return any(file.stem in texts for file in files if file.suffix.lower() in AUDIO_SUFFIXES)


def read_folder(path: Path, options: ReadOptions) -> Dataset:
    """Return the audio in a folder and its subfolders, ordered by id.

    An utterance's id is its path in the folder without the suffix. Hidden files and folders are ignored. The names are
    read now, the references when iterated.
    """
    # absolute, since the working directory may change before the data set is iterated
    root = AudioRoot.at(path.absolute(), options)
    audio, texts = _collect(root)
    if not audio:
        hint = f" (files ending in {', '.join(AUDIO_SUFFIXES)})"
        for manifest in (sorted(path.glob("*.jsonl")) or sorted(path.glob("*.json")))[:1]:
            hint = f"; if {manifest.name} is its manifest, give that: {manifest}"
        raise DatasetError(f"folder {path} holds no audio{hint}", path=path)
    _check_paired(root.folder, audio, texts, require_text=options.require_text)

    def read() -> Iterator[Utterance]:
        for name in sorted(audio):
            yield Utterance(id=name, audio=audio[name], text=_read_text(texts[name]) if name in texts else None)

    return Dataset(name=path.resolve().name, source=f"folder {path}", read=read, length=len(audio))


def _collect(root: AudioRoot) -> tuple[dict[str, Path], dict[str, Path]]:
    """Return the audio and the text files of a folder by utterance id."""
    audio: dict[str, Path] = {}
    texts: dict[str, Path] = {}
    for folder, names in root.walk(is_hidden=lambda name: name.startswith(".")):
        for path in (folder / name for name in names):
            suffix = path.suffix.lower()
            if suffix != ".txt" and suffix not in AUDIO_SUFFIXES:
                continue
            files = texts if suffix == ".txt" else audio
            root.check(path, is_audio=files is audio)
            # composed, since macOS writes decomposed names and the id must not depend on the system that copied them
            name = unicodedata.normalize("NFC", path.relative_to(root.folder).with_suffix("").as_posix())
            try:
                name.encode()
            except UnicodeEncodeError as error:
                problem = f"the file name {str(path)!r} is not valid UTF-8; rename it"
                raise DatasetError(problem, path=path) from error
            first = files.setdefault(name, path)
            if first != path:
                problem = f"{first} and {path} would both be utterance {name!r}; rename or remove one of them"
                raise DatasetError(problem, path=path)
    return audio, texts


def _check_paired(root: Path, audio: dict[str, Path], texts: dict[str, Path], *, require_text: bool) -> None:
    without_text = [audio[name] for name in sorted(audio.keys() - texts.keys()) if require_text]
    without_audio = [texts[name] for name in sorted(texts.keys() - audio.keys())]
    problems = []
    for paths, lacks in ((without_text, "a same-named .txt"), (without_audio, "same-named audio")):
        if paths:
            shown = ", ".join(path.relative_to(root).as_posix() for path in paths[:_MAX_SHOWN])
            more = f", ... ({len(paths)} in all)" if len(paths) > _MAX_SHOWN else ""
            problems.append(f"{shown}{more} without {lacks}")
    if problems:
        hint = "; add the missing files or move these away"
        hint += ", or accept audio without a reference (require_text=False)" if without_text else ""
        raise DatasetError(f"folder {root} holds {' and '.join(problems)}{hint}", path=root)


def _read_text(path: Path) -> str:
    try:
        with path.open("rb") as file:
            data = file.read(_MAX_TEXT_BYTES + 1)
        if len(data) > _MAX_TEXT_BYTES:
            raise DatasetError(f"{path} is longer than {_MAX_TEXT_BYTES >> 20} MiB; is this a text file?", path=path)
        return data.decode("utf-8-sig").strip()
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise DatasetError(f"{path}, line {line}: not UTF-8; save it as UTF-8", path=path, line=line) from error
    except OSError as error:
        raise DatasetError(f"{path} cannot be read ({error.strerror})", path=path) from error


_TRANSCRIPTS_SUFFIX = ".trans.txt"
_DEPTHS = ("", "*/", "*/*/", "*/*/*/", "*/*/*/*/")  # from a chapter's folder to the folder of all parts


def sniff_librispeech(path: Path) -> bool:
    """Return True if *path* is a folder with ``*.trans.txt``, directly or up to four folders below."""
    return path.is_dir() and any(True for depth in _DEPTHS for _ in path.glob(f"{depth}*{_TRANSCRIPTS_SUFFIX}"))


def read_librispeech(path: Path, options: ReadOptions) -> Dataset:
    """Return all chapters below a folder, ordered by name, each read while it is iterated.

    Source: LibriSpeech, ``README.TXT``, section 5.
    """
    if not sniff_librispeech(path):
        problem = f"no folder in it has a file *{_TRANSCRIPTS_SUFFIX}"
        raise DatasetError(f"{path} is not a LibriSpeech tree: {problem}", path=path)
    top = path.absolute()

    def read() -> Iterator[Utterance]:
        root = AudioRoot.at(top, options)
        for folder, names in root.walk():
            for name in names:
                if name.endswith(_TRANSCRIPTS_SUFFIX):
                    yield from _read_chapter(root.check(folder / name), top, options)

    return Dataset(name=path.resolve().name, source=f"LibriSpeech tree {path}", read=read)


def _read_chapter(path: Path, top: Path, options: ReadOptions) -> Iterator[Utterance]:
    file, audio = TextFile(path=path), audio_by_stem(path.parent)
    root = AudioRoot.at(path.parent, options, top=top)
    recording = path.name.removesuffix(_TRANSCRIPTS_SUFFIX)
    speaker, _, chapter = recording.partition("-")
    ids = UniqueIds(file=file)
    for number, name, text in _split_lines(file):
        ids.add(name, number)
        # a missing file gets LibriSpeech's name for it, and is reported when it is transcribed
        named = audio[name].name if name in audio else f"{name}.flac"
        yield Utterance(
            id=name,
            audio=root.audio(named, field="id", error=partial(file.error, number)),
            text=text,
            speaker=speaker if chapter else path.parent.parent.name,
            recording=recording,
        )


def _split_lines(file: TextFile) -> Iterator[tuple[int, str, str]]:
    """Yield each line's number, its first word and its rest."""
    for number, line in file.lines():
        name, *rest = _SPACE.split(line, maxsplit=1)
        yield number, name, rest[0] if rest else ""


_KALDI_FILES = ("wav.scp", "text", "segments", "utt2spk", "utt2lang")
_ARCHIVE_OFFSET = re.compile(r":[0-9]+\Z")  # raw.ark:12
_ARCHIVE_SLICE = re.compile(r":[0-9]+\[")  # raw.ark:12[0:5]


def sniff_kaldi(path: Path) -> bool:
    """Return True if *path* is a folder with a ``wav.scp``."""
    return (path / "wav.scp").is_file()


def read_kaldi(path: Path, options: ReadOptions) -> Dataset:
    """Return the utterances of ``text`` in its order; those of ``segments`` are parts of their recordings.

    All files but ``text`` are kept in memory as strings. Commands in ``wav.scp`` are never run.

    Source: Kaldi, "Data preparation".
    """
    cures = {"wav.scp": "", "text": "; add it, or do without references (require_text=False)"}
    for name in cures if options.require_text else ["wav.scp"]:
        if not (path / name).is_file():
            raise DatasetError(f"{path} is not a Kaldi directory: it has no {name}{cures[name]}", path=path)
    _checked_root(path.absolute(), options)
    read = partial(_read_kaldi, path.absolute(), options)
    return Dataset(name=path.resolve().name, source=f"Kaldi directory {path}", read=read)


def _checked_root(folder: Path, options: ReadOptions) -> AudioRoot:
    """Return the root of the directory; refuse files of it that are links out of it."""
    root = AudioRoot.at(folder, options)
    root.check_all(path for name in _KALDI_FILES if (path := folder / name).is_symlink())
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

    def utterance(self, name: str, text: str | None, error: _Error) -> Utterance:
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


def _read_kaldi(folder: Path, options: ReadOptions) -> Iterator[Utterance]:
    segments = folder / "segments"
    directory = _KaldiDirectory(
        root=_checked_root(folder, options),
        audio=_read_map(folder / "wav.scp", _parse_audio),
        segments=_read_map(segments, partial(_parse_segment, {})) if segments.is_file() else None,
        speakers=_read_map(folder / "utt2spk", partial(_parse_label, {})),
        languages=_read_map(folder / "utt2lang", partial(_parse_label, {})),
    )
    text = TextFile(path=folder / "text")
    ids = UniqueIds(file=text)
    for number, name, words in _split_lines(text) if text.path.is_file() else ():
        ids.add(name, number)
        yield directory.utterance(name, words, partial(text.error, number))
    file, names = ("wav.scp", directory.audio) if directory.segments is None else ("segments", directory.segments)
    for name in names:
        if name not in ids:
            error = partial(directory.error_at, file, name)
            if options.require_text:
                raise error(f"{name!r} has no line in text; add one, or do without references (require_text=False)")
            yield directory.utterance(name, None, error)


def _read_map[Value](path: Path, parse: Callable[[str, str, _Error], Value]) -> dict[str, Value]:
    """Return the parsed lines of a file by their first words; empty if there is no file."""
    values: dict[str, Value] = {}
    file = TextFile(path=path)
    for number, name, rest in _split_lines(file) if path.is_file() else ():
        error = partial(file.error, number)
        value = parse(name, rest, error)
        if name in values:
            raise error(f"{name!r} is on line {_line_number(file, name)} already; remove one of the two")
        values[name] = value
    return values


def _line_number(file: TextFile, name: str) -> int:
    return next(number for number, first, _ in _split_lines(file) if first == name)


def _parse_label(interned: dict[str, str], name: str, label: str, error: _Error) -> str:
    if not label:
        raise error(f"{name!r} has no value")
    return interned.setdefault(label, label)  # a speaker comes a thousand times and is stored once


def _parse_audio(name: str, path: str, error: _Error) -> str:
    """Return the path of an audio file; refuse the other things that ``wav.scp`` may hold."""
    cure = "write its audio to a file and name that"
    if path.endswith("|") or path.startswith("|"):
        never = "asrlab never runs a command of a data set"
        raise error(f"{name!r} is a shell pipe ({path[:80]}), and {never}; {cure}")
    if path == "-":
        raise error(f"{name!r} is standard input; {cure}")
    if (_ARCHIVE_SLICE if path.endswith("]") else _ARCHIVE_OFFSET).search(path):
        raise error(f"{name!r} points into an archive ({path}); {cure}")
    return _parse_label({}, name, path, error)


def _parse_segment(interned: dict[str, str], _name: str, rest: str, error: _Error) -> _KaldiSegment:
    words = _SPACE.split(rest) if rest else []
    if len(words) != 3:
        raise error(f"has {len(words) + 1} fields; it needs 4: utterance, recording, start, end")
    recording, start, end = words
    times = RecordReader(values={"start": start, "end": end}, error=error, is_row=True)
    segment = _KaldiSegment(
        recording=interned.setdefault(recording, recording),
        start=times.seconds("start") or 0.0,
        end=None if times.number("end") == -1 else times.seconds("end"),  # -1 is the end of the recording
    )
    if segment.end is not None and segment.end <= segment.start:
        raise error(f"'end' is {end}; it must be after 'start', which is {start}")
    return segment
