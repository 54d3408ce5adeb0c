"""Tables with named columns, row by row: CSV and its relatives."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import attrs

from asrlab.evaluation.datasets.delimited import Quoting, read_rows, split_header
from asrlab.evaluation.datasets.fields import Fields

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from asrlab.evaluation.datasets.lines import Lines

__all__ = ["DELIMITERS", "Table", "header_of"]

DELIMITERS = ("\t", ",", ";")


@attrs.frozen(kw_only=True)
class Table:
    """A file whose first line that is not blank names the columns.

    Attributes:
        lines: The file.
        delimiter: What stands between cells.
        quoted: Whether a cell may be in double quotes, and then hold delimiters, line ends, and quotes written twice;
            with tabs only where that fits the header, since many programs write tabs without quotes (see `Quoting`).
            False takes a quote for a character like any other.
    """

    lines: Lines
    delimiter: str
    quoted: bool = True

    def rows(self) -> Iterator[tuple[int, Fields]]:
        """The rows by column, with the number of the line each begins on; an empty cell is as good as absent.

        Raises:
            DatasetError: The file cannot be read, it is no table, or a row has more or fewer cells than the header.
        """
        header: list[str] = []
        for number, cells in self._cells():
            if not header:
                header = header_names(cells)
            elif len(cells) != len(header):
                raise self.lines.error(number, self._uneven(len(cells), len(header)))
            else:
                values: Mapping[str, str] = {name: cell for name, cell in zip(header, cells, strict=True) if cell}
                yield number, Fields(values=values, error=partial(self.lines.error, number), written=True)

    def _cells(self) -> Iterator[tuple[int, list[str]]]:
        text = ((number, self.lines.decoded(number, raw)) for number, raw in self.lines.raw())
        quoting: Quoting = "lenient" if self.delimiter == "\t" else "strict"
        return read_rows(text, self.delimiter, quoting if self.quoted else "none", self.lines.error)

    def _uneven(self, found: int, wanted: int) -> str:
        hint = f"; put cells that hold {self.delimiter!r} in quotes" if self.quoted and found > wanted else ""
        return f"has {found} cells where the header has {wanted} columns{hint}"


def header_of(line: str, delimiter: str) -> list[str]:
    """The names of the columns in a header."""
    return header_names(split_header(line, delimiter))


def header_names(cells: list[str]) -> list[str]:
    """The names as they are compared: in lower case, with ``_`` for a space."""
    return [cell.strip().lower().replace(" ", "_") for cell in cells]
