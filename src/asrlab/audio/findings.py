"""What a user should know of the audio that a file gave: its gaps, its odd time stamps, its tracks, its channels."""

from __future__ import annotations

from typing import TYPE_CHECKING

from asrlab.audio.types import AudioTrack, AudioWarning

if TYPE_CHECKING:
    from collections.abc import Sequence

    from asrlab.audio.timeline import Gap, Timeline

__all__ = ["opposite_phase_finding", "timeline_findings", "track_findings"]

_MAX_LISTED = 3


def timeline_findings(timeline: Timeline, *, source: str, start: float, end: float) -> list[AudioWarning]:
    """Return what is odd about the seconds from *start* to *end* of *source*."""
    gaps = [gap for gap in timeline.gaps if not gap.damaged and gap.start < end and gap.start + gap.duration > start]
    found = [_gap_warning(source, gaps)] if gaps else []
    odd = [f"jump ahead by {seconds:.2f} s at {at:.2f} s" for at, seconds in timeline.jumps if start <= at <= end]
    odd += [f"start again at {at:.2f} s" for at in timeline.restarts if start <= at <= end]
    if odd:
        listed = ", ".join(odd[:_MAX_LISTED]) + (", ..." if len(odd) > _MAX_LISTED else "")
        message = f"the time stamps of {source!r} {listed}: from there on, times count the samples"
        found.append(AudioWarning(code="timestamps", message=message))
    if timeline.overlap:
        message = (
            f"the time stamps of {source!r} go back by up to {timeline.overlap:.2f} s: nothing is left out, and times "
            "may be late by as much"
        )
        found.append(AudioWarning(code="timestamps", message=message))
    return found


def _gap_warning(source: str, gaps: Sequence[Gap]) -> AudioWarning:
    listed = ", ".join(f"{gap.start:.2f} to {gap.start + gap.duration:.2f} s" for gap in gaps[:_MAX_LISTED])
    more = f" and {len(gaps) - _MAX_LISTED} more times" if len(gaps) > _MAX_LISTED else ""
    total = sum(gap.duration for gap in gaps)
    message = f"{source!r} has no audio from {listed}{more}, {total:.2f} s in all: silence takes its place"
    return AudioWarning(code="gap", message=message)


def track_findings(track: AudioTrack | None, *, source: str) -> list[AudioWarning]:
    """Return that *track* was taken of several of *source* without having been chosen."""
    if track is None:
        return []
    message = f"{source!r} has {track.count} audio tracks: {track} is used; choose another with track=N (--track N)"
    return [AudioWarning(code="tracks", message=message)]


def opposite_phase_finding(source: str, *, cancelled_s: float, duration: float) -> AudioWarning:
    """Return that the channels of *source* cancel each other out for *cancelled_s* of *duration* seconds."""
    message = (
        f"the channels of {source!r} cancel each other out (opposite phase) in {min(cancelled_s, duration):.2f} of "
        f"{duration:.2f} s: a single channel is used there"
    )
    return AudioWarning(code="opposite-phase", message=message)
