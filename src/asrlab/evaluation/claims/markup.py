"""Markdown as what a reader sees: passages of prose, cells and output, each character with its place in the source."""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from itertools import accumulate

import attrs
from markdown_it import MarkdownIt
from markdown_it.token import Token

HIDDEN = "\0"
"""Stands in `TextBlock.prose` for a character that is no prose."""

_COMMENT = "<!--"
_TAG = re.compile(r"<!--|</?[A-Za-z]")
# What is read around each cell of a row; a row that is longer is read by its first cells.
_MAX_AROUND = 1000
_LINK_END = re.compile(r"\](?:\([^)]*\)|\[[^\]]*\])?")
_OUTPUT = frozenset({"", "text", "txt", "console", "output", "log", "plain"})
_NOTE = re.compile(r"(?:^|\s)(?:#|//)\s+(\S.*)")
# a figure in backticks is as much a figure as one without
_FIGURE = re.compile(r"[\d.,]+\s?(?:%|x|\u00d7|m?s|[KMG]i?B)")


@attrs.frozen(kw_only=True)
class TextBlock:
    """A stretch of text that is read as one: a paragraph, a heading, a cell, a line of output.

    Attributes:
        text: As it is shown, code included.
        prose: The same, with `HIDDEN` for each character of code.
        offsets: Of each character in the source.
        lines: The block's first line in the source, counted from 0, and the one behind its last.
        heading: The heading above it.
        row: Of a cell: the row that it is in; else empty.
        column: Of a cell: the heading of its column; else empty.
    """

    text: str
    prose: str
    offsets: tuple[int, ...]
    lines: tuple[int, int]
    heading: str = ""
    row: str = ""
    column: str = ""

    def without(self, spans: Sequence[tuple[int, int]]) -> TextBlock:
        """The same with what stands in *spans* of the source hidden, which are in order and do not overlap."""
        starts = [start for start, _ in spans]

        def is_within(offset: int) -> bool:
            place = bisect_right(starts, offset) - 1
            return place >= 0 and offset < spans[place][1]

        hidden = [is_within(offset) for offset in self.offsets]
        if not any(hidden):
            return self

        def hide(text: str) -> str:
            return "".join(HIDDEN if away else char for char, away in zip(text, hidden, strict=True))

        return attrs.evolve(self, text=hide(self.text), prose=hide(self.prose))


@attrs.frozen(kw_only=True)
class Comment:
    """An HTML comment that is one, not code that shows one.

    Attributes:
        start: Where it begins in the source.
        end: Where it ends.
        lines: The lines that it is about: its paragraph, or the block that follows where it stands alone.
        block: Whether it begins a line of its own, outside of any paragraph.
    """

    start: int
    end: int
    lines: tuple[int, int]
    block: bool


class Source:
    """A document's text, with the places of its lines.

    Args:
        text: With plain line feeds at the ends of lines.
    """

    def __init__(self, text: str) -> None:
        self.text = text
        self.lines = text.split("\n")
        self._starts = [0, *accumulate(len(line) + 1 for line in self.lines)]

    def start(self, line: int) -> int:
        """Where *line*, counted from 0, begins."""
        return self._starts[min(line, len(self.lines))]

    def slice(self, lines: Sequence[int]) -> tuple[int, int]:
        """Where lines begin, and where the one before their end does end."""
        return self.start(lines[0]), min(self.start(lines[1]), len(self.text))

    def place(self, offset: int) -> tuple[int, int]:
        """Line and column, both counted from 1."""
        line = min(bisect_right(self._starts, offset), len(self.lines))
        return line, offset - self._starts[line - 1] + 1


@attrs.define
class _BlockBuilder:
    """A passage under way."""

    text: list[str] = attrs.field(factory=list)
    prose: list[str] = attrs.field(factory=list)
    offsets: list[int] = attrs.field(factory=list)

    def add(self, text: str, offsets: Sequence[int], *, code: bool = False) -> None:
        self.text += text
        self.prose += HIDDEN * len(text) if code else text
        self.offsets += offsets

    def passage(self, lines: Sequence[int], heading: str, *, row: str = "", column: str = "") -> TextBlock:
        return TextBlock(
            text="".join(self.text),
            prose="".join(self.prose),
            offsets=tuple(self.offsets),
            lines=(lines[0], lines[1]),
            heading=heading,
            row=row,
            column=column,
        )


