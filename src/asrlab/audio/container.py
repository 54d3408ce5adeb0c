"""Facts that a container states about its audio: tracks, start time stamps and declared lengths."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from asrlab.audio.embedded_tags import total_mp3_duration
from asrlab.audio.headers import adx_format, asf_duration, avi_duration, declared_ratio, is_unfinished_gxf
from asrlab.audio.integrity import ogg_fault
from asrlab.audio.timeline import Timeline
from asrlab.audio.types import AudioTrack
from asrlab.errors import AudioError

if TYPE_CHECKING:
    from asrlab.audio.stream import ByteStream

_EXACT_S = 0.01
# The longest frame plus an encoder's delay, which headers may or may not count: 2048 samples of WMA at 16 kHz, or 1105
# and 1152 of MP3 at 11 kHz.
_ROUGH_S = 0.25
# FFmpeg takes the length of these containers from their headers. It guesses the length of others from the bit rate.
_DECLARING = frozenset(
    {"mov", "matroska", "flac", "caf", "tta", "ape", "wv"}
    | {"apm", "argo_asf", "ast", "flv", "kvag", "mxf", "rm", "smjpeg", "wtv"}
)
_COUNTING = frozenset({"flac", "tta", "ape", "wv"})
_LIVE_S = 3600.0  # FFmpeg's RealMedia writer declares an hour where it cannot go back, as into a pipe
# These containers store the play time of each packet. For all others FFmpeg derives time stamps from the packets
# themselves, so such stamps cannot show that a packet is missing.
_STAMPED = frozenset({"mov", "matroska", "mpegts", "mpeg", "flv", "asf", "ogg", "nut", "rm", "wtv"})
# Stamp 0 is the start of the film in these containers; stamps begin anywhere in the others.
_FROM_ZERO = frozenset({"mov", "matroska"})
_MAX_COMMON_START_S = 600.0  # beyond it, a late start means a cut-out scene or a live stream, and no silence
_LANGUAGE = re.compile(r"[A-Za-z0-9-]{1,35}")
_CLOCK = re.compile(r"(\d+):(\d\d):(\d\d(?:\.\d+)?)")  # Matroska's DURATION tag


def choose_track(container: Any, number: int | None, *, source: str) -> Any:
    """Return the audio stream to decode; None if no stream can be decoded and the caller chose none.

    Args:
        container: PyAV's container.
        number: Number among the audio tracks, from 1; None chooses the first track that is marked as the default, or
            else the first track.
        source: Name of the file in messages.

    Raises:
        AudioError: If there is no track *number*, or it cannot be decoded.
    """
    tracks = list(container.streams.audio)
    if number is None:
        usable = [track for track in tracks if _is_decodable(track)]
        defaults = [track for track in usable if track.disposition & type(track.disposition).default]
        return next(iter(defaults or usable), None)
    if number <= len(tracks) and _is_decodable(tracks[number - 1]):
        return tracks[number - 1]
    problem = "cannot be decoded" if number <= len(tracks) else "does not exist"
    listed = "; ".join(map(_describe_track, tracks)) or "none"
    raise AudioError(
        f"audio track {number} of {source!r} {problem}; its audio tracks are: {listed}; choose one with track=N "
        "(--track N)",
        source=source,
        reason="no-track",
    )


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


def _describe_track(track: Any) -> str:
    codec = track.codec_context.name if _is_decodable(track) else "of a codec that FFmpeg does not know"
    return f"{track_info(track)}, {codec}"


def has_stamps(kind: str) -> bool:
    """Return whether the time stamps of a *kind* of container can show that audio is missing."""
    return kind in _STAMPED


def create_timeline(kind: str, container: Any, track: Any) -> Timeline:
    """Return the clock of *track* in a *kind* of container.

    Second 0 is the start of the film: stamp 0 in MP4 and Matroska, elsewhere the earliest stamp of all streams. A file
    with a single stream, whose stamps begin anywhere, begins with its first frame.
    """
    if not has_stamps(kind):
        return Timeline()
    start = (container.start_time or 0) / 1_000_000
    if kind not in _FROM_ZERO:
        return Timeline(origin=start if len(container.streams) > 1 else None, is_chain=kind == "ogg")
    origin = start if start > _MAX_COMMON_START_S else 0.0
    if kind == "mov" and track.start_time is not None:
        origin = min(origin, float(track.start_time * track.time_base))
    declared = None if container.duration is None else start - origin + container.duration / 1_000_000
    return Timeline(origin=origin, declared=declared, exact_start=kind == "mov")


def length_tolerance(kind: str) -> float:
    """Return the seconds by which the declared length of a *kind* of container may exceed the decoded length."""
    return _EXACT_S if kind in _COUNTING else _ROUGH_S


def declared_end(kind: str, container: Any, track: Any, stream: ByteStream) -> float | None:
    """Return the second at which *track* ends by the header of a *kind* of container; None if none is declared."""
    match kind:
        case "mp3":
            return total_mp3_duration(stream)
        case "asf":
            # stamps may begin anywhere; the length counts from the first stamp of the only track
            duration = asf_duration(stream) if len(container.streams) == 1 else None
            return None if duration is None else duration - (container.start_time or 0) / 1_000_000
        case "matroska":
            return _matroska_end(container, track)
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
    return _flv_end(container, stream) if kind == "flv" else None


def _flv_end(container: Any, stream: ByteStream) -> float | None:
    has_video = bool(stream.read_at(4, 1)[0] & 1)
    if has_video or not container.duration:
        return None
    return float(container.duration - (container.start_time or 0)) / 1_000_000


def _matroska_end(container: Any, track: Any) -> float | None:
    """Return the second at which *track* ends.

    If the file has video, too, FFmpeg reports the length of the film as that of each track.
    """
    origin = create_timeline("matroska", container, track).origin or 0.0
    tag = _CLOCK.fullmatch(track.metadata.get("DURATION", ""))
    if tag:
        return int(tag[1]) * 3600 + int(tag[2]) * 60 + float(tag[3]) - origin
    if container.duration is None or len(container.streams) > 1:
        return None
    return float((container.start_time or 0) + container.duration) / 1_000_000 - origin


def declared_film_end(kind: str, container: Any) -> float | None:
    """Return the length that a *kind* of container with several streams declares for the longest; None if undeclared.

    Sound may end before video does. The length of the film thus shows that a file was cut off if the track itself
    declares no length.
    """
    if kind != "matroska" or len(container.streams) == 1 or container.duration is None:
        return None
    return float(container.duration / 1_000_000)


def early_end(stream: ByteStream) -> str:
    """Return the sign that the end or a page of *stream* is missing, in words; empty if there is none."""
    if fault := ogg_fault(stream):
        return fault
    if is_unfinished_gxf(stream):
        return "its last GXF packet is missing"
    ratio = declared_ratio(stream)
    return f"{1 - 1 / ratio:.1%} of the bytes that its header declares are missing" if ratio > 1 else ""
