"""Rich's console and text classes, with unsafe characters escaped."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

from rich.cells import cell_len
from rich.console import Console, ConsoleOptions, RenderableType
from rich.segment import Segment
from rich.text import Text as _Text

from asrlab.control_characters import escape_controls
from asrlab.terminal import guarded

PLAIN_WIDTH = 160
"""Columns of the output if it is not a terminal, wide enough for the cells of tables."""
HANG = 2  # columns by which the following lines of a wrapped paragraph are indented
_WORD = re.compile(r"\s*\S+\s*")


class Text(_Text):
    """A Rich text that is escaped on creation, so that columns of tables have the right widths."""

    def __init__(self, text: str = "", *args: Any, **options: Any) -> None:
        super().__init__(escape_controls(text), *args, **options)

    def append(self, text: _Text | str, *args: Any, **options: Any) -> Text:
        """Append *text*, escaped."""
        super().append(escape_controls(text) if isinstance(text, str) else text, *args, **options)
        return self

    def join(self, lines: Iterable[_Text]) -> Text:
        """Join *lines* with this text between them."""
        joined = Text()
        for index, line in enumerate(lines):
            if index:
                joined.append(self)
            joined.append(line)
        return joined

    @classmethod
    def assemble(cls, *parts: str | _Text | tuple[str, Any], **options: Any) -> Text:
        """Assemble a text from texts, strings, and pairs of a string and its style."""
        text = cls(**options)
        for part in parts:
            text.append(*part) if isinstance(part, tuple) else text.append(part)
        return text


class Screen(Console):
    """A console that emits no control characters except for its own styles."""

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
        """Render *renderable* with its text escaped."""
        for segment in super().render(renderable, options):
            yield segment if segment.control else Segment(escape_controls(segment.text), segment.style)

    def show(self, *parts: RenderableType, indent: int = HANG) -> None:
        """Print texts and tables; on a terminal, texts are wrapped between words, elsewhere they are not wrapped."""
        for part in parts:
            self.print(hang(part, self, indent=indent) if isinstance(part, _Text) else part, soft_wrap=True)

    def on_broken_pipe(self) -> None:
        """Raise for a closed pipe, which the command handles; Rich would exit with 1."""
        raise BrokenPipeError


def hang(text: _Text, console: Console, *, indent: int = HANG) -> _Text:
    """Return *text* wrapped between words for a terminal; words are not broken, so that addresses can be copied.

    Args:
        text: Paragraphs, each indented by its first spaces.
        console: The terminal; elsewhere nothing is wrapped.
        indent: Columns by which the following lines of a paragraph are indented further.
    """
    if not console.is_terminal:
        return text
    lines: list[_Text] = []
    for line in text.split("\n", allow_blank=True):
        margin = " " * min(len(line.plain) - len(line.plain.lstrip(" ")) + indent, console.width // 2)
        for number, part in enumerate(line.divide(_breaks(line.plain, console.width, len(margin)))):
            part.rstrip()
            lines.append(Text.assemble(margin if number else "", part))
    return Text("\n").join(lines)


def _breaks(line: str, width: int, margin: int) -> list[int]:
    """Return the offsets of the words that begin a new line, where all lines but the first have a *margin*."""
    breaks, used = [], 0
    for word in _WORD.finditer(line):
        if used and used + cell_len(word[0].rstrip()) > width:
            breaks.append(word.start())
            used = margin
        used += cell_len(word[0])
    return breaks


def open_screen(*, stderr: bool = False) -> Screen:
    """Open a console; if the stream is not a terminal, its output is plain and wide."""
    stream = guarded(stderr=stderr)
    return Screen(
        file=stream.unescaped(),  # type: ignore[arg-type] # a TextIOBase has all that Rich needs of IO[str]
        width=None if stream.isatty() else PLAIN_WIDTH,
        highlight=False,
        emoji=False,
        markup=False,
        soft_wrap=False,
    )
