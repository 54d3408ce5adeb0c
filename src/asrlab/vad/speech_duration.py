"""How much speech there is in an utterance: what a text, or the lack of one, is held against."""

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
"""Speech is frames above the second in a row, one of them above the first.

Source: Silero's ``threshold`` and ``neg_threshold``, utils_vad.py.
"""
_LEAST_FRAMES = 3  # 96 ms: a shorter sound is no word

_log = logging.getLogger("asrlab.evaluation.runs")


def speech_seconds(
    audio: AudioSource, *, vad: VoiceActivityDetector | None = None, track: int | None = None
) -> float | None:
    """Seconds of speech that a voice activity model finds in *audio*.

    Loudness alone, which is what there is without a model, cannot tell speech from noise: then the answer is 0 for
    digital silence and None for anything else. Holds half a minute of audio at a time, and 125 bytes a second.

    Args:
        audio: Truncated audio is heard as far as it goes.
        vad: The detector; None looks for one, which takes as long as loading its model: give it for many utterances.
        track: As in ``TranscribeOptions``.

    Returns:
        None where the audio cannot be read, or no model is at hand.
    """
    try:
        return _voiced(audio, vad or load_vad(), track)
    except AsrlabError as error:
        _log.debug("speech was not looked for: %s", error)
    except Exception as error:  # noqa: BLE001 - of the per-utterance boundary: a second look never costs the transcript
        _log.warning("speech was not looked for: %s: %s", type(error).__name__, error)
    return None


def _voiced(audio: AudioSource, vad: VoiceActivityDetector, track: int | None) -> float | None:
    import numpy as np

    has_model = vad.info.sha256 is not None
    with open_audio(audio, allow_truncated=True, track=track) as reader:
        heard = list(_probabilities(reader, vad)) if has_model else [0.0 for _ in reader.blocks(_BLOCK_S)]
        if any(warning.code == "silent" for warning in reader.warnings):
            return 0.0
        duration = reader.duration
    if not has_model:
        return None
    return min(duration, _seconds(np.concatenate(heard)))


def _probabilities(reader: AudioReader, vad: VoiceActivityDetector) -> Iterator[NDArray[np.float32]]:
    """Of each block; one in which there seems to be no speech at all is heard once more by itself."""
    stream = vad.start()
    size = round(_BLOCK_S * SAMPLE_RATE)
    for samples in reader.blocks(_BLOCK_S):
        found = stream.feed(samples)
        if len(samples) < size:
            found = _joined(found, stream.finish())
        again = None if _seconds(found) else vad.rescore(samples)
        yield found if again is None else again


def _joined(*arrays: NDArray[np.float32]) -> NDArray[np.float32]:
    import numpy as np

    return np.concatenate(arrays)


def _seconds(probabilities: NDArray[np.float32]) -> float:
    import numpy as np

    edges = np.flatnonzero(np.diff(probabilities >= _NO_SPEECH, prepend=False, append=False))
    runs = [probabilities[begin:end] for begin, end in edges.reshape(-1, 2)]
    return _FRAME_S * sum(len(run) for run in runs if len(run) >= _LEAST_FRAMES and run.max() >= _SPEECH)
