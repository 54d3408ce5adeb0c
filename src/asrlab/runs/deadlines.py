"""How long an utterance may take before its worker counts as hanging."""

from __future__ import annotations

import io
import os
from contextlib import suppress
from pathlib import Path

from asrlab.audio import Audio, AudioFile, AudioSource, open_audio

__all__ = ["seconds_for"]

_LEAST_S = 300.0
_FACTOR = 60.0
_UNKNOWN_S = 3600.0
_MOST_S = 7 * 24 * 3600.0


def seconds_for(audio: AudioSource, timeout: float | None) -> float:
    """Seconds that *audio* may take, generous on purpose: a worker that is ended too early loses a good transcript.

    - *timeout*, where one was given.
    - Else 60 times the duration that was asked for, or that the header declares; nothing is decoded. The slowest that
      anyone waits for, Whisper large on a busy core, is faster.
    - At least 300 s: the first utterance pays for compiling kernels, and for waiting in a full machine.
    - 3,600 s where the duration is not known.
    - Never more than a week: a damaged header can declare anything.
    """
    if timeout is not None:
        return timeout
    declared = None
    with suppress(Exception):  # whatever is wrong with the audio is told by transcribing it
        declared = _declared(audio)
    return _UNKNOWN_S if declared is None else min(_MOST_S, max(_LEAST_S, _FACTOR * declared))


def _declared(audio: AudioSource) -> float | None:
    """Seconds; None where they are not known."""
    if isinstance(audio, Audio):
        return audio.duration
    if isinstance(audio, AudioFile):
        whole = None if audio.duration is not None else _declared(audio.path)
        return audio.duration if whole is None else max(0.0, whole - audio.offset)
    if isinstance(audio, bytes):
        return _told_by_header(audio)
    if isinstance(audio, str | os.PathLike):
        path = Path(os.fsdecode(audio))
        return _told_by_header(path) if path.is_file() else None  # opening a pipe could wait for ever
    return None


def _told_by_header(audio: Path | bytes) -> float | None:
    import soundfile

    with suppress(soundfile.SoundFileError, TypeError):  # not libsndfile's; a name ending in .raw
        return float(soundfile.info(io.BytesIO(audio) if isinstance(audio, bytes) else audio).duration)
    with open_audio(audio, allow_truncated=True) as reader:  # ten times as slow
        return reader.declared_duration
