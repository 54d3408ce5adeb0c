"""What is known of a recording before its first segment."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from asrlab.compat.faster_whisper.records import TranscriptionInfo, TranscriptionOptions
from asrlab.compat.faster_whisper.vad import VadOptions
from asrlab.recognition import Recognition

__all__ = ["info_of"]


def info_of(
    recognition: Recognition, given: Mapping[str, Any], *, duration: float, english: bool = False
) -> TranscriptionInfo:
    """What an engine has told before its first segment, as faster-whisper writes it.

    Args:
        recognition: Begun.
        given: The arguments of the call.
        duration: Seconds of audio.
        english: Whether the model knows only English.
    """
    told = recognition.language_probability
    certain = 1.0 if given["language"] is not None or english else math.nan
    probabilities = recognition.language_probabilities
    left = recognition.speech_duration
    return TranscriptionInfo(
        language=recognition.language,
        language_probability=certain if told is None else told,
        duration=duration,
        duration_after_vad=duration if left is None else left,
        all_language_probs=None if probabilities is None else list(probabilities),
        transcription_options=TranscriptionOptions.of(dict(given)),
        vad_options=_vad_options(given),
    )


def _vad_options(given: Mapping[str, Any]) -> VadOptions | None:
    parameters: Any = given["vad_parameters"]
    if isinstance(parameters, VadOptions):
        return parameters
    if not given["vad_filter"]:
        return None
    return VadOptions(**(parameters or {}))
