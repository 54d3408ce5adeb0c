"""Rich's consoles and texts, with unsafe characters escaped."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.segment import Segment
from rich.text import Text as _Text

from asrlab.control_characters import escape_controls
from asrlab.terminal.streams import OutputStream, guarded

if TYPE_CHECKING:
    from collections.abc import Iterable

    from rich.console import ConsoleOptions, RenderableType


PLAIN_WIDTH = 160
"""Columns where standard output is no terminal: wide enough that a table's cells are not broken."""


class Text(_Text):
    """Rich's text, escaped when it is made, so that a table's columns are as wide as what they show."""

    def __init__(self, text: str = "", *args: Any, **options: Any) -> None:
        super().__init__(escape_controls(text), *args, **options)

    def append(self, text: _Text | str, *args: Any, **options: Any) -> Text:
        """Append *text*, escaped."""
        super().append(escape_controls(text) if isinstance(text, str) else text, *args, **options)
        return self

    def join(self, lines: Iterable[_Text]) -> Text:
        """Join *lines* with this text between them."""
        made = Text()
        for index, line in enumerate(lines):
            if index:
                made.append(self)
            made.append(line)
        return made

    @classmethod
    def assemble(cls, *parts: str | _Text | tuple[str, Any], **options: Any) -> Text:
        """Assemble a text from texts, strings, and pairs of a string and its style."""
        made = cls(**options)
        for part in parts:
            made.append(*part) if isinstance(part, tuple) else made.append(part)
        return made


class Screen(Console):
    """A console that emits no control character but its own styles, whatever it is given to print."""

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
        """Render *renderable*; text that was not escaped before is escaped here."""
        for segment in super().render(renderable, options):
            if segment.control:
                yield segment
            else:
                yield Segment(escape_controls(segment.text), segment.style)

    def on_broken_pipe(self) -> None:
        """Let a reader that is gone be dealt with in one place; Rich would exit with 1."""
        raise BrokenPipeError


def open_screen(*, stderr: bool = False) -> Screen:
    """Return a console for a person; plain text and wide where the stream is no terminal."""
    stream: OutputStream = guarded(stderr=stderr)
    return Screen(
        file=stream.unescaped(),  # type: ignore[arg-type] # a TextIOBase is as good as Rich's IO[str]
        width=None if stream.isatty() else PLAIN_WIDTH,
        highlight=False,
        emoji=False,
        markup=False,
        soft_wrap=False,
    )
