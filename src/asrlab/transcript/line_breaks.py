"""Where the text of a segment may be cut, with the time of each piece."""

from __future__ import annotations

import re
import unicodedata
from typing import TYPE_CHECKING

import attrs

from asrlab.transcript.document import collapse_whitespace

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from asrlab.transcript.records import Segment


_WIDE = "WF"
_SENTENCE = re.compile(r"[.!?\u2026\u3002\uff01\uff1f\u061f\u06d4\u0964][\"'\u2019\u201d\u300d\u300f)\]]*$")
_CLAUSE = re.compile(r"[,;:\u3001\uff0c\uff1b\uff1a\u060c\u061b\u2013\u2014][\"'\u2019\u201d\u300d\u300f)\]]*$")


@attrs.frozen(kw_only=True)
class Piece:
    """A stretch of text that stays together.

    Attributes:
        text: With the space before it, if there is one.
        start: Seconds.
        end: Seconds.
        stop: 2 at the end of a sentence, 1 at a comma and the like, 0 elsewhere.
    """

    text: str
    start: float
    end: float
    stop: int


def is_wide(character: str) -> bool:
    """Whether *character* takes two columns, as those of Chinese, Japanese and Korean do."""
    return bool(character) and unicodedata.east_asian_width(character) in _WIDE


def width(text: str) -> int:
    """Columns: none for what is drawn over the character before it, two for a wide one."""
    return sum(_columns(character) for character in text)


def wrapped(texts: Sequence[str], longest: int) -> list[str]:
    """The texts as lines of at most *longest* columns; only one that is longer by itself makes a longer line."""
    lines: list[str] = []
    for text in texts:
        if lines and width(lines[-1]) + width(text) <= longest:
            lines[-1] += text
        else:
            lines.append(text.lstrip(" "))
    return lines


def pieces_of(segment: Segment, longest: int | None) -> list[Piece]:
    """The words of a segment; between wide characters, and in what is longer than a line, there may be a cut, too."""
    clock = _Clock.of(segment)
    found: list[Piece] = []
    done = 0
    for text in _cut(collapse_whitespace(segment.text), longest):
        begin, done = done, done + len(text.lstrip(" "))
        found.append(Piece(text=text, start=clock.start(begin), end=clock.end(done), stop=_stop(text)))
    return found


def _cut(line: str, longest: int | None) -> Iterator[str]:
    for place, word in enumerate(line.split(" ")) if line else ():
        space = " " if place else ""
        for part in _parts(word, longest):
            yield space + part
            space = ""


def _parts(word: str, longest: int | None) -> Iterator[str]:
    part = ""
    for character in word:
        if part and (_between(part[-1], character) or (longest and width(part) + _columns(character) > longest)):
            yield part
            part = ""
        part += character
    yield part


def _between(before: str, after: str) -> bool:
    """Whether a line may end between two wide characters: not before punctuation, nor after an opening bracket."""
    if unicodedata.east_asian_width(before) not in _WIDE or unicodedata.east_asian_width(after) not in _WIDE:
        return False
    return not unicodedata.category(after).startswith(("P", "M")) and unicodedata.category(before) not in ("Ps", "Pi")


def _columns(character: str) -> int:
    if unicodedata.category(character) in ("Mn", "Me", "Cf"):
        return 0
    return 2 if unicodedata.east_asian_width(character) in _WIDE else 1


def _stop(text: str) -> int:
    return 2 if _SENTENCE.search(text) else 1 if _CLAUSE.search(text) else 0


@attrs.frozen(kw_only=True)
class _Clock:
    """From a segment's characters, spaces aside, to times.

    Attributes:
        spans: First character, the one after the last, start and end, in order.
    """

    spans: tuple[tuple[int, int, float, float], ...]

    @classmethod
    def of(cls, segment: Segment) -> _Clock:
        """By the words where they are those of the text; else as if it were said at an even pace."""
        spans = tuple(_spans((_bare(word.text), word.start, word.end) for word in segment.words or ()))
        text = _bare(segment.text)
        if _bare("".join(word.text for word in segment.words or ())) == text and spans:
            return cls(spans=spans)
        return cls(spans=((0, max(len(text), 1), segment.start, segment.end),))

    def start(self, place: int) -> float:
        """When the character at *place* begins."""
        return self._at(next((span for span in self.spans if span[0] <= place < span[1]), self.spans[-1]), place)

    def end(self, place: int) -> float:
        """When the character before *place* ends."""
        return self._at(next((span for span in self.spans if span[0] < place <= span[1]), self.spans[-1]), place)

    @staticmethod
    def _at(span: tuple[int, int, float, float], place: int) -> float:
        first, last, start, end = span
        return start + (end - start) * (place - first) / (last - first)


def _spans(words: Iterable[tuple[str, float, float]]) -> Iterator[tuple[int, int, float, float]]:
    done = 0
    for text, start, end in words:
        if text:
            yield done, done + len(text), start, end
            done += len(text)


def _bare(text: str) -> str:
    return "".join(text.split())
