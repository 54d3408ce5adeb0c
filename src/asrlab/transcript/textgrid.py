"""Praat's TextGrid, in its long form."""

from __future__ import annotations

from typing import TYPE_CHECKING

from asrlab.control_characters import escape_controls
from asrlab.transcript.lines import milliseconds, one_line, span

if TYPE_CHECKING:
    from collections.abc import Iterable

    from asrlab.transcript.labels import Labels
    from asrlab.transcript.records import Segment, Transcript, Word

__all__ = ["to_textgrid"]

type _Interval = tuple[int, int, str]

_HEAD = 'File type = "ooTextFile"\nObject class = "TextGrid"\n\n'


def to_textgrid(transcript: Transcript, _labels: Labels) -> str:
    """A tier of segments, and one of words where they were timed.

    A tier cannot hold two intervals at the same time: those that overlap go to further tiers, ``segments 2`` and so on.

    Source: Praat manual, "TextGrid file formats".
    """
    tiers = _tiers("segments", transcript.segments)
    tiers += _tiers("words", [word for segment in transcript.segments for word in segment.words or ()])
    ends = [end for _, intervals in tiers for _, end, _ in intervals]
    last = max([milliseconds(transcript.duration), 1, *ends])
    body = "".join(_tier(number, name, intervals, last) for number, (name, intervals) in enumerate(tiers, start=1))
    return f"{_HEAD}xmin = 0\nxmax = {_seconds(last)}\ntiers? <exists>\nsize = {len(tiers)}\nitem []:\n{body}"


def _tiers(name: str, timed: Iterable[Segment | Word]) -> list[tuple[str, list[_Interval]]]:
    """The intervals, each on the first tier on which its time is free; at least one tier for segments."""
    found: list[list[_Interval]] = [[]] if name == "segments" else []
    for interval in sorted((*span(each), escape_controls(one_line(each.text))) for each in timed):
        free = next((tier for tier in found if not tier or tier[-1][1] <= interval[0]), None)
        if free is None:
            found.append(free := [])
        free.append(interval)
    return [(name if place == 1 else f"{name} {place}", tier) for place, tier in enumerate(found, start=1)]


def _tier(number: int, name: str, intervals: list[_Interval], last: int) -> str:
    whole = _without_gaps(intervals, last)
    head = f'    item [{number}]:\n        class = "IntervalTier"\n        name = "{name}"\n'
    head += f"        xmin = 0\n        xmax = {_seconds(last)}\n        intervals: size = {len(whole)}\n"
    return head + "".join(_interval(place, *each) for place, each in enumerate(whole, start=1))


def _without_gaps(intervals: list[_Interval], last: int) -> list[_Interval]:
    """With empty intervals between: a tier has no gaps."""
    whole: list[_Interval] = []
    done = 0
    for start, end, text in intervals:
        if start > done:
            whole.append((done, start, ""))
        whole.append((start, end, text))
        done = end
    return [*whole, (done, last, "")] if done < last else whole


def _interval(place: int, start: int, end: int, text: str) -> str:
    quoted = text.replace('"', '""')
    return (
        f"        intervals [{place}]:\n            xmin = {_seconds(start)}\n            xmax = {_seconds(end)}\n"
        f'            text = "{quoted}"\n'
    )


def _seconds(ms: int) -> str:
    return f"{ms / 1000:.3f}"
