"""Facts that a container states about its audio: tracks, declared lengths, and the times of decoded frames.

The time stamps of a container say when its audio is to be played; samples only say how long they last. If the two
disagree by more than `TOLERANCE_S`, audio is missing and silence replaces it, so that every time in a transcript is the
time that a player shows. Smaller differences are rounding: Matroska and FLV count milliseconds, and programs that
record live stamp packets as they arrive.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import attrs

from asrlab.audio.headers import adx_format, asf_duration, avi_duration, declared_ratio, is_unfinished_gxf
from asrlab.audio.integrity import mp3_duration, ogg_fault
from asrlab.audio.types import AudioTrack, AudioWarning
from asrlab.errors import AudioError

if TYPE_CHECKING:
    from asrlab.audio.stream import ByteStream

# The longest frame plus an encoder's delay, which headers may or may not count: 2048 samples of WMA at 16 kHz, or 1105
# and 1152 of MP3 at 11 kHz.
ROUGH_S = 0.25
# FFmpeg takes the length of these containers from their headers. It guesses the length of others from the bit rate.
_DECLARING = frozenset(
    {"mov", "matroska", "flac", "caf", "tta", "ape", "wv"}
    | {"apm", "argo_asf", "ast", "flv", "kvag", "mxf", "rm", "smjpeg", "wtv"}
)
COUNTING = frozenset({"flac", "tta", "ape", "wv"})
_LIVE_S = 3600.0  # FFmpeg's RealMedia writer declares an hour where it cannot go back, as into a pipe
STAMPED = frozenset({"mov", "matroska", "mpegts", "mpeg", "flv", "asf", "ogg", "nut", "rm", "wtv"})
"""Containers that store the play time of each packet, which shows whether a packet is missing.

For all others FFmpeg derives time stamps from the packets themselves.
"""
# Stamp 0 is the start of the film in these containers; stamps begin anywhere in the others.
_FROM_ZERO = frozenset({"mov", "matroska"})
_MAX_COMMON_START_S = 600.0  # beyond it, a late start means a cut-out scene or a live stream, and no silence
_LANGUAGE = re.compile(r"[A-Za-z0-9-]{1,35}")
_CLOCK = re.compile(r"(\d+):(\d\d):(\d\d(?:\.\d+)?)")  # Matroska's DURATION tag
TOLERANCE_S = 0.1
"""Difference that FFmpeg's own resampler tolerates before it inserts silence (``min_hard_comp``)."""

_MIN_LATE_START_S = 0.02  # a smaller value is an encoder's delay, rounded by a container of whole milliseconds
_AFTER_DAMAGE_S = 0.005  # after a packet that could not be decoded, the next stamp tells how long the packet was
_MAX_OVERLAP_S = 1.0  # stamps that go back further belong to another recording in the same file
_MAX_GAP_S = 600.0
_MAX_SILENCE_S = 7200.0
_MAX_LISTED = 3


def choose_track(container: Any, number: int | None, *, source: str) -> Any:
    """Return audio track *number*, from 1, of PyAV's *container*; None if no track can be decoded and *number* is None.

    Without a *number*, the first track that is marked as the default is chosen, or else the first track.
    """
    tracks = list(container.streams.audio)
    if number is None:
        usable = list(filter(_is_decodable, tracks))
        defaults = [track for track in usable if track.disposition & type(track.disposition).default]
        return next(iter(defaults or usable), None)
    if number <= len(tracks) and _is_decodable(tracks[number - 1]):
        return tracks[number - 1]
    problem = "cannot be decoded" if number <= len(tracks) else "does not exist"
    unknown = "of a codec that FFmpeg does not know"
    listed = "; ".join(
        f"{track_info(track)}, {track.codec_context.name if _is_decodable(track) else unknown}" for track in tracks
    )
    message = f"audio track {number} of {source!r} {problem}; its audio tracks are: {listed or 'none'}"
    raise AudioError(f"{message}; choose one with track=N (--track N)", source=source, reason="no-track")


def _is_decodable(track: Any) -> bool:
    """Return whether FFmpeg knows the codec of *track*; PyAV raises ValueError when it decodes another."""
    context = track.codec_context
    return context is not None and context.codec is not None and context.codec.name != "none"


def track_info(track: Any) -> AudioTrack:
    """Return the number, language and title of PyAV's *track*."""
    tracks, tags = list(track.container.streams.audio), track.metadata
    language = tags.get("language", "und")
    return AudioTrack(
        number=tracks.index(track) + 1,
        count=len(tracks),
        language=language if _LANGUAGE.fullmatch(language) and language != "und" else None,
        title=tags.get("title") or None,
    )


