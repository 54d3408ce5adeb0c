"""Markdown as readers see it: prose, table cells and output, each character with its offset in the source."""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from itertools import accumulate

import attrs
from markdown_it import MarkdownIt
from markdown_it.token import Token

HIDDEN = "\0"
"""Placeholder in `TextBlock.prose` for a character that is not prose."""

_COMMENT = "<!--"
_TAG = re.compile(r"<!--|</?[A-Za-z]")
# Cells of a row are linted with the row's text around them; only this much of a longer row is used.
_MAX_ROW_CHARS = 1000
_LINK_END = re.compile(r"\](?:\([^)]*\)|\[[^\]]*\])?")
_OUTPUT_LANGUAGES = frozenset({"", "text", "txt", "console", "output", "log", "plain"})
_CODE_COMMENT = re.compile(r"(?:^|\s)(?:#|//)\s+(\S.*)")
# A figure in backticks counts as prose.
_FIGURE = re.compile(r"[\d.,]+\s?(?:%|x|\u00d7|m?s|[KMG]i?B)")


@attrs.frozen(kw_only=True)
class TextBlock:
    """A unit of text: a paragraph, a heading, a table cell or a line of output.

    Attributes:
        text: The text as shown, code included.
        prose: The same text with `HIDDEN` in place of each character of code.
        offsets: The offset of each character in the source.
        lines: The block's first line, counted from 0, and the line after its last.
        heading: The heading above the block.
        row: The row of a table cell; else empty.
        column: The column heading of a table cell; else empty.
    """

    text: str
    prose: str
    offsets: tuple[int, ...]
    lines: tuple[int, int]
    heading: str = ""
    row: str = ""
    column: str = ""

    def hide(self, spans: Sequence[tuple[int, int]]) -> TextBlock:
        """Return the block with the characters in *spans* of the source hidden; *spans* are sorted and disjoint."""
        starts = [start for start, _ in spans]

        def is_within(offset: int) -> bool:
            index = bisect_right(starts, offset) - 1
            return index >= 0 and offset < spans[index][1]

        hidden = [is_within(offset) for offset in self.offsets]
        if not any(hidden):
            return self

        def mask(text: str) -> str:
            return "".join(HIDDEN if away else char for char, away in zip(text, hidden, strict=True))

        return attrs.evolve(self, text=mask(self.text), prose=mask(self.prose))


@attrs.frozen(kw_only=True)
class Comment:
    """An HTML comment outside of code.

    Attributes:
        start: Start offset in the source.
        end: End offset in the source.
        lines: The lines that the comment applies to: its paragraph, or the next block if it stands alone.
        is_block: True if the comment begins a line of its own, outside of any paragraph.
    """

    start: int
    end: int
    lines: tuple[int, int]
    is_block: bool


class SourceText:
    """A document's text with the offsets of its lines.

    Args:
        text: The text, with line feeds as line ends.
    """

    def __init__(self, text: str) -> None:
        self.text = text
        self.lines = text.split("\n")
        self._starts = [0, *accumulate(len(line) + 1 for line in self.lines)]

    def line_start(self, line: int) -> int:
        """Return the start offset of *line*, counted from 0."""
        return self._starts[min(line, len(self.lines))]

    def line_range(self, lines: Sequence[int]) -> tuple[int, int]:
        """Return the (start, end) offsets of *lines*, a first line and the line after the last."""
        return self.line_start(lines[0]), min(self.line_start(lines[1]), len(self.text))

    def position(self, offset: int) -> tuple[int, int]:
        """Return the line and column of *offset*, both counted from 1."""
        line = min(bisect_right(self._starts, offset), len(self.lines))
        return line, offset - self._starts[line - 1] + 1


@attrs.define
class _BlockBuilder:
    text: list[str] = attrs.field(factory=list)
    prose: list[str] = attrs.field(factory=list)
    offsets: list[int] = attrs.field(factory=list)

    def add(self, text: str, offsets: Sequence[int], *, code: bool = False) -> None:
        self.text += text
        self.prose += HIDDEN * len(text) if code else text
        self.offsets += offsets

    def build(self, lines: Sequence[int], heading: str, *, row: str = "", column: str = "") -> TextBlock:
        return TextBlock(
            text="".join(self.text),
            prose="".join(self.prose),
            offsets=tuple(self.offsets),
            lines=(lines[0], lines[1]),
            heading=heading,
            row=row,
            column=column,
        )


