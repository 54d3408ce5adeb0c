"""What audio must hold to be transcribed, and the errors and warnings that say otherwise."""

from __future__ import annotations

from typing import TYPE_CHECKING

from asrlab.audio.types import MAX_HZ, MIN_HZ, AudioTrack, AudioWarning
from asrlab.errors import AudioError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from asrlab.audio.samples import Chunk
    from asrlab.audio.timeline import Gap, Timeline

SILENT_PEAK = 1e-4
"""A recording that never exceeds this, -80 dBFS, is digital silence or a dead input: 16-bit noise is about as loud."""
_LOUDEST = 16.0
"""24 dB over full scale. Float recordings go a little over 1; integer samples in a float array go far over 16."""
_MAX_CHANNELS = 256
"""Four times the channels of the largest microphone arrays on the market; more come from a damaged header."""


def check_format(source: str, *, sample_rate: int, channels: int = 1) -> None:
    """Check what *source* declares before anything is allocated for it.

    A rate of 1 Hz makes 16,000 samples of each of its own.

    Raises:
        AudioError: *sample_rate* lies outside 1,000 to 1,000,000 Hz, or *channels* outside 1 to 256.
    """
    if not MIN_HZ <= sample_rate <= MAX_HZ:
        what = f"declares a sample rate of {sample_rate} Hz, which is out of range ({MIN_HZ:,} to {MAX_HZ:,})"
    elif not 1 <= channels <= _MAX_CHANNELS:
        what = f"declares {channels} channels, which is out of range (1 to {_MAX_CHANNELS})"
    else:
        return
    message = f"{source!r} {what}: its header is damaged; copy it again, or write the header anew"
    raise AudioError(message, source=source, reason="out-of-range")


def checked_peak(chunk: Chunk, *, at: float, source: str) -> float:
    """The largest magnitude in *chunk*, which starts at second *at* of *source*.

    Raises:
        AudioError: A sample is NaN or infinite, or exceeds 16.
    """
    import numpy as np

    peak = max(float(chunk.samples.max()), -float(chunk.samples.min()))
    if peak <= _LOUDEST:  # false for NaN, too
        return peak
    finite = np.isfinite(chunk.samples)
    index = int((np.abs(chunk.samples) > _LOUDEST if finite.all() else ~finite).argmax())
    where = f"{source!r} has a sample of {chunk.samples[index]:g} at second {at + index / chunk.sample_rate:.3f}"
    if not finite.all():
        message = f"{where}; find what wrote it, or replace it"
        raise AudioError(message, source=source, reason="not-finite")
    message = f"{where}, but float samples lie in [-1, 1]; if they are 16-bit integers, divide them by 32768"
    raise AudioError(message, source=source, reason="out-of-range")


def check_only_track(track: int | None, *, source: str) -> None:
    """Check that *track* is the only one of *source*, which cannot have several.

    Raises:
        AudioError: It is another one.
    """
    if track not in (None, 1):
        message = f"audio track {track} of {source!r} is not there; it has a single one: leave out track=N (--track N)"
        raise AudioError(message, source=source, reason="no-track")


def empty_error(source: str, *, size: int | None, offset: float) -> AudioError:
    """The error for *source*, of *size* bytes if it is a file, out of which no sample came from second *offset* on."""
    if size == 0:
        message = f"{source!r} is empty (0 bytes); record or copy it again"
    elif offset:
        message = f"{source!r} has no audio from second {offset:.2f} on; check the offset"
    elif size is None:
        message = f"{source!r} has no samples; give an array that is not empty"
    else:
        message = f"{source!r} holds no samples ({size} bytes, all header); record or copy it again"
    return AudioError(message, source=source, reason="empty")


def undecodable_error(source: str, *, failure: str) -> AudioError:
    """The error for *source*, which a decoder opened but got no sample from; *failure* is what it said."""
    message = f"cannot decode {source!r}: {failure}; copy it again, or convert it to WAV or FLAC"
    return AudioError(message, source=source, reason="undecodable")


def truncated_error(source: str, *, declared: float | None, decoded: float, failure: str, part: bool) -> AudioError:
    """The error for *source* that should last *declared* seconds and of which *decoded* seconds could be decoded.

    Args:
        source: How messages call it.
        declared: Seconds; None where the file does not say.
        decoded: Seconds.
        failure: What the decoder said, if it said something.
        part: The caller asked for a part that is *declared* seconds long.
    """
    said = f" ({failure})" if failure else ""
    if declared is None:
        what = f"{source!r} is cut off or damaged: {decoded:.2f} s could be decoded{said}"
    elif part:
        what = f"a part of {declared:.2f} s of {source!r} was asked for, but only {decoded:.2f} s of it are there{said}"
    else:
        what = f"{source!r} is truncated: it declares {declared:.2f} s, but {decoded:.2f} s could be decoded{said}"
    message = f"{what}; copy it again, or use what is there with allow_truncated=True (--allow-truncated)"
    return AudioError(message, source=source, reason="truncated", declared=declared, decoded=decoded)


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
