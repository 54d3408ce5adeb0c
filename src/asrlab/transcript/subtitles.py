"""Subtitles: segments split into cues of a few short lines, each shown long enough to be read; srt and vtt."""

from __future__ import annotations

import html
import re
import unicodedata
from collections import deque
from itertools import pairwise
from typing import TYPE_CHECKING

import attrs

from asrlab.control_characters import escape_controls
from asrlab.errors import OptionError
from asrlab.transcript.document import character_times, collapse_whitespace, milliseconds

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from asrlab.transcript.document import DocumentMetadata, SubtitleLayout
    from asrlab.transcript.records import Segment, TranscriptRecord

MAX_PAUSE_S = 3.0
"""Maximum pause between two words of one cue."""
_TOLERANCE_S = 1e-9
_BACKSLASH, _PLACEHOLDER = "\\", "\uf8f0"  # pysubs2 reads a backslash as markup
_MAX_MS = 100 * 3600 * 1000 - 1  # the last time that pysubs2 can write
_CLOSING = "[\"'\u2019\u201d\u300d\u300f)\\]]*$"
_SENTENCE_ENDS = ".!?\u2026\u3002\uff01\uff1f\u061f\u06d4\u0964"
_CLAUSE_ENDS = ",;:\u3001\uff0c\uff1b\uff1a\u060c\u061b\u2013\u2014"
_BOUNDARIES = tuple(re.compile(f"[{ends}]{_CLOSING}") for ends in (_SENTENCE_ENDS, _SENTENCE_ENDS + _CLAUSE_ENDS))
"""Ends of a sentence, and ends of a sentence or clause, in texts."""


@attrs.frozen
class Breakable:
    """A part of a text that is not broken further, with the space before it if there is one, and its times."""

    text: str
    start: float
    end: float


@attrs.frozen
class Cue:
    """Text that is on the screen at once.

    Attributes:
        parts: Parts of the text, at least one.
        start: Start time in seconds.
        end: End time in seconds.
        layout: Limits of the cue.
    """

    parts: tuple[Breakable, ...]
    start: float
    end: float
    layout: SubtitleLayout

    @property
    def duration(self) -> float:
        """Duration in seconds."""
        return self.end - self.start

    @property
    def lines(self) -> tuple[str, ...]:
        """Lines from top to bottom."""
        texts = [part.text for part in self.parts]
        max_width = self.layout.max_line_length
        return ("".join(texts).strip(),) if max_width is None else tuple(_wrap(texts, max_width))

    @property
    def fits(self) -> bool:
        """True if the text is within the limits of the layout; always False if the layout has no line length."""
        max_width, lines = self.layout.max_line_length, self.lines
        return max_width is not None and len(lines) <= self.layout.max_lines and max(map(width, lines)) <= max_width

    def merge(self, later: Cue) -> Cue:
        """Return this cue and *later* as one cue."""
        first, *rest = later.parts
        last_text = self.parts[-1].text
        if not first.text.startswith(" ") and not (_is_wide(last_text[-1:]) and _is_wide(first.text[:1])):
            first = attrs.evolve(first, text=f" {first.text}")
        parts = (*self.parts, first, *rest)
        return Cue(parts, min(self.start, later.start), max(self.end, later.end), self.layout)

    def is_near(self, later: Cue) -> bool:
        """Return whether the pause before *later* is short enough for one cue."""
        return later.start - self.end <= MAX_PAUSE_S


def to_srt(transcript: TranscriptRecord, metadata: DocumentMetadata) -> str:
    """Return SubRip, with ``->`` for an arrow in the text, because readers take ``-->`` for the times of a cue."""
    return _write(build_cues(transcript, metadata.layout), "srt", lambda line: line.replace("-->", "->"))


def to_vtt(transcript: TranscriptRecord, metadata: DocumentMetadata) -> str:
    """Return WebVTT, with the text escaped, because it is markup.

    Source: WebVTT, section 4.2.2, WebVTT cue text.
    """
    return _write(build_cues(transcript, metadata.layout), "vtt", lambda line: html.escape(line, quote=False))


def _write(cues: list[Cue], kind: str, escape: Callable[[str], str]) -> str:
    from pysubs2 import SSAEvent, SSAFile

    document = SSAFile()
    for cue in cues:
        text = r"\N".join(escape(escape_controls(line)).replace(_BACKSLASH, _PLACEHOLDER) for line in cue.lines)
        start, end = milliseconds(cue.start), milliseconds(cue.end)
        for time, seconds in ((start, cue.start), (end, cue.end)):
            if time > _MAX_MS:
                raise OptionError(
                    f"a subtitle at {seconds:.0f} s is later than 99:59:59,999, the last time that the format can "
                    "write; choose json, or split the recording",
                    option="format",
                )
        # An empty cue is invalid. Source: WebVTT, section 4.1, "end time greater than start time"
        document.append(SSAEvent(start=start, end=max(end, start + 1), text=text))
    written = document.to_string(kind, keep_ssa_tags=True)
    return written.replace(_PLACEHOLDER, _BACKSLASH).rstrip("\n") + "\n" if cues or kind == "vtt" else ""


def _is_wide(character: str) -> bool:
    """Return whether *character* takes two columns, as Chinese, Japanese and Korean characters do."""
    return bool(character) and unicodedata.east_asian_width(character) in "WF"


def width(text: str) -> int:
    """Return the columns that *text* takes: 2 for a wide character, 0 for a combining mark."""
    visible = (character for character in text if unicodedata.category(character) not in ("Mn", "Me", "Cf"))
    return sum(2 if _is_wide(character) else 1 for character in visible)