def read_markup(source: SourceText) -> tuple[list[TextBlock], list[Comment]]:
    """Return the text blocks and comments of a document, in order."""
    reader = _MarkupReader(source)
    tokens = MarkdownIt("commonmark").enable("table").parse(source.text)
    for index, token in enumerate(tokens):
        reader.read(token, (tokens[later] for later in range(index + 1, len(tokens))))
    return reader.blocks, reader.comments


@attrs.define(kw_only=True)
class _InlineCursor:
    """A position in the inline content of a paragraph.

    Attributes:
        content: The Markdown of the paragraph.
        offsets: The offset in the source of each character of *content*, and of its end.
        index: The position in *content*.
        builder: The text shown so far.
    """

    content: str
    offsets: Sequence[int]
    index: int = 0
    builder: _BlockBuilder = attrs.field(factory=_BlockBuilder)

    def read(self, child: Token) -> tuple[int, int] | None:
        """Add what *child* shows; return the (start, end) offsets if *child* is a comment."""
        match child.type:
            case "text" | "image":
                self._show(child.content, list(_match_characters(child.content, self.content, self.index)))
            case "code_inline":
                start = _find_code(child.content, self.content, self.index)
                indices = [min(start + number, len(self.content) - 1) for number in range(len(child.content))]
                self._show(child.content, indices, code=not _FIGURE.fullmatch(child.content.strip()))
            case "softbreak" | "hardbreak":
                self._show(" ", [max(self.content.find("\n", self.index), self.index)])
            case "link_close":
                end = _LINK_END.search(self.content, self.index)
                self.index = end.end() if end else self.index
            case "html_inline":
                return self._skip_tag(child.content)
        return None

    def _show(self, text: str, indices: Sequence[int], *, code: bool = False) -> None:
        self.builder.add(text, [self.offsets[index] for index in indices], code=code)
        self.index = indices[-1] + 1 if indices else self.index

    def _skip_tag(self, tag: str) -> tuple[int, int] | None:
        start = max(self.content.find(tag, self.index), self.index)
        self.index = start + len(tag)
        first = self.offsets[start]
        return (first, first + len(tag)) if tag.startswith(_COMMENT) else None


