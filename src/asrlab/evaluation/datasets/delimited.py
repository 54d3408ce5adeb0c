"""CSV and related formats, with and without quotes: lines split into cells, and cells written as lines."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Literal

import attrs

from asrlab.errors import DatasetError

Quoting = Literal["none", "strict", "lenient"]
"""Meaning of a double quote at the start of a cell.

``none``: a character like any other. ``strict``: as in RFC 4180, the quote opens a cell that ends with a quote before a
delimiter or the line's end; anything else is an error. ``lenient``, for tabs, which many programs write without any
quoting: as ``strict`` where that gives a row with as many cells as the header, and else as ``none``.
"""

_QUOTE = '"'
_MAX_CELL_CHARS = 64 * 2**20
_MAX_EVEN_LINES = 100
_LINE_ENDS = ("", "\n", "\r\n", "\r")


def read_rows(
    lines: Iterable[tuple[int, str]], delimiter: str, quoting: Quoting, error: Callable[[int, str], DatasetError]
) -> Iterator[tuple[int, list[str]]]:
    """Yield the rows that are not blank, each with the number of the line it begins on.

    The first row is the header. If it begins with a quote, ``lenient`` turns into ``strict`` for the whole file. Time
    grows with the file's length; a cell may have 64 Mi characters.

    Args:
        lines: The lines with their numbers and line ends.
        delimiter: One character.
        quoting: Meaning of quotes.
        error: Function that makes the error for a line.
    """
    reader = _RowReader(lines=iter(lines), delimiter=delimiter, quoting=quoting, error=error)
    return (row for row in reader.rows() if any(cell.strip() for cell in row[1]))


def split_header(line: str, delimiter: str) -> list[str]:
    """Split a single line into cells, and remove the quotes around cells that are quoted as a whole."""

    def error(_number: int, problem: str) -> ValueError:
        return ValueError(problem)  # a lenient reader only refuses carriage returns

    line = _without_end(line).replace("\r", " ")
    reader = _RowReader(lines=iter([(1, line)]), delimiter=delimiter, quoting="lenient", error=error)
    return next(reader.rows())[1]


def write_rows(header: Sequence[str], rows: Iterable[Sequence[str]], delimiter: str) -> str:
    """Return a table that `read_rows` reads back unchanged, whatever its cells hold.

    Cells are quoted where needed. With tabs the header is quoted, too, if a cell holds a tab or a line end: this marks
    the quotes in the file as quotes for the reader.
    """
    body = [tuple(row) for row in rows]
    is_marked = delimiter == "\t" and any(sign in cell for row in body for cell in row for sign in "\t\r\n")
    first = [_quoted(cell) for cell in header] if is_marked else [_escaped(cell, delimiter) for cell in header]
    lines = (delimiter.join(_escaped(cell, delimiter) for cell in row) for row in body)
    return "".join(f"{line}\n" for line in (delimiter.join(first), *lines))


def _escaped(cell: str, delimiter: str) -> str:
    return _quoted(cell) if any(sign in cell for sign in (delimiter, _QUOTE, "\r", "\n")) else cell


def _quoted(cell: str) -> str:
    return f'"{cell.replace(_QUOTE, _QUOTE * 2)}"'


class _BrokenCellError(Exception):
    """A quoted cell that is malformed, with the reason."""


@attrs.define(kw_only=True)
class _RowReader:
    lines: Iterator[tuple[int, str]]
    delimiter: str
    quoting: Quoting
    error: Callable[[int, str], Exception]
    width: int | None = None  # of the header
    pending: deque[tuple[int, str]] = attrs.field(factory=deque)
    following: list[tuple[int, str]] = attrs.field(factory=list)  # lines of this row after the first

    def rows(self) -> Iterator[tuple[int, list[str]]]:
        """Yield the rows, blank or not, each with the number of its first line."""
        while first := self._next_line():
            number, line = first
            cells = self._cells(number, line)
            if self.width is None and any(cell.strip() for cell in cells):
                self.width = len(cells)
                if self.quoting == "lenient" and line.startswith(_QUOTE):
                    self.quoting = "strict"
            yield number, cells

    def _next_line(self) -> tuple[int, str] | None:
        return self.pending.popleft() if self.pending else next(self.lines, None)

    def _cells(self, number: int, line: str) -> list[str]:
        if not line.strip():
            return [""]  # consecutive blank lines may come as one
        if self.quoting == "none" or _QUOTE not in line:
            return self._plain_cells(number, line)
        self.following.clear()
        try:
            cells = self._quoted_cells(number, line)
        except _BrokenCellError as broken:
            raise self.error(
                number,
                f"the row that begins here cannot be read ({broken}); put cells that hold quotes in quotes, and double "
                "the quotes inside",
            ) from None
        own_lines = (line, *(text for _, text in self.following))
        is_uneven = bool(self.following) or len(cells) != self.width
        if self.quoting == "lenient" and is_uneven and all(map(self._is_even, own_lines)):
            self._restore_lines(0)
            return self._plain_cells(number, line)
        return cells

    def _plain_cells(self, number: int, line: str) -> list[str]:
        body = _without_end(line)
        if "\r" in body:
            raise self.error(number, "has a carriage return within the line; end lines with \\n or \\r\\n")
        return body.split(self.delimiter)

    def _is_even(self, line: str) -> bool:
        """Return True if *line*, split without regard to quotes, has as many cells as the header."""
        return self.width is not None and line.count(self.delimiter) == self.width - 1

    def _restore_lines(self, start: int) -> None:
        self.pending.extendleft(reversed(self.following[start:]))
        del self.following[start:]

    def _quoted_cells(self, number: int, line: str) -> list[str]:
        cells: list[str] = []
        start = 0
        while True:
            quoted = None
            n_following = len(self.following)
            if line.startswith(_QUOTE, start):
                try:
                    quoted = self._quoted_cell(line, start + 1)
                except _BrokenCellError:
                    if self.quoting == "strict":
                        raise
                    self._restore_lines(n_following)
            if quoted:
                cell, line, end = quoted
            else:
                end = line.find(self.delimiter, start)
                end = len(_without_end(line)) if end < 0 else end
                cell = line[start:end]
                if "\r" in cell:
                    raise self.error(number, "has a carriage return outside of quotes; end lines with \\n or \\r\\n")
            cells.append(cell)
            if not line.startswith(self.delimiter, end):
                return cells
            start = end + 1

    def _quoted_cell(self, line: str, start: int) -> tuple[str, str, int]:
        """Return the cell that begins after its quote at *start*, its last line, and the index of its end there."""
        parts: list[str] = []
        size, is_even = 0, True
        while True:
            quote = line.find(_QUOTE, start)
            if quote >= 0:
                after = line[quote + 1 : quote + 3]
                if after.startswith(_QUOTE):
                    parts.append(line[start : quote + 1])
                    start = quote + 2
                    continue
                if after.startswith(self.delimiter) or after in _LINE_ENDS:
                    parts.append(line[start:quote])
                    return "".join(parts), line, quote + 1
                raise _BrokenCellError(f"{after[:1]!r} follows the quote that closes a cell")
            parts.append(line[start:])
            size += len(line) - start
            is_even = is_even and self._is_even(line)
            if self.quoting == "lenient" and is_even and len(self.following) >= _MAX_EVEN_LINES:
                raise _BrokenCellError("many lines are rows of their own")
            following = self._next_line()
            if following is None:
                raise _BrokenCellError("a quote that opens a cell is never closed")
            self.following.append(following)
            line, start = following[1], 0
            if size + len(line) > _MAX_CELL_CHARS:
                raise _BrokenCellError(f"a quoted cell has more than {_MAX_CELL_CHARS >> 20} Mi characters")


def _without_end(line: str) -> str:
    return line.removesuffix("\n").removesuffix("\r")