def create_timeline(kind: str, container: Any, track: Any) -> Timeline:
    """Return the clock of *track* in a *kind* of container.

    Second 0 is the start of the film: stamp 0 in MP4 and Matroska, elsewhere the earliest stamp of all streams. A file
    with a single stream, whose stamps begin anywhere, begins with its first frame.
    """
    if kind not in STAMPED:
        return Timeline()
    start = (container.start_time or 0) / 1_000_000
    if kind not in _FROM_ZERO:
        return Timeline(origin=start if len(container.streams) > 1 else None, is_chain=kind == "ogg")
    origin = start if start > _MAX_COMMON_START_S else 0.0
    if kind == "mov" and track.start_time is not None:
        origin = min(origin, float(track.start_time * track.time_base))
    declared = None if container.duration is None else start - origin + container.duration / 1_000_000
    return Timeline(origin=origin, declared=declared, exact_start=kind == "mov")


def declared_end(kind: str, container: Any, track: Any, stream: ByteStream) -> float | None:
    """Return the second at which *track* ends by the header of a *kind* of container; None if none is declared."""
    match kind:
        case "mp3":
            return mp3_duration(stream)
        case "asf":
            # stamps may begin anywhere; the length counts from the first stamp of the only track
            duration = asf_duration(stream) if len(container.streams) == 1 else None
            return None if duration is None else duration - (container.start_time or 0) / 1_000_000
        case "matroska":
            # for a film with video, FFmpeg reports its length as that of each track
            origin = create_timeline(kind, container, track).origin or 0.0
            if tag := _CLOCK.fullmatch(track.metadata.get("DURATION", "")):
                return int(tag[1]) * 3600 + int(tag[2]) * 60 + float(tag[3]) - origin
            if container.duration is None or len(container.streams) > 1:
                return None
            return float((container.start_time or 0) + container.duration) / 1_000_000 - origin
        case "mov" if track.duration is not None:
            origin = create_timeline(kind, container, track).origin or 0.0
            return float(((track.start_time or 0) + track.duration) * track.time_base) - origin
        case "adx":
            rate, samples = adx_format(stream) or (0, 0)
            return samples / rate if rate and samples else None
        case "avi":
            return avi_duration(stream)
    ratio = declared_ratio(stream)
    if kind not in _DECLARING and ratio == 1.0:
        return None
    seconds = float((track.duration or 0) * track.time_base) * ratio
    if seconds and not (kind == "rm" and seconds == _LIVE_S):
        return seconds
    has_video = bool(stream.read_at(4, 1)[0] & 1)  # in the header of FLV
    if kind != "flv" or has_video or not container.duration:
        return None
    return float(container.duration - (container.start_time or 0)) / 1_000_000


def declared_film_end(kind: str, container: Any) -> float | None:
    """Return the length that a *kind* of container with several streams declares for the longest one, if any."""
    is_declared = kind == "matroska" and len(container.streams) > 1 and container.duration is not None
    return float(container.duration / 1_000_000) if is_declared else None


def early_end(stream: ByteStream) -> str:
    """Return the sign that the end or a page of *stream* is missing, in words; empty if there is none."""
    if fault := ogg_fault(stream):
        return fault
    if is_unfinished_gxf(stream):
        return "its last GXF packet is missing"
    ratio = declared_ratio(stream)
    return f"{1 - 1 / ratio:.1%} of the bytes that its header declares are missing" if ratio > 1 else ""


