"""Limits that audio must respect, and the errors and warnings that report problems."""

from __future__ import annotations

from typing import TYPE_CHECKING

from asrlab.audio.types import MAX_HZ, MIN_HZ, AudioTrack, AudioWarning
from asrlab.errors import AudioError

if TYPE_CHECKING:
    from asrlab.audio.samples import AudioBlock
    from asrlab.audio.timeline import Timeline

SILENT_PEAK = 1e-4
"""Peak, -80 dBFS, below which a recording is digital silence or a dead input. 16-bit noise is about as loud."""
_MAX_PEAK = 16.0
"""24 dB over full scale. Float recordings go a little over 1; integer samples in a float array go far over 16."""
_MAX_CHANNELS = 256
"""Four times the channels of the largest microphone arrays on the market; a larger number means a damaged header."""
_MAX_LISTED = 3


def check_format(source: str, *, sample_rate: int, channels: int = 1) -> None:
    """Check the format that *source* declares, before memory is allocated for it.

    A rate of 1 Hz would turn each sample into 16,000.

    Raises:
        AudioError: If *sample_rate* lies outside 1,000 to 1,000,000 Hz, or *channels* outside 1 to 256.
    """
    if not MIN_HZ <= sample_rate <= MAX_HZ:
        problem = f"declares a sample rate of {sample_rate} Hz, which is out of range ({MIN_HZ:,} to {MAX_HZ:,})"
    elif not 1 <= channels <= _MAX_CHANNELS:
        problem = f"declares {channels} channels, which is out of range (1 to {_MAX_CHANNELS})"
    else:
        return
    message = f"{source!r} {problem}: the header is damaged; copy the file again, or repair its header"
    raise AudioError(message, source=source, reason="out-of-range")


def check_peak(block: AudioBlock, *, start: float, source: str) -> float:
    """Return the largest magnitude in *block*, which starts at second *start* of *source*.

    Raises:
        AudioError: If a sample is NaN or infinite, or exceeds 16.
    """
    import numpy as np

    peak = max(float(block.samples.max()), -float(block.samples.min()))
    if peak <= _MAX_PEAK:  # false for NaN, too
        return peak
    finite = np.isfinite(block.samples)
    index = int((np.abs(block.samples) > _MAX_PEAK if finite.all() else ~finite).argmax())
    problem = f"{source!r} has a sample of {block.samples[index]:g} at second {start + index / block.sample_rate:.3f}"
    if not finite.all():
        message = f"{problem}; check the program that wrote it, or replace the sample"
        raise AudioError(message, source=source, reason="not-finite")
    message = f"{problem}, but float samples lie in [-1, 1]; if they are 16-bit integers, divide them by 32768"
    raise AudioError(message, source=source, reason="out-of-range")


def check_only_track(track: int | None, *, source: str) -> None:
    """Check that *track* is None or 1, for a *source* that cannot have several tracks.

    Raises:
        AudioError: If *track* is any other number.
    """
    if track not in (None, 1):
        message = (
            f"there is no audio track {track} in {source!r}, which has a single one; leave out track=N (--track N)"
        )
        raise AudioError(message, source=source, reason="no-track")


def empty_error(source: str, *, size: int | None, offset: float) -> AudioError:
    """Return the error for *source*, which gave no sample from second *offset* on; *size* is in bytes, for a file."""
    if size == 0:
        message = f"{source!r} is empty (0 bytes); record or copy it again"
    elif offset:
        message = f"{source!r} has no audio from second {offset:.2f} on; check the offset"
    elif size is None:
        message = f"{source!r} has no samples; give an array that is not empty"
    else:
        message = f"{source!r} has no samples ({size} bytes, all header); record or copy it again"
    return AudioError(message, source=source, reason="empty")


def undecodable_error(source: str, *, failure: str) -> AudioError:
    """Return the error for *source*, which a decoder opened but could not decode; *failure* is the decoder's reason."""
    message = f"cannot decode {source!r}: {failure}; copy it again, or convert it to WAV or FLAC"
    return AudioError(message, source=source, reason="undecodable")


def truncated_error(source: str, *, declared: float | None, decoded: float, failure: str, is_part: bool) -> AudioError:
    """Return the error for *source*, of which only *decoded* of *declared* seconds could be decoded.

    Args:
        source: Name of the source in messages.
        declared: Expected seconds; None if the file does not declare a length.
        decoded: Seconds that could be decoded.
        failure: The decoder's reason; empty if it gave none.
        is_part: True if the caller asked for a part of *declared* seconds.
    """
    reason = f" ({failure})" if failure else ""
    if declared is None:
        problem = f"{source!r} is cut off or damaged: {decoded:.2f} s could be decoded{reason}"
    elif is_part:
        problem = f"a part of {declared:.2f} s of {source!r} was asked for, but it has only {decoded:.2f} s{reason}"
    else:
        problem = f"{source!r} is truncated: it declares {declared:.2f} s, but {decoded:.2f} s could be decoded{reason}"
    message = f"{problem}; copy it again, or use the decoded part with allow_truncated=True (--allow-truncated)"
    return AudioError(message, source=source, reason="truncated", declared=declared, decoded=decoded)


def timeline_warnings(timeline: Timeline, *, source: str, start: float, end: float) -> list[AudioWarning]:
    """Return warnings about gaps and wrong time stamps from second *start* to *end* of *source*."""
    warnings = []
    gaps = [gap for gap in timeline.gaps if not gap.is_damage and gap.start < end and gap.start + gap.duration > start]
    if gaps:
        listed = ", ".join(f"{gap.start:.2f} to {gap.start + gap.duration:.2f} s" for gap in gaps[:_MAX_LISTED])
        more = f" and {len(gaps) - _MAX_LISTED} more times" if len(gaps) > _MAX_LISTED else ""
        total = sum(gap.duration for gap in gaps)
        message = f"{source!r} has no audio from {listed}{more}, {total:.2f} s in all: silence replaces it"
        warnings.append(AudioWarning(code="gap", message=message))
    jumps = [f"jump ahead by {seconds:.2f} s at {at:.2f} s" for at, seconds in timeline.jumps if start <= at <= end]
    jumps += [f"start again at {at:.2f} s" for at in timeline.restarts if start <= at <= end]
    if jumps:
        listed = ", ".join(jumps[:_MAX_LISTED]) + (", ..." if len(jumps) > _MAX_LISTED else "")
        message = f"the time stamps of {source!r} {listed}: times after that count the samples"
        warnings.append(AudioWarning(code="timestamps", message=message))
    if timeline.overlap:
        message = (
            f"the time stamps of {source!r} go back by up to {timeline.overlap:.2f} s: no audio is left out, and times "
            "may be late by as much"
        )
        warnings.append(AudioWarning(code="timestamps", message=message))
    return warnings


def track_warning(track: AudioTrack, *, source: str) -> AudioWarning:
    """Return a warning that *track* was used, one of several in *source*, because the caller chose none."""
    message = f"{source!r} has {track.count} audio tracks: {track} is used; choose another with track=N (--track N)"
    return AudioWarning(code="tracks", message=message)


def opposite_phase_warning(source: str, *, cancelled_s: float, duration: float) -> AudioWarning:
    """Return a warning that the channels of *source* cancel each other out for *cancelled_s* of *duration* seconds."""
    message = (
        f"the channels of {source!r} cancel each other out (opposite phase) in {min(cancelled_s, duration):.2f} of "
        f"{duration:.2f} s: a single channel is used there"
    )
    return AudioWarning(code="opposite-phase", message=message)
