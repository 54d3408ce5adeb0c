"""CSV and its relatives, with and without quotes around cells: lines split into cells, and cells written as lines."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Literal

import attrs

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from asrlab.errors import DatasetError


Quoting = Literal["none", "strict", "lenient"]
"""How a double quote at the beginning of a cell is read.

``none``: as a character like any other. ``strict``: as in RFC 4180 it opens a cell that ends with a quote before a
delimiter or the line's end; anything else is an error. ``lenient``, for tabs, which many programs write without any
quoting: the same where that gives a row with as many cells as the header, and else as a character.
"""

_QUOTE = '"'
_MAX_CELL_CHARS = 64 * 2**20
_MAX_EVEN_LINES = 100
_ENDS = ("", "\n", "\r\n", "\r")


def read_rows(
    lines: Iterable[tuple[int, str]], delimiter: str, quoting: Quoting, error: Callable[[int, str], DatasetError]
) -> Iterator[tuple[int, list[str]]]:
    """Yield the rows that are not blank, each with the number of the line it begins on.

    The first row is the header. Where it begins with a quote, all of the file is ``strict`` even if ``lenient`` was
    asked for. Time grows with the file's length; a cell may have 64 Mi characters.

    Args:
        lines: The lines with their ends, and their numbers.
        delimiter: One character.
        quoting: How quotes are read.
        error: Makes the error for a line.

    Raises:
        DatasetError: A row cannot be read.
    """
    reader = _Reader(lines=iter(lines), delimiter=delimiter, quoting=quoting, error=error)
    while (row := reader.row()) is not None:
        if any(cell.strip() for cell in row[1]):
            yield row


def split_header(line: str, delimiter: str) -> list[str]:
    """Return the cells of a line that stands alone, with quotes around those that are quoted as a whole taken off."""
    line = _without_end(line).replace("\r", " ")
    row = _Reader(lines=iter([(1, line)]), delimiter=delimiter, quoting="lenient", error=_unexpected).row()
    return row[1] if row else []


def _unexpected(_number: int, problem: str) -> ValueError:
    return ValueError(problem)  # a lenient reader only refuses carriage returns


def write_rows(header: Sequence[str], rows: Iterable[Sequence[str]], delimiter: str) -> str:
    """Return a table that `read_rows` gives back as it was, whatever its cells hold.

    Cells are in quotes where they need them. With tabs the header is in quotes, too, where a cell holds a tab or a
    line's end: that tells a reader that quotes are such.
    """
    kept = [tuple(row) for row in rows]
    is_marked = delimiter == "\t" and any(sign in cell for row in kept for cell in row for sign in "\t\r\n")
    first = [_in_quotes(cell) for cell in header] if is_marked else [_written(cell, delimiter) for cell in header]
    lines = (delimiter.join(_written(cell, delimiter) for cell in row) for row in kept)
    return "".join(f"{line}\n" for line in (delimiter.join(first), *lines))


def _written(cell: str, delimiter: str) -> str:
    return _in_quotes(cell) if any(sign in cell for sign in (delimiter, _QUOTE, "\r", "\n")) else cell


def _in_quotes(cell: str) -> str:
    return f'"{cell.replace(_QUOTE, _QUOTE * 2)}"'


class _BrokenCellError(Exception):
    """A quoted cell that cannot be read as one. It says why."""


@attrs.define(kw_only=True)
class _Reader:
    lines: Iterator[tuple[int, str]]
    delimiter: str
    quoting: Quoting
    error: Callable[[int, str], Exception]
    width: int | None = None  # of the header
    pending: deque[tuple[int, str]] = attrs.field(factory=deque)
    ahead: list[tuple[int, str]] = attrs.field(factory=list)  # lines of this row behind the first

    def row(self) -> tuple[int, list[str]] | None:
        """The next row, blank or not, with the number of its first line; None at the end."""
        first = self._next_line()
        if first is None:
            return None
        number, line = first
        cells = self._cells(number, line)
        if self.width is None and any(cell.strip() for cell in cells):
            self.width = len(cells)
            if self.quoting == "lenient" and line.startswith(_QUOTE):
                self.quoting = "strict"
        return number, cells

    def _next_line(self) -> tuple[int, str] | None:
        return self.pending.popleft() if self.pending else next(self.lines, None)

    def _cells(self, number: int, line: str) -> list[str]:
        if not line.strip():
            return [""]  # blank lines, of which many may come as one
        if self.quoting == "none" or _QUOTE not in line:
            return self._plain_cells(number, line)
        self.ahead.clear()
        try:
            cells = self._quoted_cells(number, line)
        except _BrokenCellError as broken:
            raise self.error(
                number,
                f"the row that begins here cannot be read ({broken}); put cells that hold quotes in quotes, and write "
                "those inside twice",
            ) from None
        if self.quoting == "lenient" and self._is_better_plain(line, cells):
            self._give_back()
            return self._plain_cells(number, line)
        return cells

    def _plain_cells(self, number: int, line: str) -> list[str]:
        body = _without_end(line)
        if "\r" in body:
            raise self.error(number, "has a carriage return within the line; end lines with \\n or \\r\\n")
        return body.split(self.delimiter)

    def _is_better_plain(self, line: str, cells: list[str]) -> bool:
        if self.width is None:
            return False
        if self.ahead:
            return all(self._is_even(text) for text in (line, *(text for _, text in self.ahead)))
        return len(cells) != self.width and self._is_even(line)

    def _is_even(self, line: str) -> bool:
        """Whether a line without regard to quotes has as many cells as the header."""
        return self.width is not None and line.count(self.delimiter) == self.width - 1

    def _give_back(self) -> None:
        self.pending.extendleft(reversed(self.ahead))
        self.ahead.clear()

    def _quoted_cells(self, number: int, line: str) -> list[str]:
        cells: list[str] = []
        at = 0
        while True:
            quoted = line.startswith(_QUOTE, at)
            taken = len(self.ahead)
            try:
                cell, line, at = self._quoted_cell(line, at + 1) if quoted else self._plain_cell(number, line, at)
            except _BrokenCellError:
                if self.quoting == "strict":
                    raise
                self.pending.extendleft(reversed(self.ahead[taken:]))
                del self.ahead[taken:]
                cell, line, at = self._plain_cell(number, line, at)
            cells.append(cell)
            if not line.startswith(self.delimiter, at):
                return cells
            at += 1

    def _plain_cell(self, number: int, line: str, start: int) -> tuple[str, str, int]:
        """A cell without regard to quotes, its line, and where in that it ends."""
        end = line.find(self.delimiter, start)
        end = len(_without_end(line)) if end < 0 else end
        cell = line[start:end]
        if "\r" in cell:
            raise self.error(number, "has a carriage return outside of quotes; end lines with \\n or \\r\\n")
        return cell, line, end

    def _quoted_cell(self, line: str, at: int) -> tuple[str, str, int]:
        """A cell from behind its quote on, the line it ends on, and where in that line it ends."""
        parts: list[str] = []
        size, is_even = 0, True
        while True:
            quote = line.find(_QUOTE, at)
            if quote >= 0:
                following = line[quote + 1 : quote + 3]
                if following.startswith(_QUOTE):
                    parts.append(line[at : quote + 1])
                    at = quote + 2
                    continue
                if following.startswith(self.delimiter) or following in _ENDS:
                    parts.append(line[at:quote])
                    return "".join(parts), line, quote + 1
                raise _BrokenCellError(f"{following[:1]!r} stands behind the quote that closes a cell")
            parts.append(line[at:])
            size += len(line) - at
            is_even = is_even and self._is_even(line)
            line, at = self._following_line(size, is_even=is_even), 0

    def _following_line(self, size: int, *, is_even: bool) -> str:
        """The next line of a quoted cell that has *size* characters so far.

        Raises:
            _BrokenCellError: There is none, or the cell is too long to be one.
        """
        if self.quoting == "lenient" and is_even and len(self.ahead) >= _MAX_EVEN_LINES:
            raise _BrokenCellError("many lines are rows of their own")
        following = self._next_line()
        if following is None:
            raise _BrokenCellError("a quote that opens a cell is never closed")
        self.ahead.append(following)
        if size + len(following[1]) > _MAX_CELL_CHARS:
            raise _BrokenCellError(f"a quoted cell has more than {_MAX_CELL_CHARS >> 20} Mi characters")
        return following[1]


def _without_end(line: str) -> str:
    return line.removesuffix("\n").removesuffix("\r")