type TimelineState = tuple[float, float | None, float, float, tuple[int, int, int]]


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
        gaps: Start and length in seconds of the gaps that were filled with silence, without a late start and damage.
        jumps: Ignored jumps ahead: the position and the length of each, in seconds.
        restarts: Positions in seconds at which stamps went back to those of another recording.
        overlap: The most seconds by which stamps lag behind the samples without a restart.
    """

    origin: float | None = None
    declared: float | None = None
    exact_start: bool = False
    is_chain: bool = False
    position: float = attrs.field(default=0.0, init=False)
    gaps: list[tuple[float, float]] = attrs.field(factory=list, init=False)
    jumps: list[tuple[float, float]] = attrs.field(factory=list, init=False)
    restarts: list[float] = attrs.field(factory=list, init=False)
    overlap: float = attrs.field(default=0.0, init=False)
    _shift: float | None = attrs.field(default=None, init=False)  # a stamp minus its position
    _silence: float = attrs.field(default=0.0, init=False)
    _entry: float | None = attrs.field(default=None, init=False)

    def advance(self, stamp: float | None, *, samples: int, rate: int, after_damage: bool = False) -> float:
        """Move past a frame, and past the silence in front of it if audio is missing; return the frame's start.

        *after_damage* is True if packets in front of the frame could not be decoded.
        """
        if self._entry is not None and stamp is not None:
            self.position += stamp - self._entry
        self._entry = None
        self.position += round(self._missing(stamp, after_damage=after_damage) * rate) / rate  # whole samples
        start = self.position
        self.position += samples / rate
        return start

    def skip(self, stamp: float | None, duration: float, *, exact: bool, rate: int) -> None:
        """Move past a packet that is not decoded.

        If the samples do not last exactly *duration*, stamps tell where the next samples lie.
        """
        gap = round(self._missing(stamp, after_damage=False) * rate) / rate
        if not exact and not gap and stamp is not None and self._shift is not None:
            late = stamp - self._shift - self.position
            self.position += late if abs(late) <= TOLERANCE_S else 0.0
        self.position += gap + duration

    def snapshot(self) -> TimelineState:
        """Return the state that `rewind` needs to return to the present position."""
        counts = (len(self.gaps), len(self.jumps), len(self.restarts))
        return self.position, self._shift, self._silence, self.overlap, counts

    def rewind(self, state: TimelineState, stamp: float | None) -> None:
        """Return to *state*, taken in front of the packet stamped *stamp*, which is decoded next."""
        self.position, self._shift, self._silence, self.overlap, (gaps, jumps, restarts) = state
        del self.gaps[gaps:], self.jumps[jumps:], self.restarts[restarts:]
        self._entry = stamp  # the decoder may give its first frame late, or leave out its start

    def jump(self) -> None:
        """Continue at the stamp of the next frame, because the file was seeked to that frame."""
        self._shift = self._entry = self.origin or 0.0
        self.position = 0.0

    def _missing(self, stamp: float | None, *, after_damage: bool) -> float:
        """Return the seconds of audio that are missing in front of *stamp*, and note gaps, jumps and restarts."""
        if stamp is None:
            return 0.0
        if self._shift is None:  # the first frame
            late = 0.0 if self.origin is None else stamp - self.origin
            if late < (0.0 if self.exact_start else _MIN_LATE_START_S):
                late = 0.0
            elif not self._accept_silence(late):
                self.jumps.append((0.0, late))
                late = 0.0
            self._shift = stamp - late
            return late
        late = stamp - self._shift - self.position
        if late > (_AFTER_DAMAGE_S if after_damage else TOLERANCE_S):
            if self._accept_silence(late):
                if not after_damage:
                    self.gaps.append((self.position, late))
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

    def _accept_silence(self, seconds: float) -> bool:
        """Return whether *seconds* from the present position on may be silence, and count them if so."""
        end = self.position + seconds
        is_declared = self.declared is not None and end <= self.declared + TOLERANCE_S
        if self._silence + seconds > _MAX_SILENCE_S or (seconds > _MAX_GAP_S and not is_declared):
            return False
        self._silence += seconds
        return True

    def warnings(self, *, source: str, start: float, end: float) -> list[AudioWarning]:
        """Return warnings about gaps and wrong time stamps from second *start* to *end* of *source*."""
        warnings = []
        gaps = [(at, seconds) for at, seconds in self.gaps if at < end and at + seconds > start]
        if gaps:
            listed = ", ".join(f"{at:.2f} to {at + seconds:.2f} s" for at, seconds in gaps[:_MAX_LISTED])
            more = f" and {len(gaps) - _MAX_LISTED} more times" if len(gaps) > _MAX_LISTED else ""
            total = sum(seconds for _, seconds in gaps)
            message = f"{source!r} has no audio from {listed}{more}, {total:.2f} s in all: silence replaces it"
            warnings.append(AudioWarning(code="gap", message=message))
        jumps = [f"jump ahead by {seconds:.2f} s at {at:.2f} s" for at, seconds in self.jumps if start <= at <= end]
        jumps += [f"start again at {at:.2f} s" for at in self.restarts if start <= at <= end]
        if jumps:
            listed = ", ".join(jumps[:_MAX_LISTED]) + (", ..." if len(jumps) > _MAX_LISTED else "")
            message = f"the time stamps of {source!r} {listed}: times after that count the samples"
            warnings.append(AudioWarning(code="timestamps", message=message))
        if self.overlap:
            message = (
                f"the time stamps of {source!r} go back by up to {self.overlap:.2f} s: no audio is left out, and times "
                "may be late by as much"
            )
            warnings.append(AudioWarning(code="timestamps", message=message))
        return warnings
