"""When each cue is on the screen: long enough to be read where there is room, and never over a long pause."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

import attrs

from asrlab.transcript.line_breaks import Piece, is_wide, width, wrapped

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from asrlab.transcript.document import SubtitleLayout


MAX_PAUSE_S = 3.0
"""No cue spans a pause between two words that is longer."""
_EPSILON_S = 1e-9


@attrs.frozen(kw_only=True)
class Draft:
    """The text of a cue with its times so far.

    Attributes:
        pieces: The text, never empty.
        start: Seconds.
        end: Seconds.
    """

    pieces: tuple[Piece, ...]
    start: float
    end: float

    @classmethod
    def of(cls, pieces: Sequence[Piece]) -> Draft:
        """Return a draft at the times of *pieces*."""
        return cls(pieces=tuple(pieces), start=pieces[0].start, end=max(pieces[0].start, pieces[-1].end))

    @property
    def duration(self) -> float:
        """Seconds."""
        return self.end - self.start

    @property
    def texts(self) -> list[str]:
        """The text in pieces, the first without the space before it."""
        return [piece.text for piece in self.pieces]

    def joined(self, other: Draft) -> Draft:
        """Return this draft and a later one as one."""
        first, *rest = other.pieces
        last = self.pieces[-1].text
        if not first.text.startswith(" ") and not (is_wide(last[-1:]) and is_wide(first.text[:1])):
            first = attrs.evolve(first, text=f" {first.text}")
        pieces = (*self.pieces, first, *rest)
        return Draft(pieces=pieces, start=min(self.start, other.start), end=max(self.end, other.end))


def timed(drafts: Sequence[Draft], duration: float, layout: SubtitleLayout) -> list[Draft]:
    """Return *drafts* with times that let them be read.

    A draft that would be on the screen for less than ``layout.min_duration`` stays longer where nothing follows at
    once, else it comes earlier where nothing is before it, else it is joined with a neighbour, else it takes words from
    one. Where none of that can be, it stays as short as it is.

    Args:
        drafts: In the order in which they are shown.
        duration: Seconds of the recording.
        layout: What fits into a cue, and how long it should stay.
    """
    queue, done = deque(drafts), list[Draft]()
    while queue:
        draft = queue.popleft()
        until = queue[0].start if queue else max(duration, draft.end)
        draft = _prolonged(draft, until, done[-1].end if done else 0.0, layout)
        if layout.min_duration is None or draft.duration >= layout.min_duration - _EPSILON_S:
            done.append(draft)
        elif (both := _joined(draft, done, queue, layout)) is not None:
            queue.appendleft(both)
        else:
            done.append(_refilled(draft, done, queue, layout))
    return done


def fits(draft: Draft, layout: SubtitleLayout) -> bool:
    """Return whether *draft* is within the limits of *layout*."""
    longest = layout.max_line_length
    if longest is None:
        return False  # each segment is one cue then, whatever its length
    lines = wrapped(draft.texts, longest)
    return len(lines) <= layout.max_lines and all(width(line) <= longest for line in lines)


def _prolonged(draft: Draft, until: float, after: float, layout: SubtitleLayout) -> Draft:
    """Let *draft* stay until it can be read, or begin earlier, in the room between its neighbours."""
    least = layout.min_duration or 0.0
    fastest = layout.max_chars_per_second
    reading = sum(map(width, draft.texts)) / fastest if fastest else 0.0
    end = max(draft.end, min(draft.start + max(least, reading), until))
    start = min(draft.start, max(after, end - least, 0.0))
    return attrs.evolve(draft, start=start, end=end)


def _joined(draft: Draft, done: list[Draft], queue: deque[Draft], layout: SubtitleLayout) -> Draft | None:
    """Join *draft* with the neighbour before or behind it, which is taken out of its list; None if neither fits."""
    if done and _is_near(done[-1], draft) and fits(both := done[-1].joined(draft), layout):
        done.pop()
        return both
    if queue and _is_near(draft, queue[0]) and fits(both := draft.joined(queue[0]), layout):
        queue.popleft()
        return both
    return None


def _refilled(draft: Draft, done: list[Draft], queue: deque[Draft], layout: SubtitleLayout) -> Draft:
    """Take words from the neighbour before or behind *draft*, which changes in its list; *draft* if neither has any."""
    if done and (found := _shared(done[-1], draft, layout, from_end=True)):
        done[-1], draft = found
    elif queue and (found := _shared(draft, queue[0], layout, from_end=False)):
        draft, queue[0] = found
    return draft


def _is_near(first: Draft, second: Draft) -> bool:
    return second.start - first.end <= MAX_PAUSE_S


def _shared(first: Draft, second: Draft, layout: SubtitleLayout, *, from_end: bool) -> tuple[Draft, Draft] | None:
    """Cut the words of both anew, so that both are long enough and fit; None where no cut does."""
    if not _is_near(first, second):
        return None
    pieces = first.joined(second).pieces
    here = len(first.pieces)
    cuts = range(here - 1, 0, -1) if from_end else range(here + 1, len(pieces))
    for cut in cuts:
        one, two = Draft.of(pieces[:cut]), Draft.of(pieces[cut:])
        one = attrs.evolve(one, start=min(first.start, one.start))
        two = attrs.evolve(two, end=max(second.end, two.end))
        if all(_is_good(each, layout) for each in (one, two)):
            return one, two
    return None


def _is_good(draft: Draft, layout: SubtitleLayout) -> bool:
    return draft.duration >= (layout.min_duration or 0.0) and fits(draft, layout)


def split_at_pauses(pieces: Sequence[Piece]) -> Iterator[list[Piece]]:
    """Yield *pieces* in runs without a long pause in them."""
    run: list[Piece] = []
    for piece in pieces:
        if run and piece.start - run[-1].end > MAX_PAUSE_S:
            yield run
            run = []
        run.append(piece)
    if run:
        yield run
