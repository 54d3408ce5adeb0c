"""Settings of a document beyond the transcript, and text helpers that the document formats share."""

from __future__ import annotations

import re

import attrs

from asrlab.control_characters import escape_controls
from asrlab.errors import OptionError
from asrlab.transcript.records import Segment, Word


@attrs.frozen(kw_only=True)
class SubtitleLayout:
    """Limits on the size and the duration of subtitle cues.

    Attributes:
        max_line_length: Maximum characters in a line; Chinese, Japanese and Korean characters count twice, because
            they are twice as wide. None makes every segment one cue of one line.
        max_lines: Maximum lines in a cue.
        max_chars_per_second: Reading speed above which a cue is shown longer, up to the start of the next cue. None
            leaves the times unchanged.
        min_duration: Seconds that a cue is shown at least, if there is time before or after it, or if it can be merged
            with a neighbour within the other limits. None leaves the times unchanged.
    """

    max_line_length: int | None = 42
    max_lines: int = 2
    max_chars_per_second: float | None = 20.0
    min_duration: float | None = 0.7

    def __attrs_post_init__(self) -> None:
        for name, value in attrs.asdict(self).items():
            if value is not None and not value > 0:
                raise OptionError(f"{name} is {value}; choose a value greater than 0", option=name)


@attrs.frozen(kw_only=True)
class DocumentMetadata:
    """Facts and settings of a document that are not part of the transcript.

    Attributes:
        name: Name of the recording or utterance.
        speaker: Name of the speaker; None if unknown.
        reference: Reference text; None if unknown.
        layout: Layout of subtitles.
    """

    name: str = "audio"
    speaker: str | None = None
    reference: str | None = None
    layout: SubtitleLayout = attrs.field(factory=SubtitleLayout)


def milliseconds(seconds: float) -> int:
    """Return *seconds* in milliseconds, rounded to the nearest."""
    return round(seconds * 1000)


def time_range_ms(timed: Segment | Word) -> tuple[int, int]:
    """Return the start and the end in milliseconds, at least 1 ms apart, because the formats refuse empty intervals."""
    start = milliseconds(timed.start)
    return start, max(milliseconds(timed.end), start + 1)


def collapse_whitespace(text: str) -> str:
    """Return *text* as one line, because a blank line would end a cue and a tab a field."""
    return " ".join(text.split())


def to_field(text: str) -> str:
    """Return *text* as one line without control characters; `unescape_controls` restores the line."""
    return escape_controls(collapse_whitespace(text), reversible=True)


def timed_words(segment: Segment) -> list[Word]:
    """Return the words of *segment*, without white space in them.

    Words that were not timed share the segment's time by their lengths in characters.
    """
    if segment.words:
        parts = ((part, word) for word in segment.words for part in word.text.split())
        return [attrs.evolve(word, text=part) for part, word in parts]
    times = character_times(segment)
    words: list[Word] = []
    end = 0
    for text in segment.text.split():
        start, end = end, end + len(text)
        words.append(Word(text=text, start=times[start][0], end=times[end - 1][1]))
    return words


def character_times(segment: Segment) -> list[tuple[float, float]]:
    """Return the start and the end in seconds of each character of *segment*, spaces not counted.

    The characters of a word, or of a segment whose words do not make up its text, share its time evenly.
    """
    timed: tuple[Segment | Word, ...] = (segment, *(segment.words or ()))
    whole, *words = (("".join(item.text.split()), item.start, item.end) for item in timed)
    return [
        (start + (end - start) * index / len(text), start + (end - start) * (index + 1) / len(text))
        for text, start, end in (words if "".join(word[0] for word in words) == whole[0] else [whole])
        for index in range(len(text))
    ]


# ASCII characters and their full-width forms, which some spreadsheets treat alike.
_FORMULA = "=+\\-@\t\r\uff1d\uff0b\uff0d\uff20"
_FORMULA_OR_ESCAPED = re.compile(f"'*[{_FORMULA}]")
_ESCAPED = re.compile(f"'+[{_FORMULA}]")


def escape_formula(cell: str) -> str:
    """Return *cell* with ``'`` in front if it begins like a formula, or like an escaped formula.

    Source: OWASP, "CSV Injection".
    """
    return f"'{cell}" if _FORMULA_OR_ESCAPED.match(cell) else cell


def unescape_formula(cell: str) -> str:
    """Return the cell that `escape_formula` was given."""
    return cell[1:] if _ESCAPED.match(cell) else cell
