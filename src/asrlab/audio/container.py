"""What a container says of its audio: which tracks there are, at which stamp it begins, and how long it lasts."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from asrlab.audio.embedded_tags import joined_mp3_duration
from asrlab.audio.headers import adx_format, asf_duration, avi_duration, declared_ratio, gxf_ends_early
from asrlab.audio.integrity import ogg_fault
from asrlab.audio.timeline import Timeline
from asrlab.audio.types import AudioTrack
from asrlab.errors import AudioError

if TYPE_CHECKING:
    from asrlab.audio.stream import ByteStream

_EXACT_S = 0.01
# The longest frame plus the delay of an encoder, which headers count or not: 2048 samples of WMA at 16 kHz, or 1105
# and 1152 of MP3 at 11 kHz.
_ROUGH_S = 0.25
# FFmpeg takes the length of these containers from their headers and guesses that of the others from the bit rate.
_DECLARING = frozenset(
    {"mov", "matroska", "flac", "caf", "tta", "ape", "wv"}
    | {"apm", "argo_asf", "ast", "flv", "kvag", "mxf", "rm", "smjpeg", "wtv"}
)
_COUNTING = frozenset({"flac", "tta", "ape", "wv"})
_LIVE_S = 3600.0  # FFmpeg's RealMedia writer declares an hour where it cannot go back, as into a pipe
# These write when each packet is to be heard. FFmpeg derives the stamps of all others from the packets themselves, so
# that they cannot tell that one is missing.
_STAMPED = frozenset({"mov", "matroska", "mpegts", "mpeg", "flv", "asf", "ogg", "nut", "rm", "wtv"})
# The stamp 0 of these is the start of the film; those of the others begin anywhere.
_FROM_ZERO = frozenset({"mov", "matroska"})
_MAX_COMMON_START_S = 600.0  # beyond it the stamps of a cut-out scene or of a live stream are no silence
_LANGUAGE = re.compile(r"[A-Za-z0-9-]{1,35}")
_CLOCK = re.compile(r"(\d+):(\d\d):(\d\d(?:\.\d+)?)")  # Matroska's DURATION tag


def choose_track(container: Any, number: int | None, *, source: str) -> Any:
    """Return the audio stream to decode; None if there is none that can be decoded and none was asked for.

    Args:
        container: PyAV's.
        number: Its place among the audio tracks, from 1; None takes the first that is marked as the default, or else
            the first.
        source: How messages call the file.

    Raises:
        AudioError: There is no track *number*, or it cannot be decoded.
    """
    tracks = list(container.streams.audio)
    if number is None:
        usable = [track for track in tracks if is_decodable(track)]
        marked = [track for track in usable if _is_default(track)]
        return next(iter(marked or usable), None)
    if number <= len(tracks) and is_decodable(tracks[number - 1]):
        return tracks[number - 1]
    wrong = "cannot be decoded" if number <= len(tracks) else "is not there"
    listed = "; ".join(map(_described, tracks)) or "none"
    raise AudioError(
        f"audio track {number} of {source!r} {wrong}; its audio tracks are: {listed}; choose one with track=N "
        "(--track N)",
        source=source,
        reason="no-track",
    )


def is_decodable(track: Any) -> bool:
    """Return whether FFmpeg knows the codec of *track*; PyAV's context of another raises ValueError as it decodes."""
    context = track.codec_context
    return context is not None and context.codec is not None and context.codec.name != "none"


def _is_default(track: Any) -> bool:
    return bool(track.disposition & type(track.disposition).default)


def track_facts(container: Any, track: Any) -> AudioTrack | None:
    """Return which of several audio tracks *track* is; None if it is the only one."""
    tracks = list(container.streams.audio)
    return _facts(tracks, tracks.index(track)) if len(tracks) > 1 else None


def _facts(tracks: list[Any], index: int) -> AudioTrack:
    tags = tracks[index].metadata
    language = tags.get("language", "und")
    return AudioTrack(
        number=index + 1,
        count=len(tracks),
        language=language if _LANGUAGE.fullmatch(language) and language != "und" else None,
        title=tags.get("title") or None,
    )


