"""Parameters of the voice activity model."""

from __future__ import annotations

import math
from dataclasses import dataclass

from asrlab.compat.delegation import delegate_missing

__all__ = ["VadOptions"]


@dataclass
class VadOptions:
    """Parameters of Silero's voice activity model, with faster-whisper's defaults.

    Attributes:
        threshold: Probability above which audio is speech.
        neg_threshold: Probability below which speech ends; None uses a value slightly below *threshold*.
        min_speech_duration_ms: Minimum duration of speech; shorter speech is dropped.
        max_speech_duration_s: Maximum duration of speech; longer speech is split.
        min_silence_duration_ms: Minimum duration of silence; shorter silence is part of the speech.
        speech_pad_ms: Silence that is kept on each side of speech.
    """

    threshold: float = 0.5
    neg_threshold: float | None = None
    min_speech_duration_ms: int = 0
    max_speech_duration_s: float = math.inf
    min_silence_duration_ms: int = 2000
    speech_pad_ms: int = 400


__getattr__ = delegate_missing(__name__)
