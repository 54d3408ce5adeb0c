"""Parameters of the voice activity model."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

__all__ = ["VadOptions", "as_mapping"]


@dataclass
class VadOptions:
    """Parameters of Silero's voice activity model, with faster-whisper's defaults.

    Attributes:
        threshold: Probability of speech above which there is speech.
        neg_threshold: Below this it has ended; None for a little below *threshold*.
        min_speech_duration_ms: Shorter speech is none.
        max_speech_duration_s: Longer speech is cut.
        min_silence_duration_ms: A shorter silence is part of the speech.
        speech_pad_ms: Kept of the silence on each side.
    """

    threshold: float = 0.5
    neg_threshold: float | None = None
    min_speech_duration_ms: int = 0
    max_speech_duration_s: float = math.inf
    min_silence_duration_ms: int = 2000
    speech_pad_ms: int = 400


def as_mapping(given: VadOptions | Mapping[str, Any]) -> dict[str, Any]:
    """Those that differ from the defaults."""
    values = asdict(given) if isinstance(given, VadOptions) else dict(given)
    default = asdict(VadOptions())
    return {name: value for name, value in values.items() if name not in default or value != default[name]}