def read_markup(source: Source) -> tuple[list[TextBlock], list[Comment]]:
    """The passages and comments of a document, in order."""
    reader = _Reader(source)
    tokens = MarkdownIt("commonmark").enable("table").parse(source.text)
    for number, token in enumerate(tokens):
        reader.take(token, (tokens[later] for later in range(number + 1, len(tokens))))
    return reader.passages, reader.comments


@attrs.define(kw_only=True)
class _InlineCursor:
    """A walk over the parts of a paragraph.

    Attributes:
        content: As it is written.
        offsets: Of its characters, and of its end, in the source.
        at: How far the walk has come in *content*.
        written: What was shown so far.
    """

    content: str
    offsets: Sequence[int]
    at: int = 0
    written: _BlockBuilder = attrs.field(factory=_BlockBuilder)

    def take(self, child: Token) -> tuple[int, int] | None:
        """Write what *child* shows; the place of the comment if it is one."""
        match child.type:
            case "text" | "image":
                self._show(child.content, list(_aligned(child.content, self.content, self.at)))
            case "code_inline":
                start = _code_start(child.content, self.content, self.at)
                places = [min(start + number, len(self.content) - 1) for number in range(len(child.content))]
                self._show(child.content, places, code=not _FIGURE.fullmatch(child.content.strip()))
            case "softbreak" | "hardbreak":
                self._show(" ", [max(self.content.find("\n", self.at), self.at)])
            case "link_close":
                end = _LINK_END.search(self.content, self.at)
                self.at = end.end() if end else self.at
            case "html_inline":
                return self._html(child.content)
        return None

    def _show(self, text: str, places: Sequence[int], *, code: bool = False) -> None:
        self.written.add(text, [self.offsets[place] for place in places], code=code)
        self.at = places[-1] + 1 if places else self.at

    def _html(self, tag: str) -> tuple[int, int] | None:
        start = max(self.content.find(tag, self.at), self.at)
        self.at = start + len(tag)
        first = self.offsets[start]
        return (first, first + len(tag)) if tag.startswith("<!--") else None


