"""CSV and TSV with named columns."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from asrlab.errors import DatasetError
from asrlab.evaluation.datasets.columns import AUDIO_COLUMNS, Columns
from asrlab.evaluation.datasets.dataset import Dataset, Utterance
from asrlab.evaluation.datasets.lines import Lines, Seen, first_line
from asrlab.evaluation.datasets.places import Root
from asrlab.evaluation.datasets.rows import DELIMITERS, Table, header_of

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from asrlab.evaluation.datasets.format import ReadOptions

__all__ = ["delimiter_of", "is_table", "read_table", "table_utterances"]

_JSON = (".json", ".jsonl")


def is_table(path: Path) -> bool:
    """Whether the first line of *path* names columns, with one for the audio, and it is not called a JSON file."""
    return path.suffix.lower() not in _JSON and delimiter_of(path) is not None


def delimiter_of(path: Path) -> str | None:
    """What stands between the names of the columns, told by one of them being a usual name for the audio."""
    line = first_line(path)
    fitting = (one for one in DELIMITERS if one in line and set(AUDIO_COLUMNS) & set(header_of(line, one)))
    return next(fitting, None)


def read_table(path: Path, options: ReadOptions) -> Dataset:
    """A table with a header: tabs, commas or semicolons between the cells, double quotes around those that need them.

    Columns are told by their names, in any case: see `Columns`. Others are left out. An empty cell is as good as
    absent, but for the reference, where it says that nothing is said. Relative paths begin in the table's folder.

    Raises:
        DatasetError: It is no such table; while iterating: a row cannot be read, with its line.
    """
    delimiter = delimiter_of(path)
    if delimiter is None:
        raise _no_table(path)
    Columns.find(header_of(first_line(path), delimiter), error=partial(_at_header, path), options=options)
    read = partial(table_utterances, path.absolute(), options, delimiter)
    return Dataset(name=path.name, source=f"{'TSV' if delimiter == '\t' else 'CSV'} file {path}", read=read)


def table_utterances(place: Path, options: ReadOptions, delimiter: str) -> Iterator[Utterance]:
    """The utterances of a table, row by row."""
    table = Table(lines=Lines(path=place), delimiter=delimiter)
    root = Root.of(place.parent, allow_outside=options.allow_outside)
    columns = Columns.find(header_of(first_line(place), delimiter), error=partial(_at_header, place), options=options)
    seen = Seen(lines=table.lines, hint="give each row its own in a column 'id'")
    for number, fields in table.rows():
        utterance = columns.utterance(fields, root=root, options=options)
        seen.check(utterance.id, number)
        yield utterance


def _at_header(path: Path, problem: str) -> DatasetError:
    return DatasetError(f"the header of {path}: {problem}", path=path)


def _no_table(path: Path) -> DatasetError:
    line = Lines(path=path).head() and first_line(path)
    saw = f"its first line is {line[:60]!r}" if line else "it is empty"
    return DatasetError(
        f"{path} is no table with a header that names the audio's column: {saw}; begin it with names such as "
        "'path' and 'text', with tabs, commas or semicolons between them, in UTF-8",
        path=path,
    )
