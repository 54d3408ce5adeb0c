"""Hugging Face's audiofolder: audio with ``metadata.csv`` or ``metadata.jsonl`` above it."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from asrlab.errors import DatasetError
from asrlab.evaluation.datasets.columns import Columns
from asrlab.evaluation.datasets.csv_table import table_utterances
from asrlab.evaluation.datasets.dataset import Dataset, Utterance
from asrlab.evaluation.datasets.jsonl import first_object, objects
from asrlab.evaluation.datasets.lines import Lines, Seen, first_line
from asrlab.evaluation.datasets.places import Root
from asrlab.evaluation.datasets.rows import header_of

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from asrlab.evaluation.datasets.format import ReadOptions

__all__ = ["is_audiofolder", "read_audiofolder"]

_NAMES = ("metadata.csv", "metadata.jsonl")
_FILE = "file_name"


def is_audiofolder(path: Path) -> bool:
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
        Root.of(path.absolute(), allow_outside=options.allow_outside).check(place.absolute())
    if place.suffix.lower() == ".csv":
        error = partial(_at_header, place)
        Columns.find(header_of(first_line(place), ","), error=error, options=options)
        read = partial(table_utterances, place.absolute(), options, ",")
    else:
        Columns.find(first_object(place), error=partial(_at_header, place), options=options)
        read = partial(_utterances, place.absolute(), options)
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


def _utterances(place: Path, options: ReadOptions) -> Iterator[Utterance]:
    lines = Lines(path=place)
    root = Root.of(place.parent, allow_outside=options.allow_outside)
    seen = Seen(lines=lines, hint="give each line its own 'id'")
    for number, fields in objects(lines):
        # the keys of each line, since JSON leaves out what one lacks
        columns = Columns.find(fields.values, error=fields.error, options=options)
        utterance = columns.utterance(fields, root=root, options=options)
        seen.check(utterance.id, number)
        yield utterance


def _at_header(path: Path, problem: str) -> DatasetError:
    return DatasetError(f"the first line of {path}: {problem}", path=path)
