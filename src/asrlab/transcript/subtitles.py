"""Subtitles: segments cut into cues of a few short lines, each on the screen long enough; srt and vtt."""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs

from asrlab.control_characters import escape_controls
from asrlab.errors import OptionError
from asrlab.transcript.cue_timing import Draft, split_at_pauses, timed
from asrlab.transcript.document import milliseconds
from asrlab.transcript.line_breaks import Piece, pieces_of, wrapped

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from asrlab.transcript.document import DocumentMetadata, SubtitleLayout
    from asrlab.transcript.records import Segment, Transcript


# pysubs2 takes a backslash for markup; these stand in for it meanwhile.
_BACKSLASH, _STAND_IN = "\\", "\uf8f0"
_LAST_MS = 100 * 3600 * 1000 - 1  # the last time that pysubs2 writes


@attrs.frozen(kw_only=True)
class Cue:
    """What is on the screen at once.

    Attributes:
        start: Seconds.
        end: Seconds.
        lines: From the top.
    """

    start: float
    end: float
    lines: tuple[str, ...]


def cues_of(transcript: Transcript, layout: SubtitleLayout) -> list[Cue]:
    """The cues of a transcript in the order of its segments; a segment without text has none."""
    drafts = [draft for segment in transcript.segments for draft in _cut(segment, layout)]
    return [_cue(draft, layout) for draft in timed(drafts, transcript.duration, layout)]


def to_srt(transcript: Transcript, labels: DocumentMetadata) -> str:
    """SubRip. An arrow in the text is written ``->``, since readers take ``-->`` for the times of a cue."""
    return _written(cues_of(transcript, labels.layout), "srt", lambda line: line.replace("-->", "->"))


def to_vtt(transcript: Transcript, labels: DocumentMetadata) -> str:
    """WebVTT, escaped, since a cue's text is markup. Source: WebVTT, section 4.2.2, WebVTT cue text."""

    def escaped(line: str) -> str:
        return line.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")

    return _written(cues_of(transcript, labels.layout), "vtt", escaped)


def _cut(segment: Segment, layout: SubtitleLayout) -> Iterator[Draft]:
    pieces = pieces_of(segment, layout.max_line_length)
    if layout.max_line_length is None:
        if pieces:
            yield Draft(pieces=tuple(pieces), start=segment.start, end=max(segment.start, segment.end))
        return
    for run in split_at_pauses(pieces):
        while run:
            taken = _taken(run, layout.max_line_length, layout.max_lines)
            yield Draft.of(run[:taken])
            del run[:taken]


def _cue(draft: Draft, layout: SubtitleLayout) -> Cue:
    longest = layout.max_line_length
    lines = ("".join(draft.texts).strip(),) if longest is None else tuple(wrapped(draft.texts, longest))
    return Cue(start=draft.start, end=draft.end, lines=lines)


def _taken(pieces: list[Piece], longest: int, most: int) -> int:
    """How many of *pieces* the next cue takes: all, or up to the best place to stop in its second half."""
    fitting = 1
    while fitting < len(pieces):
        texts = [piece.text for piece in pieces[: fitting + 1]]
        if len(wrapped(texts, longest)) > most:
            break
        fitting += 1
    if fitting == len(pieces):
        return fitting
    half = range(fitting, (fitting - 1) // 2, -1)
    for rank in (2, 1):  # the end of a sentence before a comma
        found = next((place for place in half if pieces[place - 1].stop >= rank), None)
        if found:
            return found
    return fitting


def _written(cues: list[Cue], kind: str, line: Callable[[str], str]) -> str:
    from pysubs2 import SSAEvent, SSAFile

    document = SSAFile()
    for cue in cues:
        text = r"\N".join(line(escape_controls(each)).replace(_BACKSLASH, _STAND_IN) for each in cue.lines)
        start = _ms(cue.start)
        # WebVTT has no cue that ends when it starts. Source: WebVTT, section 4.1, "end time greater than start time"
        document.append(SSAEvent(start=start, end=max(_ms(cue.end), start + 1), text=text))
    made = document.to_string(kind, keep_ssa_tags=True)
    return made.replace(_STAND_IN, _BACKSLASH).rstrip("\n") + "\n" if cues or kind == "vtt" else ""


def _ms(seconds: float) -> int:
    ms = milliseconds(seconds)
    if ms > _LAST_MS:
        raise OptionError(
            f"a subtitle at {seconds:.0f} s is beyond 99:59:59,999, the last time that can be written; choose json, or "
            "cut the recording",
            option="format",
        )
    return ms
