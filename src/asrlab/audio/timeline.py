"""Positions of decoded frames on the clock of a file, and gaps without audio.

The time stamps of a container say when its audio is to be played; samples only say how long they last. If the two
disagree by more than `TOLERANCE_S`, audio is missing and silence replaces it, so that every time in a transcript is the
time that a player shows. Smaller differences are rounding: Matroska and FLV count milliseconds, and programs that
record live stamp packets as they arrive.
"""

from __future__ import annotations

from typing import NamedTuple

import attrs

TOLERANCE_S = 0.1
"""Difference that FFmpeg's own resampler tolerates before it inserts silence (``min_hard_comp``)."""

_MIN_LATE_START_S = 0.02  # a smaller value is an encoder's delay, rounded by a container of whole milliseconds
_AFTER_DAMAGE_S = 0.005  # after a packet that could not be decoded, the next stamp tells how long the packet was
_MAX_OVERLAP_S = 1.0  # stamps that go back further belong to another recording in the same file
_MAX_GAP_S = 600.0
_MAX_SILENCE_S = 7200.0


@attrs.frozen
class Gap:
    """Seconds for which a file has no audio.

    Attributes:
        start: Start of the gap in seconds.
        duration: Length of the gap in seconds.
        is_damage: True if packets are present, but cannot be decoded.
    """

    start: float
    duration: float
    is_damage: bool = False


class TimelineState(NamedTuple):
    """Snapshot of a `Timeline`, to which it can return."""

    position: float
    shift: float | None
    silence: float
    overlap: float
    counts: tuple[int, int, int]


@attrs.define
class Timeline:
    """Clock of a file, advanced frame by frame.

    A jump of more than ten minutes is ignored unless it ends within the length that the file declares, and so is
    silence of more than two hours in all: stamps that wrap around, or a flipped bit in a stamp, must not fill
    gigabytes. After an ignored jump the clock follows the samples.

    Attributes:
        origin: Time stamp of second 0; None takes the stamp of the first frame.
        declared: Seconds that the container declares for all of its streams; None if that is an estimate.
        exact_start: True if a start that is late by less than 20 ms counts.
        is_chain: True if recordings may follow one another in the file, each with stamps of its own.
        position: Second at which the next sample lies.
        gaps: Gaps that were filled with silence, without a late start.
        jumps: Ignored jumps ahead: the position and the length of each, in seconds.
        restarts: Positions in seconds at which stamps went back to those of another recording.
        overlap: The most seconds by which stamps lag behind the samples without a restart.
    """

    origin: float | None = None
    declared: float | None = None
    exact_start: bool = False
    is_chain: bool = False
    position: float = attrs.field(default=0.0, init=False)
    gaps: list[Gap] = attrs.field(factory=list, init=False)
    jumps: list[tuple[float, float]] = attrs.field(factory=list, init=False)
    restarts: list[float] = attrs.field(factory=list, init=False)
    overlap: float = attrs.field(default=0.0, init=False)
    _shift: float | None = attrs.field(default=None, init=False)  # a stamp minus its position
    _silence: float = attrs.field(default=0.0, init=False)
    _entry: float | None = attrs.field(default=None, init=False)

    def advance(self, stamp: float | None, *, samples: int, rate: int, after_damage: bool = False) -> float:
        """Move past a frame, and past the silence in front of the frame if audio is missing there.

        Args:
            stamp: Time stamp of the frame in seconds; None if it has none.
            samples: Length of the frame.
            rate: Sample rate in Hz.
            after_damage: True if packets in front of the frame could not be decoded.

        Returns:
            The second at which the frame starts.
        """
        if self._entry is not None and stamp is not None:
            self.position += stamp - self._entry  # a decoder may give its first frame late, or leave out its start
        self._entry = None
        self.position += round(self._missing(stamp, after_damage=after_damage) * rate) / rate  # whole samples
        start = self.position
        self.position += samples / rate
        return start

    def skip(self, stamp: float | None, duration: float, *, exact: bool, rate: int) -> None:
        """Move past a packet that is not decoded.

        Args:
            stamp: Time stamp of the packet in seconds; None if it has none.
            duration: Length of the packet in seconds.
            exact: True if the samples last exactly *duration*; otherwise stamps tell where the next samples lie.
            rate: Sample rate in Hz.
        """
        gap = round(self._missing(stamp, after_damage=False) * rate) / rate
        if not exact and not gap and stamp is not None and self._shift is not None:
            late = stamp - self._shift - self.position
            self.position += late if abs(late) <= TOLERANCE_S else 0.0
        self.position += gap + duration

    def snapshot(self) -> TimelineState:
        """Return the state that `rewind` needs to return to the present position."""
        counts = (len(self.gaps), len(self.jumps), len(self.restarts))
        return TimelineState(self.position, self._shift, self._silence, self.overlap, counts)

    def rewind(self, state: TimelineState, stamp: float | None) -> None:
        """Return to *state*, taken in front of the packet stamped *stamp*, which is decoded next."""
        self.position, self._shift, self._silence, self.overlap, counts = state
        del self.gaps[counts[0] :]
        del self.jumps[counts[1] :]
        del self.restarts[counts[2] :]
        self._entry = stamp

    def jump(self) -> None:
        """Continue at the stamp of the next frame, because the file was seeked to that frame."""
        self._shift = self.origin or 0.0
        self._entry = self._shift
        self.position = 0.0

    def _missing(self, stamp: float | None, *, after_damage: bool) -> float:
        """Return the seconds of audio that are missing in front of *stamp*, and note gaps, jumps and restarts."""
        if stamp is None:
            return 0.0
        if self._shift is None:
            return self._late_start(stamp)
        late = stamp - self._shift - self.position
        if late > (_AFTER_DAMAGE_S if after_damage else TOLERANCE_S):
            if self._accept_silence(late):
                self.gaps.append(Gap(self.position, late, after_damage))
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

    def _late_start(self, stamp: float) -> float:
        """Return the seconds before the first frame, whose stamp is *stamp*."""
        late = 0.0 if self.origin is None else stamp - self.origin
        if late < (0.0 if self.exact_start else _MIN_LATE_START_S):
            late = 0.0
        elif not self._accept_silence(late):
            self.jumps.append((0.0, late))
            late = 0.0
        self._shift = stamp - late
        return late

    def _accept_silence(self, seconds: float) -> bool:
        """Return whether *seconds* from the present position on may be silence, and count them if so."""
        end = self.position + seconds
        is_declared = self.declared is not None and end <= self.declared + TOLERANCE_S
        if self._silence + seconds > _MAX_SILENCE_S or (seconds > _MAX_GAP_S and not is_declared):
            return False
        self._silence += seconds
        return True
