"""The clock of a file: the second at which each decoded frame lies, and the silence in front of it.

The time stamps of a container tell when its audio is to be heard; the samples themselves only how long they last. Where
the two disagree by more than `TOLERANCE_S`, audio is missing, and silence takes its place, so that every time in a
transcript is the time that a player shows. Smaller differences are rounding: Matroska and FLV count milliseconds, and
programs that record live stamp packets when they arrive.
"""

from __future__ import annotations

from typing import NamedTuple

import attrs

TOLERANCE_S = 0.1
"""A tenth is what FFmpeg's own resampler lets stamps wander before it inserts silence (``min_hard_comp``)."""

_MIN_LEAD_S = 0.02  # a later start than this is no encoder's delay that a container of whole milliseconds rounds
_AFTER_DAMAGE_S = 0.005  # where a packet could not be decoded, the next one's stamp tells how long it was
_MAX_OVERLAP_S = 1.0  # stamps that go back further belong to another recording in the same file
_MAX_GAP_S = 600.0
_MAX_SILENCE_S = 7200.0


@attrs.frozen
class Gap:
    """Seconds for which a file has no audio.

    Attributes:
        start: Where silence begins, in seconds.
        duration: How long it lasts, in seconds.
        damaged: Whether packets are there and cannot be decoded.
    """

    start: float
    duration: float
    damaged: bool = False


class Mark(NamedTuple):
    """A state of a `Timeline`."""

    position: float
    shift: float | None
    silence: float
    overlap: float
    notes: tuple[int, int, int]


@attrs.define
class Timeline:
    """The positions of frames, given in their order, on the clock of a file.

    A jump over more than ten minutes is not believed, unless it ends within the length that the file declares, and
    neither is silence of more than two hours in all: stamps that wrap around, or a flipped bit in one, must not fill
    gigabytes. The clock then follows the samples.

    Attributes:
        zero: Time stamp of second 0; None for that of the first frame.
        declared: Seconds that the container declares for all of its streams; None where that is an estimate.
        exact_start: Whether a start that is late by less than 20 ms counts.
        is_chain: Whether recordings may follow one another in the file, each with stamps of its own.
        position: Seconds at which the next sample lies.
        gaps: Those that were filled, without a late start.
        jumps: Where stamps jumped ahead and were not believed, in seconds, and by how many.
        restarts: Where stamps went back to another recording's, in seconds.
        overlap: The most seconds by which stamps lag behind the samples without having gone back.
    """

    zero: float | None = None
    declared: float | None = None
    exact_start: bool = False
    is_chain: bool = False
    position: float = attrs.field(default=0.0, init=False)
    gaps: list[Gap] = attrs.field(factory=list, init=False)
    jumps: list[tuple[float, float]] = attrs.field(factory=list, init=False)
    restarts: list[float] = attrs.field(factory=list, init=False)
    overlap: float = attrs.field(default=0.0, init=False)
    _shift: float | None = attrs.field(default=None, init=False)  # what a stamp is more than its position
    _silence: float = attrs.field(default=0.0, init=False)
    _entry: float | None = attrs.field(default=None, init=False)

    def place(self, stamp: float | None, *, samples: int, rate: int, damaged: bool = False) -> float:
        """Move past a frame, and past the silence in front of it if audio is missing there.

        Args:
            stamp: Its time stamp in seconds; None if it has none.
            samples: Its length.
            rate: Its sample rate in Hz.
            damaged: Whether packets in front of it could not be decoded.

        Returns:
            The second at which the frame starts.
        """
        if self._entry is not None and stamp is not None:
            self.position += stamp - self._entry  # a decoder may give its first frame late, or leave out its start
        self._entry = None
        self.position += round(self._gap(stamp, damaged=damaged) * rate) / rate  # whole samples
        start = self.position
        self.position += samples / rate
        return start

    def skip(self, stamp: float | None, duration: float, *, exact: bool, rate: int) -> None:
        """Move past a packet that is not decoded.

        Args:
            stamp: Its time stamp in seconds; None if it has none.
            duration: Its length in seconds.
            exact: Whether its samples last exactly *duration*; otherwise stamps tell where the next ones lie.
            rate: Its sample rate in Hz.
        """
        gap = round(self._gap(stamp, damaged=False) * rate) / rate
        if not exact and not gap and stamp is not None and self._shift is not None:
            late = stamp - self._shift - self.position
            self.position += late if abs(late) <= TOLERANCE_S else 0.0
        self.position += gap + duration

    def mark(self) -> Mark:
        """Return what `go_back` needs to come back to the present position."""
        notes = (len(self.gaps), len(self.jumps), len(self.restarts))
        return Mark(self.position, self._shift, self._silence, self.overlap, notes)

    def go_back(self, mark: Mark, stamp: float | None) -> None:
        """Go back to the packet in front of which *mark* was made: the packet stamped *stamp* is decoded next."""
        self.position, self._shift, self._silence, self.overlap, notes = mark
        del self.gaps[notes[0] :]
        del self.jumps[notes[1] :]
        del self.restarts[notes[2] :]
        self._entry = stamp

    def seek(self) -> None:
        """Follow the stamp of the next frame, wherever it lies: the frames before it were jumped over."""
        self._shift = self.zero or 0.0
        self._entry = self._shift
        self.position = 0.0

    def _gap(self, stamp: float | None, *, damaged: bool) -> float:
        """Return the seconds that are missing in front of *stamp*, and note what is odd about it."""
        if stamp is None:
            return 0.0
        if self._shift is None:
            return self._lead(stamp)
        late = stamp - self._shift - self.position
        if late > (_AFTER_DAMAGE_S if damaged else TOLERANCE_S):
            if self._is_believed(late):
                self.gaps.append(Gap(self.position, late, damaged))
                return late
            self.jumps.append((self.position, late))
            self._shift += late
        elif late < -_MAX_OVERLAP_S:
            if not self.is_chain:
                self.restarts.append(self.position)
            self._shift += late
        elif late < -TOLERANCE_S:
            self.overlap = max(self.overlap, -late)
        return 0.0

    def _lead(self, stamp: float) -> float:
        """Return the seconds before the first frame, whose stamp is *stamp*."""
        late = 0.0 if self.zero is None else stamp - self.zero
        if late < (0.0 if self.exact_start else _MIN_LEAD_S):
            late = 0.0
        elif not self._is_believed(late):
            self.jumps.append((0.0, late))
            late = 0.0
        self._shift = stamp - late
        return late

    def _is_believed(self, seconds: float) -> bool:
        """Return whether *seconds* from the present position on may be silence, and count them if so."""
        end = self.position + seconds
        declared = self.declared is not None and end <= self.declared + TOLERANCE_S
        if self._silence + seconds > _MAX_SILENCE_S or (seconds > _MAX_GAP_S and not declared):
            return False
        self._silence += seconds
        return True
