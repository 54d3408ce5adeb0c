"""Tables that fit the terminal: cells are wrapped, columns left out, or each row becomes a block of lines."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import zip_longest

import attrs
from rich.console import Console, ConsoleOptions
from rich.text import Text as _Text

from asrlab.terminal.screen import Text, hang

_COLUMN_GAP = 2  # columns between two cells
_MIN_TEXT_WIDTH = 16  # texts are not wrapped below it
_MAX_WORD_WIDTH = 40  # longer words, such as paths, are folded, except in the first column
_NOTHING = frozenset({"", "-", "0"})

type Cell = str | _Text


def _to_rows(rows: Iterable[Iterable[Cell]]) -> tuple[tuple[_Text, ...], ...]:
    return tuple(tuple(Text(cell) if isinstance(cell, str) else cell for cell in row) for row in rows)


@attrs.frozen(kw_only=True)
class Table:
    """Rows of texts and figures, laid out for the width at which they are printed.

    On a terminal, texts are wrapped between words. If that is not enough, optional columns are left out and named
    below the table. If that is not enough either, each row becomes a block of lines with all columns. In a pipe or
    file, each row is one line.

    Attributes:
        columns: Names of the columns.
        rows: Cells of each row.
        texts: Number of columns on the left that hold texts; the others hold figures, which are never wrapped.
        optional: Columns that may be left out, the most important first. Those without figures go before the others.
        title: Line above the table.
        caption: Explanation below the table.
    """

    columns: Sequence[str]
    rows: tuple[tuple[_Text, ...], ...] = attrs.field(converter=_to_rows)
    texts: int
    optional: Sequence[str] = ()
    title: str = ""
    caption: str = ""

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> Iterator[_Text]:
        """Yield the lines of the table."""
        if self.title:
            yield hang(Text(self.title, style="italic"), console)
        if not console.is_terminal:
            yield from self._plain_lines()
        elif fitting := self._fit(options.max_width):
            yield from self._lines(console, *fitting)
            omitted = ", ".join(name for index, name in enumerate(self.columns) if index not in fitting[0])
            if omitted:
                note = f"not shown at {options.max_width} columns: {omitted}; a wider window or a pipe shows them"
                yield hang(Text(note, style="dim"), console)
        else:
            yield from self._blocks(console, options.max_width)
        if self.caption:
            yield hang(Text(self.caption), console)

    def _plain_lines(self) -> Iterator[_Text]:
        rows = [[Text("; ").join(cell.split("\n")) for cell in row] for row in (self._names(), *self.rows)]
        widths = [max(cell.cell_len for cell in column) for column in zip_longest(*rows, fillvalue=Text())]
        for row in rows:
            yield self._join(row, range(len(widths)), widths)

    def _names(self) -> list[_Text]:
        return [Text(name, style="bold") for name in self.columns]

    def _fit(self, width: int) -> tuple[list[int], list[int]] | None:
        """Return the columns that fit into *width*, and their widths; None if the required columns do not fit."""
        empty = {name for name in self.optional if _NOTHING.issuperset(map(str, self._cells(self.columns.index(name))))}
        shown = [index for index, name in enumerate(self.columns) if name not in self.optional]
        least = [self._least_width(index) for index in range(len(self.columns))]
        room = width + _COLUMN_GAP - sum(least[index] + _COLUMN_GAP for index in shown)
        if room < 0:
            return None
        for name in sorted(self.optional, key=empty.__contains__):
            index = self.columns.index(name)
            if least[index] + _COLUMN_GAP <= room:
                room -= least[index] + _COLUMN_GAP
                shown.append(index)
        shown.sort()
        widths = {index: least[index] for index in shown}
        wanted = {index: self._natural_width(index) - least[index] for index in shown}
        for remaining, index in zip(range(len(shown), 0, -1), sorted(shown, key=wanted.__getitem__), strict=True):
            extra = min(wanted[index], room // remaining)
            widths[index] += extra
            room -= extra
        return shown, list(widths.values())

    def _cells(self, index: int) -> Iterator[_Text]:
        return (row[index] for row in self.rows if index < len(row))

    def _natural_width(self, index: int) -> int:
        lines = (line.cell_len for cell in self._cells(index) for line in cell.split("\n"))
        return max([Text(self.columns[index]).cell_len, *lines])

    def _least_width(self, index: int) -> int:
        name = _longest_word(self.columns[index])
        if index >= self.texts:
            return max([name, *(cell.cell_len for cell in self._cells(index))])
        word = max([name, *(_longest_word(cell.plain) for cell in self._cells(index))])
        return max(word if index == 0 else min(word, _MAX_WORD_WIDTH), min(self._natural_width(index), _MIN_TEXT_WIDTH))

    def _lines(self, console: Console, shown: Sequence[int], widths: Sequence[int]) -> Iterator[_Text]:
        for number, row in enumerate((self._names(), *self.rows)):
            cells = [row[index] if index < len(row) else Text() for index in shown]
            wrapped = [cell.wrap(console, width) for cell, width in zip(cells, widths, strict=True)]
            for parts in zip_longest(*wrapped, fillvalue=Text()):
                yield self._join(parts, shown, widths)
            if number == 0:
                yield Text("─" * (sum(widths) + _COLUMN_GAP * (len(widths) - 1)))

    def _join(self, cells: Iterable[_Text], shown: Iterable[int], widths: Iterable[int]) -> _Text:
        """Return one line of the table."""
        line = Text()
        for part, index, width in zip(cells, shown, widths, strict=False):
            part.rstrip()
            padding = " " * (width - part.cell_len)
            for text in (part, padding) if index < self.texts else (padding, part):
                line.append(text)
            line.append(" " * _COLUMN_GAP)
        line.rstrip()
        return line

    def _blocks(self, console: Console, width: int) -> Iterator[_Text]:
        """Yield each row as a line with its first cell, and a line for each other cell with its column's name."""
        indent = max(map(len, self.columns[1:]), default=0) + 2 * _COLUMN_GAP
        for row in self.rows:
            yield Text.assemble((row[0].plain, "bold"))
            for name, cell in zip(self.columns[1:], row[1:], strict=False):
                for number, part in enumerate(cell.wrap(console, width - indent) if cell.plain else ()):
                    part.rstrip()
                    label = f"{'':{_COLUMN_GAP}}{name if number == 0 else '':{indent - _COLUMN_GAP}}"
                    yield Text.assemble(label, part)


def _longest_word(text: str) -> int:
    return max((Text(word).cell_len for word in text.split()), default=0)
