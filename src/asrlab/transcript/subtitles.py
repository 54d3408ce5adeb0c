"""Subtitles: segments split into cues of a few short lines, each shown long enough to be read; srt and vtt."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

import attrs

from asrlab.control_characters import escape_controls
from asrlab.errors import OptionError
from asrlab.transcript.document import milliseconds
from asrlab.transcript.line_breaks import (
    CLAUSE_END,
    SENTENCE_END,
    Breakable,
    is_wide,
    split_breakable,
    width,
    wrap,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from asrlab.transcript.document import DocumentMetadata, SubtitleLayout
    from asrlab.transcript.records import Segment, TranscriptRecord

MAX_PAUSE_S = 3.0
"""Maximum pause between two words of one cue."""
_TOLERANCE_S = 1e-9
_BACKSLASH, _PLACEHOLDER = "\\", "\uf8f0"  # pysubs2 reads a backslash as markup
_MAX_MS = 100 * 3600 * 1000 - 1  # the last time that pysubs2 can write


@attrs.frozen(kw_only=True)
class Cue:
    """Lines of text that are on the screen at once.

    Attributes:
        start: Start time in seconds.
        end: End time in seconds.
        lines: Lines from top to bottom.
    """

    start: float
    end: float
    lines: tuple[str, ...]


def to_srt(transcript: TranscriptRecord, metadata: DocumentMetadata) -> str:
    """Return SubRip, with ``->`` for an arrow in the text, because readers take ``-->`` for the times of a cue."""
    return _write(build_cues(transcript, metadata.layout), "srt", lambda line: line.replace("-->", "->"))


def to_vtt(transcript: TranscriptRecord, metadata: DocumentMetadata) -> str:
    """Return WebVTT, with the text escaped, because it is markup.

    Source: WebVTT, section 4.2.2, WebVTT cue text.
    """

    def escape(line: str) -> str:
        return line.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")

    return _write(build_cues(transcript, metadata.layout), "vtt", escape)


def _write(cues: list[Cue], kind: str, escape: Callable[[str], str]) -> str:
    from pysubs2 import SSAEvent, SSAFile

    document = SSAFile()
    for cue in cues:
        text = r"\N".join(escape(escape_controls(line)).replace(_BACKSLASH, _PLACEHOLDER) for line in cue.lines)
        start = _subtitle_ms(cue.start)
        # An empty cue is invalid. Source: WebVTT, section 4.1, "end time greater than start time"
        document.append(SSAEvent(start=start, end=max(_subtitle_ms(cue.end), start + 1), text=text))
    written = document.to_string(kind, keep_ssa_tags=True)
    return written.replace(_PLACEHOLDER, _BACKSLASH).rstrip("\n") + "\n" if cues or kind == "vtt" else ""


def _subtitle_ms(seconds: float) -> int:
    ms = milliseconds(seconds)
    if ms > _MAX_MS:
        raise OptionError(
            f"a subtitle at {seconds:.0f} s is later than 99:59:59,999, the last time that the format can write; "
            "choose json, or split the recording",
            option="format",
        )
    return ms


def build_cues(transcript: TranscriptRecord, layout: SubtitleLayout) -> list[Cue]:
    """Build the cues of *transcript* in the order of its segments; a segment without text has none."""
    drafts = [draft for segment in transcript.segments for draft in split_segment(segment, layout)]
    return [
        Cue(start=draft.start, end=draft.end, lines=_break_lines(draft, layout))
        for draft in adjust_times(drafts, transcript.duration, layout)
    ]


def _break_lines(draft: CueDraft, layout: SubtitleLayout) -> tuple[str, ...]:
    if layout.max_line_length is None:
        return ("".join(draft.texts).strip(),)
    return tuple(wrap(draft.texts, layout.max_line_length))


@attrs.frozen(kw_only=True)
class CueDraft:
    """The text of a cue, with times that may still change.

    Attributes:
        parts: Parts of the text, at least one.
        start: Start time in seconds.
        end: End time in seconds.
    """

    parts: tuple[Breakable, ...]
    start: float
    end: float

    @classmethod
    def from_parts(cls, parts: Sequence[Breakable]) -> CueDraft:
        """Return a draft with the times of *parts*."""
        return cls(parts=tuple(parts), start=parts[0].start, end=max(parts[0].start, parts[-1].end))

    @property
    def duration(self) -> float:
        """Duration in seconds."""
        return self.end - self.start

    @property
    def texts(self) -> list[str]:
        """Texts of the parts."""
        return [part.text for part in self.parts]

    def merge(self, later: CueDraft) -> CueDraft:
        """Return this draft and *later* as one draft."""
        first, *rest = later.parts
        last_text = self.parts[-1].text
        if not first.text.startswith(" ") and not (is_wide(last_text[-1:]) and is_wide(first.text[:1])):
            first = attrs.evolve(first, text=f" {first.text}")
        parts = (*self.parts, first, *rest)
        return CueDraft(parts=parts, start=min(self.start, later.start), end=max(self.end, later.end))

    def is_near(self, later: CueDraft) -> bool:
        """Return whether the pause before *later* is short enough for one cue."""
        return later.start - self.end <= MAX_PAUSE_S

    def fits(self, layout: SubtitleLayout) -> bool:
        """Return whether the text is within the limits of *layout*; always False if *layout* has no line length."""
        max_width = layout.max_line_length
        if max_width is None:
            return False
        lines = wrap(self.texts, max_width)
        return len(lines) <= layout.max_lines and all(width(line) <= max_width for line in lines)


def split_segment(segment: Segment, layout: SubtitleLayout) -> Iterator[CueDraft]:
    """Split *segment* at long pauses, and at the limits of *layout*."""
    parts = split_breakable(segment, layout.max_line_length)
    if layout.max_line_length is None:
        if parts:
            yield CueDraft(parts=tuple(parts), start=segment.start, end=max(segment.start, segment.end))
        return
    for run in _split_at_pauses(parts):
        while run:
            n_parts = _cue_length(run, layout.max_line_length, layout.max_lines)
            yield CueDraft.from_parts(run[:n_parts])
            del run[:n_parts]


def _split_at_pauses(parts: Sequence[Breakable]) -> Iterator[list[Breakable]]:
    run: list[Breakable] = []
    for part in parts:
        if run and part.start - run[-1].end > MAX_PAUSE_S:
            yield run
            run = []
        run.append(part)
    if run:
        yield run


def _cue_length(parts: list[Breakable], max_width: int, max_lines: int) -> int:
    """Return how many parts the next cue takes: all that fit, or up to the best boundary in their second half."""
    n_fitting = 1
    while n_fitting < len(parts) and len(wrap([part.text for part in parts[: n_fitting + 1]], max_width)) <= max_lines:
        n_fitting += 1
    if n_fitting == len(parts):
        return n_fitting
    second_half = range(n_fitting, (n_fitting - 1) // 2, -1)
    for boundary in (SENTENCE_END, CLAUSE_END):
        for n_parts in second_half:
            if parts[n_parts - 1].boundary >= boundary:
                return n_parts
    return n_fitting


def adjust_times(drafts: Sequence[CueDraft], duration: float, layout: SubtitleLayout) -> list[CueDraft]:
    """Return *drafts* with times that leave each long enough to be read.

    A draft shorter than ``layout.min_duration`` is shown longer, else earlier, if there is time before its neighbours;
    else it is merged with a neighbour; else it takes words from a neighbour. If none of these is possible, it stays
    short.

    Args:
        drafts: Drafts in the order in which they are shown.
        duration: Duration of the recording in seconds.
        layout: Limits of a cue.
    """
    queue, done = deque(drafts), list[CueDraft]()
    while queue:
        draft = queue.popleft()
        next_start = queue[0].start if queue else max(duration, draft.end)
        draft = _extend(draft, done[-1].end if done else 0.0, next_start, layout)
        if layout.min_duration is None or draft.duration >= layout.min_duration - _TOLERANCE_S:
            done.append(draft)
        elif (merged := _merge_with_neighbour(draft, done, queue, layout)) is not None:
            queue.appendleft(merged)
        else:
            done.append(_take_words(draft, done, queue, layout))
    return done


def _extend(draft: CueDraft, previous_end: float, next_start: float, layout: SubtitleLayout) -> CueDraft:
    """Show *draft* until it can be read, or start earlier, in the time between its neighbours."""
    min_duration = layout.min_duration or 0.0
    max_speed = layout.max_chars_per_second
    reading_time = sum(map(width, draft.texts)) / max_speed if max_speed else 0.0
    end = max(draft.end, min(draft.start + max(min_duration, reading_time), next_start))
    start = min(draft.start, max(previous_end, end - min_duration, 0.0))
    return attrs.evolve(draft, start=start, end=end)


def _merge_with_neighbour(
    draft: CueDraft, done: list[CueDraft], queue: deque[CueDraft], layout: SubtitleLayout
) -> CueDraft | None:
    """Merge *draft* with the neighbour before or after it, which leaves its list; None if neither fits."""
    if done and done[-1].is_near(draft) and (merged := done[-1].merge(draft)).fits(layout):
        done.pop()
        return merged
    if queue and draft.is_near(queue[0]) and (merged := draft.merge(queue[0])).fits(layout):
        queue.popleft()
        return merged
    return None


def _take_words(draft: CueDraft, done: list[CueDraft], queue: deque[CueDraft], layout: SubtitleLayout) -> CueDraft:
    """Return *draft* with words of the neighbour before or after it, which is replaced in its list."""
    if done and (moved := _move_boundary(done[-1], draft, layout, backwards=True)):
        done[-1], draft = moved
    elif queue and (moved := _move_boundary(draft, queue[0], layout, backwards=False)):
        draft, queue[0] = moved
    return draft


def _move_boundary(
    first: CueDraft, second: CueDraft, layout: SubtitleLayout, *, backwards: bool
) -> tuple[CueDraft, CueDraft] | None:
    """Move the boundary between two drafts so that both are long enough and fit; None if that is impossible."""
    if not first.is_near(second):
        return None
    parts = first.merge(second).parts
    boundary = len(first.parts)
    for position in range(boundary - 1, 0, -1) if backwards else range(boundary + 1, len(parts)):
        before, after = CueDraft.from_parts(parts[:position]), CueDraft.from_parts(parts[position:])
        before = attrs.evolve(before, start=min(first.start, before.start))
        after = attrs.evolve(after, end=max(second.end, after.end))
        if all(draft.duration >= (layout.min_duration or 0.0) and draft.fits(layout) for draft in (before, after)):
            return before, after
    return None
