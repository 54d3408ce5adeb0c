"""Folders of audio with text files: same-named ``.txt`` files, and LibriSpeech's tree."""

from __future__ import annotations

import re
import unicodedata
from functools import partial
from typing import TYPE_CHECKING

import attrs

from asrlab.errors import DatasetError
from asrlab.evaluation.datasets.dataset import Dataset, Utterance
from asrlab.evaluation.datasets.paths import AUDIO_SUFFIXES, AudioRoot, audio_by_stem
from asrlab.evaluation.datasets.text_file import TextFile, UniqueIds

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from asrlab.evaluation.datasets.dataset import ReadOptions

_MAX_SHOWN = 3
_MAX_TEXT_BYTES = 64 * 2**20


@attrs.frozen(kw_only=True)
class _PairedFiles:
    """The files of a folder by utterance id."""

    audio: dict[str, Path] = attrs.field(factory=dict)
    text: dict[str, Path] = attrs.field(factory=dict)


def sniff_folder(path: Path) -> bool:
    """Return True if *path* is a folder that directly holds audio with a ``.txt`` of the same name."""
    files = [entry for entry in path.iterdir() if not entry.name.startswith(".")] if path.is_dir() else []
    texts = {file.stem for file in files if file.suffix.lower() == ".txt"}
    return any(file.stem in texts for file in files if file.suffix.lower() in AUDIO_SUFFIXES)


def read_folder(path: Path, options: ReadOptions) -> Dataset:
    """Return the audio in a folder and its subfolders, ordered by id.

    An utterance's id is its path in the folder without the suffix, with ``/`` between, in Unicode's form NFC. The
    reference is read as UTF-8, with or without a byte order mark, and stripped. Hidden files and folders are ignored.
    The names are read now, the references when iterated.

    Links to folders within the folder are not followed, since those are read themselves. Links that lead out of the
    folder are refused, or followed if external files are allowed.
    """
    # absolute, since the working directory may change before the data set is iterated
    files = _collect(AudioRoot.at(path.absolute(), options))
    if not files.audio:
        raise DatasetError(f"folder {path} holds no audio{_manifest_hint(path)}", path=path)
    _check_paired(path.absolute(), files, require_text=options.require_text)
    return Dataset(
        name=path.resolve().name,
        source=f"folder {path}",
        read=partial(_read_pairs, files),
        length=len(files.audio),
    )


def _read_pairs(files: _PairedFiles) -> Iterator[Utterance]:
    for name in sorted(files.audio):
        text = _read_text(files.text[name]) if name in files.text else None
        yield Utterance(id=name, audio=files.audio[name], text=text)


def _collect(root: AudioRoot) -> _PairedFiles:
    files = _PairedFiles()
    for folder, names in root.walk(is_hidden=lambda name: name.startswith(".")):
        for path in (folder / name for name in names):
            suffix = path.suffix.lower()
            if suffix == ".txt":
                _add(files.text, root.check(path), root.folder)
            elif suffix in AUDIO_SUFFIXES:
                _add(files.audio, root.check(path, is_audio=True), root.folder)
    return files


def _add(files: dict[str, Path], path: Path, root: Path) -> None:
    # composed, since macOS writes decomposed names and the id must not depend on the system that copied the folder
    name = unicodedata.normalize("NFC", path.relative_to(root).with_suffix("").as_posix())
    try:
        name.encode()
    except UnicodeEncodeError as error:
        raise DatasetError(f"the file name {str(path)!r} is not valid UTF-8; rename it", path=path) from error
    if name in files:
        raise DatasetError(
            f"{files[name]} and {path} would both be utterance {name!r}; rename or remove one of them", path=path
        )
    files[name] = path


def _check_paired(root: Path, files: _PairedFiles, *, require_text: bool) -> None:
    without_audio = sorted(files.text.keys() - files.audio.keys())
    without_text = sorted(files.audio.keys() - files.text.keys()) if require_text else []
    problems = [
        _shortlist([files.audio[name] for name in without_text], root, "without a same-named .txt"),
        _shortlist([files.text[name] for name in without_audio], root, "without same-named audio"),
    ]
    if any(problems):
        hint = "; add the missing files or move these away"
        hint += ", or accept audio without a reference (require_text=False)" if without_text else ""
        raise DatasetError(f"folder {root} holds {' and '.join(filter(None, problems))}{hint}", path=root)


def _shortlist(paths: Sequence[Path], root: Path, problem: str) -> str:
    if not paths:
        return ""
    shown = ", ".join(path.relative_to(root).as_posix() for path in paths[:_MAX_SHOWN])
    more = f", ... ({len(paths)} in all)" if len(paths) > _MAX_SHOWN else ""
    return f"{shown}{more} {problem}"


def _manifest_hint(root: Path) -> str:
    manifests = sorted(root.glob("*.jsonl")) or sorted(root.glob("*.json"))
    if manifests:
        return f"; if {manifests[0].name} is its manifest, give that: {manifests[0]}"
    return f" (files ending in {', '.join(AUDIO_SUFFIXES)})"


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
_SPACE = re.compile(r"[ \t]+")


def sniff_librispeech(path: Path) -> bool:
    """Return True if *path* is a folder with ``*.trans.txt``, directly or up to four folders below."""
    return path.is_dir() and any(True for depth in _DEPTHS for _ in path.glob(f"{depth}*{_TRANSCRIPTS_SUFFIX}"))


def read_librispeech(path: Path, options: ReadOptions) -> Dataset:
    """Return all chapters below a folder, ordered by name, each read while it is iterated.

    A line of ``*.trans.txt`` has an id and the text. The audio has the id as its name, in the same folder, with any
    suffix of audio. Speaker and recording come from the path: of ``84/121123/84-121123.trans.txt``, ``84`` and
    ``84-121123``.

    Source: LibriSpeech, ``README.TXT``, section 5.
    """
    if not sniff_librispeech(path):
        raise DatasetError(
            f"{path} is not a LibriSpeech tree: no folder in it has a file *{_TRANSCRIPTS_SUFFIX}", path=path
        )
    return Dataset(
        name=path.resolve().name,
        source=f"LibriSpeech tree {path}",
        read=partial(_read_librispeech_tree, path.absolute(), options),
    )


def _read_librispeech_tree(top: Path, options: ReadOptions) -> Iterator[Utterance]:
    root = AudioRoot.at(top, options)
    for folder, names in root.walk():
        for name in names:
            if name.endswith(_TRANSCRIPTS_SUFFIX):
                yield from _read_chapter(root.check(folder / name), top, options)


def _read_chapter(path: Path, top: Path, options: ReadOptions) -> Iterator[Utterance]:
    file, audio = TextFile(path=path), audio_by_stem(path.parent)
    root = AudioRoot.at(path.parent, options, top=top)
    recording = path.name.removesuffix(_TRANSCRIPTS_SUFFIX)
    speaker, _, chapter = recording.partition("-")
    ids = UniqueIds(file=file)
    for number, line in file.lines():
        name, *text = _SPACE.split(line, maxsplit=1)
        ids.add(name, number)
        # a missing file gets LibriSpeech's name for it, and is reported when it is transcribed
        named = audio[name].name if name in audio else f"{name}.flac"
        yield Utterance(
            id=name,
            audio=root.audio(named, field="id", error=partial(file.error, number)),
            text=text[0] if text else "",
            speaker=speaker if chapter else path.parent.parent.name,
            recording=recording,
        )