class _MarkupReader:
    """A reader of Markdown tokens that collects text blocks and comments."""

    def __init__(self, source: SourceText) -> None:
        self.blocks: list[TextBlock] = []
        self.comments: list[Comment] = []
        self._source = source
        self._columns_read: dict[int, int] = {}
        self._heading = ""
        self._in_heading = False
        self._header: list[str] = []
        self._row: list[tuple[_BlockBuilder, Sequence[int]]] | None = None

    def read(self, token: Token, following: Iterable[Token]) -> None:
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
                self._read_inline(token)
            case "html_block":
                self._read_html(token, following)
            case "fence" | "code_block":
                self._read_code(token)

    def _read_inline(self, token: Token) -> None:
        lines = token.map or [0, 1]
        builder = self._inline(token, lines)
        if self._row is not None:
            self._row.append((builder, lines))
            return
        self.blocks.append(builder.build(lines, self._heading))
        if self._in_heading:
            self._heading, self._in_heading = self.blocks[-1].text, False

    def _end_row(self) -> None:
        cells, self._row = self._row or [], None
        texts = ["".join(builder.text)[:_MAX_ROW_CHARS] for builder, _ in cells]
        if not self._header:
            self._header = texts
            columns = [""] * len(cells)
        else:
            columns = [*self._header, *[""] * len(cells)]
        row = " | ".join(texts)[:_MAX_ROW_CHARS]
        for (builder, lines), column in zip(cells, columns, strict=False):
            self.blocks.append(builder.build(lines, self._heading, row=row, column=column))

    def _read_html(self, token: Token, following: Iterable[Token]) -> None:
        lines = token.map or [0, 1]
        start, end = self._source.line_range(lines)
        raw, builder, done = self._source.text[start:end], _BlockBuilder(), 0
        tags = list(_find_tags(raw))
        for first, last in tags:
            builder.add(raw[done:first], range(start + done, start + first))
            done = last
        builder.add(raw[done:], range(start + done, end))
        is_alone = not "".join(builder.text).strip()
        target = next((later.map for later in following if later.map), lines) if is_alone else lines
        for first, last in tags:
            if raw.startswith(_COMMENT, first):
                begins_line = self._source.position(start + first)[1] == 1
                self._add_comment(start + first, start + last, target, is_block=begins_line and is_alone)
        if not is_alone:
            self.blocks.append(builder.build(lines, self._heading))

    def _add_comment(self, start: int, end: int, lines: Sequence[int], *, is_block: bool) -> None:
        self.comments.append(Comment(start=start, end=end, lines=(lines[0], lines[1]), is_block=is_block))

    def _read_code(self, token: Token) -> None:
        """Add each line of output; of other code, add only the comments after ``#`` and ``//``."""
        first = (token.map or [0])[0] + (token.type == "fence")
        language = token.info.split()[0].lower() if token.info.strip() else ""
        for number, line in enumerate(token.content.splitlines(), start=first):
            comment = None if language in _OUTPUT_LANGUAGES else _CODE_COMMENT.search(line)
            if language not in _OUTPUT_LANGUAGES and not comment:
                continue
            if language == "console" and line.startswith("$"):
                continue
            shown = comment[1] if comment else line
            builder = _BlockBuilder()
            builder.add(shown, self._locate(shown, number))
            self.blocks.append(builder.build((number, number + 1), self._heading))

    def _inline(self, token: Token, lines: Sequence[int]) -> _BlockBuilder:
        content = token.content
        offsets = [
            offset
            for number, line in enumerate(content.split("\n"), start=lines[0])
            for offset in (*self._locate(line, number), self._source.line_start(number + 1) - 1)
        ]
        cursor = _InlineCursor(content=content, offsets=offsets)
        for child in token.children or ():
            if (comment := cursor.read(child)) is not None:
                self._add_comment(*comment, lines, is_block=False)
        return cursor.builder

    def _locate(self, shown: str, number: int) -> list[int]:
        """Return the offset of each character of *shown*, the next part of line *number*."""
        line, done = self._source.lines[number], self._columns_read.get(number, 0)
        start = self._source.line_start(number)
        column = line.find(shown, done)
        if column >= 0:
            self._columns_read[number] = column + len(shown)
            return list(range(start + column, start + column + len(shown)))
        # Cells of a table escape the bar.
        pattern = re.compile("".join(r"\\?\|" if char == "|" else re.escape(char) for char in shown))
        escaped = pattern.search(line, done)
        if escaped is None:
            return [start + min(done, len(line))] * len(shown)
        self._columns_read[number] = escaped.end()
        columns = range(escaped.start(), escaped.end())
        return [start + column for column in columns if line[column] != "\\" or line[column + 1 : column + 2] != "|"]


def _find_tags(raw: str) -> Iterator[tuple[int, int]]:
    """Yield the (start, end) of each HTML tag and comment in *raw* that is closed."""
    done, unclosed = 0, set[str]()
    for opening in _TAG.finditer(raw):
        closing = "-->" if opening[0] == _COMMENT else ">"
        if opening.start() < done or closing in unclosed:
            continue
        end = raw.find(closing, opening.end())
        if end < 0:
            unclosed.add(closing)
            continue
        done = end + len(closing)
        yield opening.start(), done


def _match_characters(shown: str, content: str, index: int) -> Iterator[int]:
    """Yield the index in *content* of each character of *shown*, which lacks the escapes and entities of *content*."""
    start = content.find(shown, index)
    if start >= 0:
        yield from range(start, start + len(shown))
        return
    absent: set[str] = set()
    for char in shown:
        match = -1 if char in absent else content.find(char, index)
        if match < 0:
            absent.add(char)  # a later search would fail as well
        index = index if match < 0 else match
        yield min(index, len(content) - 1)
        index += match >= 0


def _find_code(shown: str, content: str, index: int) -> int:
    """Return the index of inline code in *content*, whose line ends are spaces in *shown*."""
    pattern = re.compile(re.escape(shown).replace("\\ ", "[ \n]"))
    match = pattern.search(content, index)
    return match.start() if match else index
