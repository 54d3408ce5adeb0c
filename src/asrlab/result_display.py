"""Results as one line in a Python prompt, tables in Jupyter, rows, and pandas data frames."""

from __future__ import annotations

import unicodedata
from bisect import bisect_right
from collections.abc import Iterable, Sequence
from html import escape
from itertools import accumulate
from typing import TYPE_CHECKING, Any, ClassVar

import attrs

from asrlab.control_characters import escape_controls
from asrlab.errors import EngineUnavailableError
from asrlab.installation import install_command

if TYPE_CHECKING:
    import pandas as pd

MAX_REPR_WIDTH = 236
"""Columns of a terminal that a result takes at most: three lines of 80, with a margin for a prompt."""
MAX_QUOTED_WIDTH = 110
MAX_HTML_ROWS = 10


@attrs.frozen(kw_only=True)
class HtmlTable:
    """A table for Jupyter, whose captions and cells are text and never HTML.

    Attributes:
        caption: Lines above the table.
        columns: Names of the columns; empty for no table.
        rows: Rows of cells; only the first are shown.
    """

    caption: tuple[str, ...]
    columns: tuple[str, ...] = ()
    rows: Sequence[Iterable[object]] = ()

    def render(self) -> str:
        """Return the table as HTML, escaped, in which Jupyter reads no formula between dollar signs either."""
        lines = [f'<div dir="auto">{_to_html(line)}</div>' for line in self.caption]
        if self.columns:
            body = (f"<tr>{''.join(map(_to_cell, row))}</tr>" for row in self.rows[:MAX_HTML_ROWS])
            head = "".join(f'<th style="text-align: left">{_to_html(name)}</th>' for name in self.columns)
            lines.append(f"<table><thead><tr>{head}</tr></thead><tbody>{''.join(body)}</tbody></table>")
        if hidden := len(self.rows[MAX_HTML_ROWS:]):
            lines.append(f"<div>{hidden} more; to_pandas() has all</div>")
        return f'<div class="tex2jax_ignore mathjax_ignore">{"".join(lines)}</div>'


def _to_cell(value: object) -> str:
    return f'<td dir="auto" style="text-align: left">{_to_html(value)}</td>'


def _to_html(value: object) -> str:
    return escape(escape_controls(str(value)))


class Summarized:
    """A result whose ``repr`` is one short line, and which Jupyter shows as a small table."""

    __slots__ = ()

    def _summary(self) -> str:
        raise NotImplementedError

    def _html_table(self) -> HtmlTable:
        raise NotImplementedError

    def __repr__(self) -> str:
        summary = escape_controls(self._summary(), one_line=True)
        return f"<{shorten(f'{type(self).__name__} {summary}', MAX_REPR_WIDTH)}>"

    def _repr_html_(self) -> str:
        return self._html_table().render()


class Tabular(Summarized):
    """A result that consists of rows."""

    __slots__ = ()
    _COLUMNS: ClassVar[tuple[str, ...]]

    def to_dicts(self) -> list[dict[str, Any]]:
        """Return the rows, each a dictionary with the same keys."""
        raise NotImplementedError

    def to_pandas(self) -> pd.DataFrame:
        """Return the rows of `to_dicts` as a pandas data frame.

        Raises:
            EngineUnavailableError: If pandas is not installed; ``install`` has the command that installs it.
        """
        try:
            import pandas as pd
        except ImportError as error:
            install = install_command("pandas")
            message = f"to_pandas() needs pandas, which cannot be imported ({error}); run: {install}"
            raise EngineUnavailableError(message, install=install) from error
        return pd.DataFrame(self.to_dicts(), columns=list(self._COLUMNS))


def quote(text: str) -> str:
    """Return *text* in quotes, cut where it is too long for a line."""
    return repr(shorten(text, MAX_QUOTED_WIDTH))


def shorten(text: str, width: int) -> str:
    """Return the words of *text* in one line of at most *width* columns; an ellipsis replaces what is cut."""
    text = " ".join(text.split())
    ends = list(accumulate(2 if unicodedata.east_asian_width(each) in "WF" else 1 for each in text[: width + 1]))
    if not ends or ends[-1] <= width:
        return text
    return f"{text[: bisect_right(ends, width - 1)].rstrip()}…"
