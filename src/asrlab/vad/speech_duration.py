"""Seconds of speech in an utterance, which quality gates compare with its text."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from typing import TYPE_CHECKING

from asrlab.audio import SAMPLE_RATE, AudioReader, AudioSource, open_audio
from asrlab.errors import AsrlabError
from asrlab.vad import VoiceActivityDetector, load_vad

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_FRAME_S = 0.032
_BLOCK_S = 29 * 32 * _FRAME_S
"""29.7 s: whole groups of the frames that a detector scores at once, so that each block has its own probabilities."""
_SPEECH = 0.5
_NO_SPEECH = 0.35
"""Speech is a run of frames above the second threshold, one of them above the first.

Source: Silero's ``threshold`` and ``neg_threshold``, utils_vad.py.
"""
_MIN_FRAMES = 3  # 96 ms: a shorter sound is no word

_log = logging.getLogger("asrlab.vad")


def speech_seconds(
    audio: AudioSource, *, vad: VoiceActivityDetector | None = None, track: int | None = None
) -> float | None:
    """Return the seconds of speech that a voice activity model finds in *audio*.

    Without a model, loudness alone cannot tell speech from noise: the result is 0 for digital silence and None for any
    other audio. Half a minute of audio is in memory at a time, and 125 bytes a second.

    Args:
        audio: The audio; truncated audio is read to its end.
        vad: Voice activity detector; None loads one. Pass one for many utterances, because loading takes time.
        track: Number of the audio track, as in ``TranscribeOptions``.

    Returns:
        The seconds; None if the audio cannot be read, or no model is installed.
    """
    try:
        return _measure(audio, vad or load_vad(), track)
    except AsrlabError as error:
        _log.debug("cannot measure speech: %s", error)
    except Exception as error:  # noqa: BLE001 - an optional measurement must never cost the transcript
        _log.warning("cannot measure speech: %s: %s", type(error).__name__, error)
    return None


def _measure(audio: AudioSource, vad: VoiceActivityDetector, track: int | None) -> float | None:
    import numpy as np

    has_model = vad.info.sha256 is not None
    with open_audio(audio, allow_truncated=True, track=track) as reader:
        probabilities = list(_probabilities(reader, vad)) if has_model else [0.0 for _ in reader.blocks(_BLOCK_S)]
        if any(warning.code == "silent" for warning in reader.warnings):
            return 0.0
        duration = reader.duration
    return min(duration, _seconds(np.concatenate(probabilities))) if has_model else None


def _probabilities(reader: AudioReader, vad: VoiceActivityDetector) -> Iterator[NDArray[np.float32]]:
    """Yield the probabilities of each block; the detector scores a block without speech again by itself."""
    import numpy as np

    stream = vad.start()
    size = round(_BLOCK_S * SAMPLE_RATE)
    for samples in reader.blocks(_BLOCK_S):
        probabilities = stream.feed(samples)
        if len(samples) < size:
            probabilities = np.concatenate([probabilities, stream.finish()])
        again = None if _seconds(probabilities) else vad.rescore(samples)
        yield probabilities if again is None else again


def _seconds(probabilities: NDArray[np.float32]) -> float:
    import numpy as np

    edges = np.flatnonzero(np.diff(probabilities >= _NO_SPEECH, prepend=False, append=False))
    runs = [probabilities[begin:end] for begin, end in edges.reshape(-1, 2)]
    return _FRAME_S * sum(len(run) for run in runs if len(run) >= _MIN_FRAMES and run.max() >= _SPEECH)
