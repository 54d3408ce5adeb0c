"""Recordings that engines stumble over."""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from asrlab.audio import SAMPLE_RATE, Audio, load_audio
from asrlab.evaluation.catalog import load_dataset
from asrlab.testing.conformance.target import Target

if TYPE_CHECKING:
    from asrlab.testing.conformance.context import CheckContext


_SILENCE_S = 2.0
_SHORT_S = 0.1
_LOW_HZ = 8_000


def speech_of(subject: Target) -> Audio:
    """The subject's recording, decoded."""
    clip = subject.speech or next(each.audio for each in load_dataset("smoke") if each.id.endswith("-0880"))
    return load_audio(clip)


def seconds_of(audio: bytes | Audio) -> float:
    """How long a recording is."""
    if isinstance(audio, Audio):
        return audio.duration
    import soundfile

    return float(soundfile.info(io.BytesIO(audio)).duration)


def _wav(samples: Any, rate: int = SAMPLE_RATE) -> bytes:
    import soundfile

    file = io.BytesIO()
    soundfile.write(file, samples, rate, format="WAV", subtype="PCM_16")
    return file.getvalue()


def _silence(_case: CheckContext) -> bytes:
    import numpy as np

    return _wav(np.zeros(int(_SILENCE_S * SAMPLE_RATE), np.float32))


def _empty(_case: CheckContext) -> bytes:
    import numpy as np

    return _wav(np.zeros(0, np.float32))


def _short(case: CheckContext) -> Audio:
    middle = len(case.speech.samples) // 2
    size = int(_SHORT_S * SAMPLE_RATE)
    return Audio(samples=case.speech.samples[middle : middle + size], sample_rate=SAMPLE_RATE)


def _stereo(case: CheckContext) -> bytes:
    import numpy as np

    samples = case.speech.samples
    return _wav(np.stack([samples, samples / 2], axis=1))


def _low_rate(case: CheckContext) -> bytes:
    import soxr

    return _wav(soxr.resample(case.speech.samples, SAMPLE_RATE, _LOW_HZ), _LOW_HZ)


RECORDINGS: tuple[tuple[str, str, Callable[[CheckContext], bytes | Audio]], ...] = (
    ("silence", "Silence of 2 s", _silence),
    ("empty", "A recording of 0 s", _empty),
    ("short", "Speech of 0.1 s", _short),
    ("stereo", "Speech in stereo", _stereo),
    ("low-rate", "Speech at 8 kHz", _low_rate),
)
