"""A folder of audio, each file with its reference in a ``.txt`` of the same name."""

from __future__ import annotations

import unicodedata
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import attrs

from asrlab.errors import DatasetError
from asrlab.evaluation.datasets.dataset import Dataset, Utterance
from asrlab.evaluation.datasets.manifest import first_object, objects
from asrlab.evaluation.datasets.paths import AUDIO_SUFFIXES, AudioRoot
from asrlab.evaluation.datasets.tabular import UtteranceColumns, header_of, table_utterances
from asrlab.evaluation.datasets.text_file import TextFile, UniqueIds, first_line

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from asrlab.evaluation.datasets.format import ExternalAudioPolicy, ReadOptions

_SHOWN = 3
_MAX_TEXT_BYTES = 64 * 2**20


@attrs.frozen(kw_only=True)
class _Files:
    """The files of a folder by utterance id."""

    audio: dict[str, Path] = attrs.field(factory=dict)
    text: dict[str, Path] = attrs.field(factory=dict)


def sniff_folder(path: Path) -> bool:
    """Whether *path* is a folder that holds, itself, audio with a ``.txt`` of the same name."""
    names = [entry for entry in path.iterdir() if not entry.name.startswith(".")] if path.is_dir() else []
    texts = {name.stem for name in names if name.suffix.lower() == ".txt"}
    return any(name.stem in texts for name in names if name.suffix.lower() in AUDIO_SUFFIXES)


def read_folder(path: Path, *, require_text: bool = True, allow_external_audio: ExternalAudioPolicy = False) -> Dataset:
    """The audio in *path* and its subfolders, in the order of the ids.

    An utterance's id is its path in the folder without the ending, with ``/`` between, in Unicode's composed form
    (NFC). The reference is read as UTF-8, with or without a byte order mark, without the space around it. Hidden files
    and folders are left out. The names are read now, the references when iterated.

    Linked folders in the folder are not followed, since what is in them is read where it is. Links that lead out of the
    folder are refused unless they are allowed, and then followed.

    Args:
        path: The folder.
        require_text: Audio without a ``.txt`` is an error; False gives it ``text=None``.
        allow_external_audio: Accept links that lead out of the folder.

    Raises:
        DatasetError: There is no audio, a link leads out of the folder, two audio files share an id, a ``.txt`` has no
            audio or, where it is required, audio has no ``.txt``; while iterating: a ``.txt`` cannot be read.
    """
    # absolute, since the working directory may be another when it is iterated
    files = _collect(AudioRoot.of(path.absolute(), allow_external_audio=allow_external_audio))
    if not files.audio:
        raise DatasetError(f"folder {path} holds no audio{_manifest_hint(path)}", path=path)
    _check_paired(path.absolute(), files, require_text=require_text)
    return Dataset(
        name=path.resolve().name,
        source=f"folder {path}",
        read=partial(_pair_utterances, files),
        length=len(files.audio),
    )


def _pair_utterances(files: _Files) -> Iterator[Utterance]:
    for name in sorted(files.audio):
        text = _read_text(files.text[name]) if name in files.text else None
        yield Utterance(id=name, audio=files.audio[name], text=text)


def _collect(root: AudioRoot) -> _Files:
    files = _Files()
    for folder, names in root.walk(is_hidden=_is_hidden):
        for path in (folder / name for name in names):
            suffix = path.suffix.lower()
            if suffix == ".txt":
                _add(files.text, root.check(path), root.folder)
            elif suffix in AUDIO_SUFFIXES:
                _add(files.audio, root.check(path, is_audio=True), root.folder)
    return files


def _is_hidden(name: str) -> bool:
    return name.startswith(".")


def _add(files: dict[str, Path], path: Path, root: Path) -> None:
    name = _id(path, root)
    if name in files:
        raise DatasetError(
            f"{files[name]} and {path} would both be utterance {name!r}; rename or remove one of them", path=path
        )
    files[name] = path


def _id(path: Path, root: Path) -> str:
    # composed, since macOS writes decomposed names and the id should not depend on who copied the folder
    name = unicodedata.normalize("NFC", path.relative_to(root).with_suffix("").as_posix())
    try:
        name.encode()
    except UnicodeEncodeError as error:
        raise DatasetError(f"the file name {str(path)!r} is not valid UTF-8; rename it", path=path) from error
    return name


