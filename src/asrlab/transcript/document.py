"""What a document needs to know beside the transcript: names, a reference, and how subtitles are laid out."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import attrs

from asrlab.errors import OptionError

if TYPE_CHECKING:
    from asrlab.transcript.records import Segment, Word


def _positive(_layout: SubtitleLayout, attribute: attrs.Attribute[Any], value: float | None) -> None:
    if value is not None and not value > 0:
        raise OptionError(f"{attribute.name} is {value}; it must be more than 0", option=attribute.name)


@attrs.frozen(kw_only=True)
class SubtitleLayout:
    """How much of a text is on the screen at once, and for how long.

    Attributes:
        max_line_length: Characters in a line; those of Chinese, Japanese and Korean count twice, as they are twice as
            wide. None leaves every segment as one cue of one line.
        max_lines: Lines in a cue.
        max_chars_per_second: A cue that would have to be read faster stays on the screen longer, as far as there is
            room before the next one. None leaves the times as they are.
        min_duration: Seconds that a cue stays at least, where there is room before or behind it, or where it can be
            joined with a neighbour within the other limits. None leaves the times as they are.
    """

    max_line_length: int | None = attrs.field(default=42, validator=_positive)
    max_lines: int = attrs.field(default=2, validator=_positive)
    max_chars_per_second: float | None = attrs.field(default=20.0, validator=_positive)
    min_duration: float | None = attrs.field(default=0.7, validator=_positive)


@attrs.frozen(kw_only=True)
class DocumentMetadata:
    """What stands in a document beside what was recognized.

    Attributes:
        name: Of the recording or utterance, where the format wants one.
        speaker: Who speaks; None if not known.
        reference: What was said; None if not known.
        layout: Of subtitles.
    """

    name: str = "audio"
    speaker: str | None = None
    reference: str | None = None
    layout: SubtitleLayout = attrs.field(factory=SubtitleLayout)


def milliseconds(seconds: float) -> int:
    """Rounded to the nearest."""
    return round(seconds * 1000)


def collapse_whitespace(text: str) -> str:
    """One line: a blank line would end a cue, a tab a field."""
    return " ".join(text.split())


def time_range_ms(timed: Segment | Word) -> tuple[int, int]:
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


# Besides the ASCII characters their full-width forms, which some spreadsheets take for the same.
_FORMULA = "=+\\-@\t\r\uff1d\uff0b\uff0d\uff20"
_BEGINS = re.compile(f"'*[{_FORMULA}]")
_DEFUSED = re.compile(f"'+[{_FORMULA}]")


def escape_formula(cell: str) -> str:
    """The cell with ``'`` in front where it begins like a formula, or like one that was defused.

    Source: OWASP, "CSV Injection".
    """
    return f"'{cell}" if _BEGINS.match(cell) else cell


def unescape_formula(cell: str) -> str:
    """What the cell was before `escape_formula`."""
    return cell[1:] if _DEFUSED.match(cell) else cell
