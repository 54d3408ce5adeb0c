"""How long an utterance may take before its worker counts as hanging.

Only a worker opens audio: a damaged file may cost its process memory, time or life, and the run's own process has the
ledger. So the run gives the limits that need no look into a file, and the worker reports the others.
"""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

from asrlab.audio import Audio, AudioFile, AudioSource, open_audio

OPENING_S = 300.0
"""Seconds in which a worker must have read the declared duration: the least that any utterance has."""

_LEAST_S = 300.0
_FACTOR = 60.0
_UNKNOWN_S = 3600.0
_MOST_S = 7 * 24 * 3600.0


def known_seconds(audio: AudioSource, timeout: float | None) -> float | None:
    """Return the seconds that *audio* may take, without opening it; None if only its header tells.

    *timeout*, where the user gave one; else 60 times a duration that is known already, as `utterance_timeout` has it.
    """
    if timeout is not None:
        return timeout
    if isinstance(audio, Audio):
        return _limit(audio.duration)
    if isinstance(audio, AudioFile) and audio.duration is not None:
        return _limit(audio.duration)
    return None


def utterance_timeout(audio: AudioSource) -> float:
    """Return the seconds that *audio* may take, generous on purpose: too short a limit costs a good transcript.

    - 60 times the duration that was asked for, or that the header declares; nothing is decoded. The slowest that
      anyone waits for, Whisper large on a busy core, is faster.
    - At least 300 s: the first utterance pays for compiling kernels, and for waiting in a full machine.
    - 3,600 s where the duration is not known.
    - Never more than a week: a damaged header can declare anything.

    It opens the audio, so it is called in worker processes only.
    """
    known = known_seconds(audio, None)
    if known is not None:
        return known
    declared = None
    with suppress(Exception):  # whatever is wrong with the audio is reported when it is transcribed
        declared = _declared(audio)
    return _UNKNOWN_S if declared is None else _limit(declared)


def _limit(duration: float) -> float:
    return min(_MOST_S, max(_LEAST_S, _FACTOR * duration))


def _declared(audio: AudioSource) -> float | None:
    """Return the seconds that a file's header declares; None where it does not."""
    path = audio.path if isinstance(audio, AudioFile) else audio
    is_file = isinstance(path, str | os.PathLike) and Path(os.fsdecode(path)).is_file()
    if not (is_file or isinstance(path, bytes)):  # opening a pipe could wait for ever
        return None
    with open_audio(audio, allow_truncated=True) as reader:
        return reader.declared_duration