def _described(track: Any) -> str:
    tracks = list(track.container.streams.audio)
    codec = track.codec_context.name if is_decodable(track) else "of a codec that FFmpeg does not know"
    return f"{_facts(tracks, tracks.index(track))}, {codec}"


def has_stamps(kind: str) -> bool:
    """Return whether the time stamps of a *kind* of container can tell that audio is missing."""
    return kind in _STAMPED


def timeline_of(kind: str, container: Any, track: Any) -> Timeline:
    """Return the clock of *track* in a *kind* of container.

    Second 0 is the start of the film: stamp 0 in MP4 and Matroska, elsewhere the earliest stamp of all streams. A file
    with a single stream, whose stamps begin anywhere, begins with its first frame.
    """
    if not has_stamps(kind):
        return Timeline()
    start = (container.start_time or 0) / 1_000_000
    if kind not in _FROM_ZERO:
        return Timeline(zero=start if len(container.streams) > 1 else None, is_chain=kind == "ogg")
    zero = start if start > _MAX_COMMON_START_S else 0.0
    if kind == "mov" and track.start_time is not None:
        zero = min(zero, float(track.start_time * track.time_base))
    declared = None if container.duration is None else start - zero + container.duration / 1_000_000
    return Timeline(zero=zero, declared=declared, exact_start=kind == "mov")


def length_tolerance(kind: str) -> float:
    """Return the seconds by which the declared length of a *kind* of container may exceed the decoded one."""
    return _EXACT_S if kind in _COUNTING else _ROUGH_S


def declared_seconds(kind: str, container: Any, track: Any, stream: ByteStream) -> float | None:
    """Return the second at which *track* ends as the header of a *kind* of container declares; None if it does not."""
    match kind:
        case "mp3":
            return joined_mp3_duration(stream)
        case "asf":
            return _asf_seconds(container, stream)
        case "matroska":
            return _matroska_seconds(container, track)
        case "mov" if track.duration is not None:
            zero = timeline_of(kind, container, track).zero or 0.0
            return float(((track.start_time or 0) + track.duration) * track.time_base) - zero
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
    return _flv_seconds(container, stream) if kind == "flv" else None


def _flv_seconds(container: Any, stream: ByteStream) -> float | None:
    """Return the second at which the sound of an FLV ends that announces no pictures."""
    has_pictures = bool(stream.read_at(4, 1)[0] & 1)
    if has_pictures or not container.duration:
        return None
    return float(container.duration - (container.start_time or 0)) / 1_000_000


def early_end(stream: ByteStream) -> str:
    """Return how *stream* shows that its end or a page is missing, in words; empty if it does not."""
    if fault := ogg_fault(stream):
        return fault
    if gxf_ends_early(stream):
        return "its last GXF packet is missing"
    ratio = declared_ratio(stream)
    return f"{1 - 1 / ratio:.1%} of the bytes that its header declares are missing" if ratio > 1 else ""


def _asf_seconds(container: Any, stream: ByteStream) -> float | None:
    """Return the second at which the only track ends, whose stamps may begin anywhere."""
    declared = asf_duration(stream) if len(container.streams) == 1 else None
    return None if declared is None else declared - (container.start_time or 0) / 1_000_000


def _matroska_seconds(container: Any, track: Any) -> float | None:
    """Return the second at which *track* ends.

    Where pictures are beside it, FFmpeg gives the length of the film for that of each of its tracks.
    """
    zero = timeline_of("matroska", container, track).zero or 0.0
    tagged = _CLOCK.fullmatch(track.metadata.get("DURATION", ""))
    if tagged:
        return int(tagged[1]) * 3600 + int(tagged[2]) * 60 + float(tagged[3]) - zero
    if container.duration is None or len(container.streams) > 1:
        return None  # a film's length says little about that of its sound
    return float((container.start_time or 0) + container.duration) / 1_000_000 - zero


def declared_film_seconds(kind: str, container: Any) -> float | None:
    """Return the length that a *kind* of container with several streams declares for the longest; None if it does not.

    Sound may end before pictures do, so that this tells whether a file was cut off where no track's own length does.
    """
    if kind != "matroska" or len(container.streams) == 1 or container.duration is None:
        return None
    return float(container.duration / 1_000_000)
