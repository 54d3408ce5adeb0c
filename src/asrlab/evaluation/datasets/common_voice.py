"""Mozilla Common Voice: a table of clips beside the folder ``clips``."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from asrlab.errors import DatasetError
from asrlab.evaluation.datasets.dataset import Dataset, Utterance
from asrlab.evaluation.datasets.lines import Lines, Seen, first_line
from asrlab.evaluation.datasets.places import Root, default_id
from asrlab.evaluation.datasets.rows import Table, header_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from asrlab.evaluation.datasets.fields import Fields
    from asrlab.evaluation.datasets.format import ReadOptions

__all__ = ["is_common_voice", "read_common_voice"]

_NEEDED = {"client_id", "path", "sentence"}
_CLIPS = "clips"


def is_common_voice(path: Path) -> bool:
    """Whether *path* is a table with Common Voice's columns, or a folder of such tables and ``clips``."""
    return bool(_tables(path))


def read_common_voice(path: Path, options: ReadOptions) -> Dataset:
    """One of the tables of a release, such as ``test.tsv``; or its folder, if there is only one table in it.

    The audio is ``path`` in the folder ``clips`` beside the table, the reference ``sentence``, the speaker
    ``client_id``, the language ``locale``.

    Raises:
        DatasetError: It is no such table, or the folder has several; while iterating: a row cannot be read, with its
            line.

    Source: the tables are written without quoting, by common-voice/CorporaCreator, ``corpus.py``.
    """
    tables = _tables(path)
    if not tables:
        raise DatasetError(
            f"{path} is no table of Common Voice: its first line lacks {', '.join(sorted(_NEEDED))}, with tabs between",
            path=path,
        )
    if len(tables) > 1:
        raise DatasetError(f"{path} holds several tables; give one: {', '.join(map(str, tables))}", path=path)
    table = tables[0]
    if path.is_dir():
        Root.of(path.absolute(), allow_outside=options.allow_outside).check(table.absolute())
    source = f"Common Voice table {table}"
    return Dataset(name=table.name, source=source, read=partial(_utterances, table.absolute(), options))


def _tables(path: Path) -> list[Path]:
    if not path.is_dir():
        return [path] if set(header_of(first_line(path), "\t")) >= _NEEDED else []
    if not (path / _CLIPS).is_dir():
        return []
    return [table for table in sorted(path.glob("*.tsv")) if _tables(table)]


def _utterances(place: Path, options: ReadOptions) -> Iterator[Utterance]:
    lines = Lines(path=place)
    root = Root.of(place.parent / _CLIPS, allow_outside=options.allow_outside, top=place.parent)
    seen = Seen(lines=lines, hint="remove one of the two")
    for number, fields in Table(lines=lines, delimiter="\t", quoted=False).rows():
        utterance = _utterance(fields, root)
        seen.check(utterance.id, number)
        yield utterance


def _utterance(fields: Fields, root: Root) -> Utterance:
    named = fields.string("path")
    if not named:
        raise fields.error("there is no 'path'; every row needs one")
    return Utterance(
        id=default_id(named, None),
        audio=root.audio(named, field="path", error=fields.error),
        text=fields.string("sentence") or "",
        language=fields.label("locale"),
        speaker=fields.label("client_id"),
    )
