"""Subtitles: segments cut into cues of a few short lines, each on the screen long enough; srt and vtt."""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs

from asrlab.errors import OptionError
from asrlab.transcript.cutting import Piece, pieces_of, width, wrapped
from asrlab.transcript.lines import milliseconds

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from asrlab.transcript.labels import Labels, SubtitleLayout
    from asrlab.transcript.records import Segment, Transcript

__all__ = ["Cue", "cues_of", "to_srt", "to_vtt"]

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
    cues = [cue for segment in transcript.segments for cue in _cut(segment, layout)]
    fastest = layout.max_chars_per_second
    if fastest is None:
        return cues
    starts = [*(cue.start for cue in cues[1:]), transcript.duration]
    return [_held(cue, until, fastest) for cue, until in zip(cues, starts, strict=True)] if cues else []


def to_srt(transcript: Transcript, labels: Labels) -> str:
    """SubRip. An arrow in the text is written ``->``, since readers take ``-->`` for the times of a cue."""
    return _written(cues_of(transcript, labels.layout), "srt", lambda line: line.replace("-->", "->"))


def to_vtt(transcript: Transcript, labels: Labels) -> str:
    """WebVTT, escaped, since a cue's text is markup. Source: WebVTT, section 4.2.2, WebVTT cue text."""

    def escaped(line: str) -> str:
        return line.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")

    return _written(cues_of(transcript, labels.layout), "vtt", escaped)


def _cut(segment: Segment, layout: SubtitleLayout) -> Iterator[Cue]:
    pieces = pieces_of(segment, layout.max_line_length)
    if layout.max_line_length is None:
        text = "".join(piece.text for piece in pieces).strip()
        yield from [Cue(start=segment.start, end=segment.end, lines=(text,))] if text else []
        return
    while pieces:
        taken = _taken(pieces, layout.max_line_length, layout.max_lines)
        now, pieces = pieces[:taken], pieces[taken:]
        lines = tuple(wrapped([piece.text for piece in now], layout.max_line_length))
        yield Cue(start=now[0].start, end=now[-1].end, lines=lines)


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


def _held(cue: Cue, until: float, fastest: float) -> Cue:
    wanted = cue.start + sum(map(width, cue.lines)) / fastest
    return attrs.evolve(cue, end=min(wanted, until)) if cue.end < min(wanted, until) else cue


def _written(cues: list[Cue], kind: str, line: Callable[[str], str]) -> str:
    from pysubs2 import SSAEvent, SSAFile

    document = SSAFile()
    for cue in cues:
        text = r"\N".join(line(each).replace(_BACKSLASH, _STAND_IN) for each in cue.lines)
        document.append(SSAEvent(start=_ms(cue.start), end=_ms(cue.end), text=text))
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
