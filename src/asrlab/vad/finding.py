"""The best voice activity detector there is on this machine."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from asrlab.errors import EngineUnavailableError, WeightsError
from asrlab.vad.energy import EnergyVoice
from asrlab.vad.silero import SileroVoice, silero_files

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from asrlab.vad.voice import VoiceActivity

__all__ = ["find_voice"]

_log = logging.getLogger("asrlab.vad")


def find_voice(*, files: Sequence[Path] | None = None) -> VoiceActivity:
    """Load Silero's model from where it is installed, or else fall back to loudness; ``facts`` says which it is.

    Nothing is fetched. A file that does not load is passed over with a warning in the log.

    Args:
        files: Where to look, best first; None looks into faster-whisper, then silero-vad.
    """
    for path in silero_files() if files is None else files:
        try:
            return SileroVoice(path)
        except (EngineUnavailableError, WeightsError) as error:
            _log.warning("%s", error)
    _log.info("no voice activity model is installed; long audio is cut where it is least loud")
    return EnergyVoice()
