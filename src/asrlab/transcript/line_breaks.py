"""The positions at which the text of a segment may be broken, with the time of each part."""

from __future__ import annotations

import re
import unicodedata
from typing import TYPE_CHECKING

import attrs

from asrlab.transcript.document import collapse_whitespace

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from asrlab.transcript.records import Segment

SENTENCE_END, CLAUSE_END = 2, 1
_WIDE = "WF"
_CLOSING = "[\"'\u2019\u201d\u300d\u300f)\\]]*$"
_SENTENCE = re.compile(f"[.!?\u2026\u3002\uff01\uff1f\u061f\u06d4\u0964]{_CLOSING}")
_CLAUSE = re.compile(f"[,;:\u3001\uff0c\uff1b\uff1a\u060c\u061b\u2013\u2014]{_CLOSING}")


@attrs.frozen(kw_only=True)
class Breakable:
    """A part of a text that is not broken further.

    Attributes:
        text: The part, with the space before it if there is one.
        start: Start time in seconds.
        end: End time in seconds.
        boundary: `SENTENCE_END`, `CLAUSE_END` (a comma and the like), or 0.
    """

    text: str
    start: float
    end: float
    boundary: int


def is_wide(character: str) -> bool:
    """Return whether *character* takes two columns, as Chinese, Japanese and Korean characters do."""
    return bool(character) and unicodedata.east_asian_width(character) in _WIDE


def width(text: str) -> int:
    """Return the columns that *text* takes: 2 for a wide character, 0 for a combining mark."""
    return sum(_columns(character) for character in text)


def _columns(character: str) -> int:
    if unicodedata.category(character) in ("Mn", "Me", "Cf"):
        return 0
    return 2 if is_wide(character) else 1


def wrap(texts: Iterable[str], max_width: int) -> list[str]:
    """Join *texts* to lines of at most *max_width* columns; only a text that is longer alone exceeds the limit."""
    lines: list[str] = []
    for text in texts:
        if lines and width(lines[-1]) + width(text) <= max_width:
            lines[-1] += text
        else:
            lines.append(text.lstrip(" "))
    return lines


def split_breakable(segment: Segment, max_width: int | None) -> list[Breakable]:
    """Split *segment* into words, and these between wide characters and at *max_width* columns."""
    clock = _CharacterClock.from_segment(segment)
    parts: list[Breakable] = []
    end = 0
    for text in _split_line(collapse_whitespace(segment.text), max_width):
        start, end = end, end + len(text.lstrip(" "))
        parts.append(Breakable(text=text, start=clock.start(start), end=clock.end(end), boundary=_boundary(text)))
    return parts


def _split_line(line: str, max_width: int | None) -> Iterator[str]:
    for index, word in enumerate(line.split(" ")) if line else ():
        space = " " if index else ""
        for part in _split_word(word, max_width):
            yield space + part
            space = ""


def _split_word(word: str, max_width: int | None) -> Iterator[str]:
    part = ""
    for character in word:
        if part and (_can_break(part[-1], character) or (max_width and width(part + character) > max_width)):
            yield part
            part = ""
        part += character
    yield part


def _can_break(before: str, after: str) -> bool:
    """Return whether a line may end here: between wide characters, not before punctuation or after a bracket."""
    if not is_wide(before) or not is_wide(after):
        return False
    return not unicodedata.category(after).startswith(("P", "M")) and unicodedata.category(before) not in ("Ps", "Pi")


def _boundary(text: str) -> int:
    return SENTENCE_END if _SENTENCE.search(text) else CLAUSE_END if _CLAUSE.search(text) else 0


type _Span = tuple[int, int, float, float]


@attrs.frozen(kw_only=True)
class _CharacterClock:
    """The times of a segment's characters, spaces not counted.

    Attributes:
        spans: Runs of characters in order, each as index of the first, index after the last, start and end time.
    """

    spans: tuple[_Span, ...]

    @classmethod
    def from_segment(cls, segment: Segment) -> _CharacterClock:
        """Take the times of the words if they make up the text; else assume an even pace."""
        words = segment.words or ()
        text = _without_spaces(segment.text)
        spans: list[_Span] = []
        offset = 0
        for word in words:
            if n_characters := len(_without_spaces(word.text)):
                spans.append((offset, offset + n_characters, word.start, word.end))
                offset += n_characters
        if spans and _without_spaces("".join(word.text for word in words)) == text:
            return cls(spans=tuple(spans))
        return cls(spans=((0, max(len(text), 1), segment.start, segment.end),))

    def start(self, index: int) -> float:
        """Return the start time of the character at *index*."""
        return _interpolate(next((span for span in self.spans if span[0] <= index < span[1]), self.spans[-1]), index)

    def end(self, index: int) -> float:
        """Return the end time of the character before *index*."""
        return _interpolate(next((span for span in self.spans if span[0] < index <= span[1]), self.spans[-1]), index)


def _interpolate(span: _Span, index: int) -> float:
    first, last, start, end = span
    return start + (end - start) * (index - first) / (last - first)


def _without_spaces(text: str) -> str:
    return "".join(text.split())