def _wrap(texts: Iterable[str], max_width: int) -> list[str]:
    """Join *texts* to lines of at most *max_width* columns; only a text that is longer alone exceeds the limit."""
    lines: list[str] = []
    for text in texts:
        if lines and width(lines[-1]) + width(text) <= max_width:
            lines[-1] += text
        else:
            lines.append(text.lstrip(" "))
    return lines


def _split_text(text: str, max_width: int | None) -> Iterator[str]:
    """Split *text* into words with the space before them, and these between wide characters and at *max_width*."""
    part = ""
    for character in collapse_whitespace(text):
        word = part.lstrip(" ")
        is_full = max_width is not None and width(word + character) > max_width
        if word and (character == " " or is_full or _can_break(word[-1], character)):
            yield part
            part = ""
        part += character
    if part:
        yield part


def _can_break(before: str, after: str) -> bool:
    """Return whether a line may end here: between wide characters, not before punctuation or after a bracket."""
    if not _is_wide(before) or not _is_wide(after):
        return False
    return not unicodedata.category(after).startswith(("P", "M")) and unicodedata.category(before) not in ("Ps", "Pi")


def _split_segment(segment: Segment, layout: SubtitleLayout) -> Iterator[Cue]:
    """Split *segment* at long pauses, and at the limits of *layout*."""
    times = character_times(segment)
    parts: list[Breakable] = []
    end = 0
    for text in _split_text(segment.text, layout.max_line_length):
        start, end = end, end + len(text.lstrip(" "))
        parts.append(Breakable(text, times[start][0], times[end - 1][1]))
    if layout.max_line_length is None:
        if parts:
            yield Cue(tuple(parts), segment.start, max(segment.start, segment.end), layout)
        return
    pauses = [index for index in range(1, len(parts)) if parts[index].start - parts[index - 1].end > MAX_PAUSE_S]
    for begin, end in pairwise([0, *pauses, len(parts)]):
        run = parts[begin:end]
        while run:
            n_parts = _cue_length(run, layout.max_line_length, layout.max_lines)
            yield _cue_of(run[:n_parts], layout)
            del run[:n_parts]


def _cue_of(parts: Sequence[Breakable], layout: SubtitleLayout) -> Cue:
    return Cue(tuple(parts), parts[0].start, max(parts[0].start, parts[-1].end), layout)


def _cue_length(parts: list[Breakable], max_width: int, max_lines: int) -> int:
    """Return how many parts the next cue takes: all that fit, or up to the best boundary in their second half."""
    n_fitting = 1
    while n_fitting < len(parts) and len(_wrap([part.text for part in parts[: n_fitting + 1]], max_width)) <= max_lines:
        n_fitting += 1
    if n_fitting == len(parts):
        return n_fitting
    for boundary in _BOUNDARIES:
        for n_parts in range(n_fitting, (n_fitting - 1) // 2, -1):
            if boundary.search(parts[n_parts - 1].text):
                return n_parts
    return n_fitting


def build_cues(transcript: TranscriptRecord, layout: SubtitleLayout) -> list[Cue]:
    """Build the cues of *transcript* in the order of its segments; a segment without text has none.

    A cue shorter than ``layout.min_duration`` is shown longer, else earlier, if there is time before its neighbours;
    else it is merged with a neighbour; else it takes words from a neighbour. If none of these is possible, it stays
    short.
    """
    queue = deque(cue for segment in transcript.segments for cue in _split_segment(segment, layout))
    done: list[Cue] = []
    while queue:
        cue = queue.popleft()
        next_start = queue[0].start if queue else max(transcript.duration, cue.end)
        cue = _extend(cue, done[-1].end if done else 0.0, next_start)
        if layout.min_duration is None or cue.duration >= layout.min_duration - _TOLERANCE_S:
            done.append(cue)
        elif done and done[-1].is_near(cue) and (merged := done[-1].merge(cue)).fits:
            done.pop()
            queue.appendleft(merged)
        elif queue and cue.is_near(queue[0]) and (merged := cue.merge(queue[0])).fits:
            queue[0] = merged
        elif done and (moved := _move_boundary(done[-1], cue, backwards=True)):
            done[-1:] = moved
        elif queue and (moved := _move_boundary(cue, queue[0], backwards=False)):
            cue, queue[0] = moved
            done.append(cue)
        else:
            done.append(cue)
    return done


def _extend(cue: Cue, previous_end: float, next_start: float) -> Cue:
    """Show *cue* until it can be read, or start earlier, in the time between its neighbours."""
    min_duration, max_speed = cue.layout.min_duration or 0.0, cue.layout.max_chars_per_second
    reading_time = sum(width(part.text) for part in cue.parts) / max_speed if max_speed else 0.0
    end = max(cue.end, min(cue.start + max(min_duration, reading_time), next_start))
    start = min(cue.start, max(previous_end, end - min_duration, 0.0))
    return attrs.evolve(cue, start=start, end=end)


def _move_boundary(first: Cue, second: Cue, *, backwards: bool) -> tuple[Cue, Cue] | None:
    """Move the boundary between two cues so that both are long enough and fit; None if that is impossible."""
    if not first.is_near(second):
        return None
    parts, layout = first.merge(second).parts, first.layout
    boundary = len(first.parts)
    for position in range(boundary - 1, 0, -1) if backwards else range(boundary + 1, len(parts)):
        before, after = _cue_of(parts[:position], layout), _cue_of(parts[position:], layout)
        before = attrs.evolve(before, start=min(first.start, before.start))
        after = attrs.evolve(after, end=max(second.end, after.end))
        if all(cue.duration >= (layout.min_duration or 0.0) and cue.fits for cue in (before, after)):
            return before, after
    return None
