"""What all documents share: a text on one line, times in milliseconds."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from asrlab.transcript.records import Segment, Word

__all__ = ["milliseconds", "one_line", "span", "timed_words"]


def milliseconds(seconds: float) -> int:
    """Rounded to the nearest."""
    return round(seconds * 1000)


def one_line(text: str) -> str:
    """One line: a blank line would end a cue, a tab a field."""
    return " ".join(text.split())


def span(timed: Segment | Word) -> tuple[int, int]:
    """Start and end in milliseconds, at least one apart: the formats refuse what lasts no time."""
    start = milliseconds(timed.start)
    return start, max(milliseconds(timed.end), start + 1)


def timed_words(segment: Segment) -> list[Word]:
    """The words, without white space in them; where they were not timed, by the share of the characters before them."""
    from asrlab.transcript.records import Word

    if segment.words:
        parts = ((part, word) for word in segment.words for part in word.text.split())
        return [Word(text=part, start=each.start, end=each.end, probability=each.probability) for part, each in parts]
    texts = segment.text.split()
    total, done, found = sum(map(len, texts)), 0, list[Word]()
    length = segment.end - segment.start
    for text in texts:
        start, done = done, done + len(text)
        found.append(
            Word(
                text=text,
                start=segment.start + length * start / total,
                end=segment.start + length * done / total,
            )
        )
    return found
