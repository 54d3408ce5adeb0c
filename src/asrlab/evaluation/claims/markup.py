"""Markdown as readers see it: prose, table cells and output, each character with its offset in the source."""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from itertools import accumulate, repeat

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

# The characters of a text as shown, each with its offset in the source, and whether it is code.
type _Characters = list[tuple[str, int, bool]]


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
        ends = [(0, 0), *spans]
        hidden = [offset < ends[bisect_right(spans, (offset + 1,))][1] for offset in self.offsets]

        def mask(text: str) -> str:
            return "".join(HIDDEN if is_hidden else char for char, is_hidden in zip(text, hidden, strict=True))

        return attrs.evolve(self, text=mask(self.text), prose=mask(self.prose))


@attrs.frozen(kw_only=True)
class Comment:
    """An HTML comment outside of code, with its offsets in the source.

    Attributes:
        lines: The lines that the comment applies to: its paragraph, or the next block if it stands alone.
        is_block: True if the comment begins a line of its own, outside of any paragraph.
    """

    start: int
    end: int
    lines: tuple[int, int]
    is_block: bool


class SourceText:
    """A document's text, whose line ends are line feeds, with the offsets of its lines."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.lines = text.split("\n")
        self._starts = [0, *accumulate(len(line) + 1 for line in self.lines)]

    def line_start(self, line: int) -> int:
        """Return the start offset of *line*, counted from 0."""
        return self._starts[min(line, len(self.lines))]

    def position(self, offset: int) -> tuple[int, int]:
        """Return the line and column of *offset*, both counted from 1."""
        line = min(bisect_right(self._starts, offset), len(self.lines))
        return line, offset - self._starts[line - 1] + 1


def read_markup(source: SourceText) -> tuple[list[TextBlock], list[Comment]]:
    """Return the text blocks and comments of a document, in order."""
    reader = _MarkupReader(source)
    tokens = MarkdownIt("commonmark").enable("table").parse(source.text)
    for index, token in enumerate(tokens):
        reader.read(token, (tokens[later] for later in range(index + 1, len(tokens))))
    return reader.blocks, reader.comments


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
        self._row: list[tuple[_Characters, Sequence[int]]] | None = None

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

    def _add_block(self, shown: _Characters, lines: Sequence[int], row: str = "", column: str = "") -> None:
        self.blocks.append(
            TextBlock(
                text="".join(char for char, _, _ in shown),
                prose="".join(HIDDEN if is_code else char for char, _, is_code in shown),
                offsets=tuple(offset for _, offset, _ in shown),
                lines=(lines[0], lines[1]),
                heading=self._heading,
                row=row,
                column=column,
            )
        )

    def _read_inline(self, token: Token) -> None:
        lines = token.map or [0, 1]
        shown = self._read_children(token, lines)
        if self._row is not None:
            self._row.append((shown, lines))
            return
        self._add_block(shown, lines)
        if self._in_heading:
            self._heading, self._in_heading = self.blocks[-1].text, False

    def _end_row(self) -> None:
        cells, self._row = self._row or [], None
        texts = ["".join(char for char, _, _ in shown)[:_MAX_ROW_CHARS] for shown, _ in cells]
        columns = [*self._header, *[""] * len(cells)]
        self._header = self._header or texts
        row = " | ".join(texts)[:_MAX_ROW_CHARS]
        for (shown, lines), column in zip(cells, columns, strict=False):
            self._add_block(shown, lines, row, column)

    def _read_html(self, token: Token, following: Iterable[Token]) -> None:
        lines = token.map or [0, 1]
        start, end = self._source.line_start(lines[0]), min(self._source.line_start(lines[1]), len(self._source.text))
        raw, done = self._source.text[start:end], 0
        shown: _Characters = []
        tags = list(_find_tags(raw))
        for first, last in (*tags, (len(raw), len(raw))):
            shown += ((char, offset, False) for offset, char in enumerate(raw[done:first], start + done))
            done = last
        is_alone = all(char.isspace() for char, _, _ in shown)
        target = next((later.map for later in following if later.map), lines) if is_alone else lines
        for first, last in tags:
            if raw.startswith(_COMMENT, first):
                begins_line = self._source.position(start + first)[1] == 1
                self._add_comment(start + first, start + last, target, is_block=begins_line and is_alone)
        if not is_alone:
            self._add_block(shown, lines)

    def _add_comment(self, start: int, end: int, lines: Sequence[int], *, is_block: bool) -> None:
        self.comments.append(Comment(start=start, end=end, lines=(lines[0], lines[1]), is_block=is_block))

    def _read_code(self, token: Token) -> None:
        """Add each line of output; of other code, add only the comments after ``#`` and ``//``."""
        first = (token.map or [0])[0] + (token.type == "fence")
        language = token.info.split()[0].lower() if token.info.strip() else ""
        for number, line in enumerate(token.content.splitlines(), start=first):
            shown = line
            if language not in _OUTPUT_LANGUAGES:
                comment = _CODE_COMMENT.search(line)
                if comment is None:
                    continue
                shown = comment[1]
            if not (language == "console" and line.startswith("$")):
                located = zip(shown, self._locate(shown, number), strict=False)
                self._add_block([(char, offset, False) for char, offset in located], (number, number + 1))

    def _read_children(self, token: Token, lines: Sequence[int]) -> _Characters:
        """Return what the parts of a paragraph show, and add its comments."""
        content, index = token.content, 0
        offsets = [
            offset
            for number, line in enumerate(content.split("\n"), start=lines[0])
            for offset in (*self._locate(line, number), self._source.line_start(number + 1) - 1)
        ]
        characters: _Characters = []
        for child in token.children or ():
            shown, is_code = child.content, False
            match child.type:
                case "text" | "image":
                    indices = list(_match_characters(shown, content, index))
                case "code_inline":
                    # Its line ends are spaces in *shown*.
                    code = re.compile(re.escape(shown).replace("\\ ", "[ \n]")).search(content, index)
                    start = code.start() if code else index
                    indices = [min(start + number, len(content) - 1) for number in range(len(shown))]
                    is_code = not _FIGURE.fullmatch(shown.strip())
                case "softbreak" | "hardbreak":
                    shown, indices = " ", [max(content.find("\n", index), index)]
                case "link_close":
                    end = _LINK_END.search(content, index)
                    index = end.end() if end else index
                    continue
                case "html_inline":
                    start = max(content.find(shown, index), index)
                    index = start + len(shown)
                    if shown.startswith(_COMMENT):
                        self._add_comment(offsets[start], offsets[start] + len(shown), lines, is_block=False)
                    continue
                case _:
                    continue
            characters += zip(shown, [offsets[position] for position in indices], repeat(is_code))
            index = indices[-1] + 1 if indices else index
        return characters

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