class _Reader:
    """Takes the tokens of a document one by one."""

    def __init__(self, source: Source) -> None:
        self.passages: list[TextBlock] = []
        self.comments: list[Comment] = []
        self._source = source
        self._cursor: dict[int, int] = {}
        self._heading = ""
        self._in_heading = False
        self._header: list[str] = []
        self._row: list[tuple[_BlockBuilder, Sequence[int]]] | None = None

    def take(self, token: Token, following: Iterable[Token]) -> None:
        match token.type:
            case "heading_open":
                self._in_heading = True
            case "table_open":
                self._header = []
            case "tr_open":
                self._row = []
            case "tr_close":
                self._end_row()
            case "inline":
                self._take_inline(token)
            case "html_block":
                self._take_html(token, following)
            case "fence" | "code_block":
                self._take_code(token)

    def _take_inline(self, token: Token) -> None:
        lines = token.map or [0, 1]
        written = self._inline(token, lines)
        if self._row is not None:
            self._row.append((written, lines))
            return
        self.passages.append(written.passage(lines, self._heading))
        if self._in_heading:
            self._heading, self._in_heading = self.passages[-1].text, False

    def _end_row(self) -> None:
        cells, self._row = self._row or [], None
        texts = ["".join(written.text)[:_MAX_AROUND] for written, _ in cells]
        if not self._header:
            self._header = texts
            columns = [""] * len(cells)
        else:
            columns = [*self._header, *[""] * len(cells)]
        row = " | ".join(texts)[:_MAX_AROUND]
        for (written, lines), column in zip(cells, columns, strict=False):
            self.passages.append(written.passage(lines, self._heading, row=row, column=column))

    def _take_html(self, token: Token, following: Iterable[Token]) -> None:
        lines = token.map or [0, 1]
        start, end = self._source.slice(lines)
        raw, written, done = self._source.text[start:end], _BlockBuilder(), 0
        tags = list(_tags(raw))
        for first, last in tags:
            written.add(raw[done:first], range(start + done, start + first))
            done = last
        written.add(raw[done:], range(start + done, end))
        alone = not "".join(written.text).strip()
        about = next((later.map for later in following if later.map), lines) if alone else lines
        for first, last in tags:
            if raw.startswith(_COMMENT, first):
                at_line = self._source.place(start + first)[1] == 1
                self._comment(start + first, start + last, about, block=at_line and alone)
        if not alone:
            self.passages.append(written.passage(lines, self._heading))

    def _comment(self, start: int, end: int, lines: Sequence[int], *, block: bool) -> None:
        self.comments.append(Comment(start=start, end=end, lines=(lines[0], lines[1]), block=block))

    def _take_code(self, token: Token) -> None:
        """Output is read line by line; of code, only the notes behind ``#`` and ``//``."""
        first = (token.map or [0])[0] + (token.type == "fence")
        language = token.info.split()[0].lower() if token.info.strip() else ""
        for number, line in enumerate(token.content.splitlines(), start=first):
            note = None if language in _OUTPUT else _NOTE.search(line)
            shown = note[1] if note else line
            if language not in _OUTPUT and not note:
                continue
            if language == "console" and line.startswith("$"):
                continue
            written = _BlockBuilder()
            written.add(shown, self._placed(shown, number))
            self.passages.append(written.passage((number, number + 1), self._heading))

    def _inline(self, token: Token, lines: Sequence[int]) -> _BlockBuilder:
        content = token.content
        offsets = [
            offset
            for number, line in enumerate(content.split("\n"), start=lines[0])
            for offset in (*self._placed(line, number), self._source.start(number + 1) - 1)
        ]
        walk = _InlineCursor(content=content, offsets=offsets)
        for child in token.children or ():
            if (comment := walk.take(child)) is not None:
                self._comment(*comment, lines, block=False)
        return walk.written

    def _placed(self, shown: str, number: int) -> list[int]:
        """Where each character of *shown* stands, which is a part of line *number* behind what was placed there."""
        line, done = self._source.lines[number], self._cursor.get(number, 0)
        start = self._source.start(number)
        found = line.find(shown, done)
        if found >= 0:
            self._cursor[number] = found + len(shown)
            return list(range(start + found, start + found + len(shown)))
        pattern = re.compile("".join(r"\\?\|" if char == "|" else re.escape(char) for char in shown))  # cells
        escaped = pattern.search(line, done)
        if escaped is None:
            return [start + min(done, len(line))] * len(shown)
        self._cursor[number] = escaped.end()
        places = range(escaped.start(), escaped.end())
        return [start + place for place in places if line[place] != "\\" or line[place + 1 : place + 2] != "|"]


def _tags(raw: str) -> Iterator[tuple[int, int]]:
    """Where tags and comments of HTML begin and end; one that is not closed is none."""
    done, unclosed = 0, set[str]()
    for opened in _TAG.finditer(raw):
        closing = "-->" if opened[0] == _COMMENT else ">"
        if opened.start() < done or closing in unclosed:
            continue
        end = raw.find(closing, opened.end())
        if end < 0:
            unclosed.add(closing)
            continue
        done = end + len(closing)
        yield opened.start(), done


def _aligned(shown: str, content: str, at: int) -> Iterator[int]:
    """Where the characters of *shown* are in *content*, which has escapes and entities that *shown* has not."""
    start = content.find(shown, at)
    if start >= 0:
        yield from range(start, start + len(shown))
        return
    absent: set[str] = set()
    for char in shown:
        found = -1 if char in absent else content.find(char, at)
        if found < 0:
            absent.add(char)  # it is not further on, either
        at = at if found < 0 else found
        yield min(at, len(content) - 1)
        at += found >= 0


def _code_start(shown: str, content: str, at: int) -> int:
    """Where code begins in *content*, whose ends of lines are spaces in *shown*."""
    pattern = re.compile(re.escape(shown).replace("\\ ", "[ \n]"))
    found = pattern.search(content, at)
    return found.start() if found else at