def _check_paired(root: Path, files: _Files, *, require_text: bool) -> None:
    without_audio = sorted(files.text.keys() - files.audio.keys())
    without_text = sorted(files.audio.keys() - files.text.keys()) if require_text else []
    problems = [
        _few([files.audio[name] for name in without_text], root, "without a same-named .txt"),
        _few([files.text[name] for name in without_audio], root, "without same-named audio"),
    ]
    if any(problems):
        hint = "; add the missing files or move these away"
        hint += ", or let audio go without a reference (require_text=False)" if without_text else ""
        raise DatasetError(f"folder {root} holds {' and '.join(filter(None, problems))}{hint}", path=root)


def _few(paths: Sequence[Path], root: Path, problem: str) -> str:
    if not paths:
        return ""
    shown = ", ".join(path.relative_to(root).as_posix() for path in paths[:_SHOWN])
    more = f", ... ({len(paths)} in all)" if len(paths) > _SHOWN else ""
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


_NAMES = ("metadata.csv", "metadata.jsonl")
_FILE = "file_name"


def sniff_audiofolder(path: Path) -> bool:
    """Whether *path* is a folder with metadata that has ``file_name``, perhaps in folders for splits; or such JSONL."""
    return bool(_metadata(path) or _splits(path)) if path.is_dir() else _FILE in first_object(path)


def read_audiofolder(path: Path, options: ReadOptions) -> Dataset:
    """The files that the metadata names, with its columns, by the names that tables use; others are left out.

    Args:
        path: The folder, or its ``metadata.csv`` or ``metadata.jsonl``. Of a data set in splits, one of them.
        options: What is asked of every reader.

    Raises:
        DatasetError: There is no metadata, or several; while iterating: a line cannot be read, with its number.

    Source: Hugging Face datasets, "Create an audio dataset".
    """
    place = _one(path)
    if path.is_dir():
        AudioRoot.of(path.absolute(), allow_external_audio=options.allow_external_audio).check(place.absolute())
    if place.suffix.lower() == ".csv":
        error = partial(_at_header, place)
        UtteranceColumns.find(header_of(first_line(place), ","), error=error, options=options)
        read = partial(table_utterances, place.absolute(), options, ",")
    else:
        UtteranceColumns.find(first_object(place), error=partial(_at_header, place), options=options)
        read = partial(_audiofolder_utterances, place.absolute(), options)
    return Dataset(name=path.resolve().name, source=f"audiofolder {path}", read=read)


def _one(path: Path) -> Path:
    if not path.is_dir():
        return path
    found = _metadata(path) or _splits(path)
    if not found:
        raise DatasetError(
            f"folder {path} has no {' or '.join(_NAMES)} with a column '{_FILE}'; add one, or give another folder",
            path=path,
        )
    if len(found) > 1 or found[0].parent != path:
        of = map(str, found if found[0].parent == path else [each.parent for each in found])
        raise DatasetError(f"folder {path} has several metadata files; give one: {', '.join(of)}", path=path)
    return found[0]


def _metadata(folder: Path) -> list[Path]:
    return [folder / name for name in _NAMES if _names_files(folder / name)]


def _names_files(path: Path) -> bool:
    if path.suffix.lower() == ".csv":
        return _FILE in header_of(first_line(path), ",")
    return _FILE in first_object(path)


def _splits(folder: Path) -> list[Path]:
    found = [path for pattern in ("*", "*/*") for name in _NAMES for path in folder.glob(f"{pattern}/{name}")]
    return sorted(path for path in found if _names_files(path))


def _audiofolder_utterances(place: Path, options: ReadOptions) -> Iterator[Utterance]:
    lines = TextFile(path=place)
    root = AudioRoot.of(place.parent, allow_external_audio=options.allow_external_audio)
    seen = UniqueIds(lines=lines, hint="give each line its own 'id'")
    for number, fields in objects(lines):
        # the keys of each line, since JSON leaves out what one lacks
        columns = UtteranceColumns.find(fields.values, error=fields.error, options=options)
        utterance = columns.utterance(fields, root=root, options=options)
        seen.check(utterance.id, number)
        yield utterance


def _at_header(path: Path, problem: str) -> DatasetError:
    return DatasetError(f"the first line of {path}: {problem}", path=path)
