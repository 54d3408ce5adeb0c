"""Long audio for engines that take only short: voice activity, cutting at silence, and transcribing piece by piece."""

from __future__ import annotations

from asrlab.longform.cutting import Cutter
from asrlab.longform.energy import EnergyVoice
from asrlab.longform.finding import find_voice
from asrlab.longform.held import Piece
from asrlab.longform.pieces import PieceText, Recognize, transcribe_pieces
from asrlab.longform.repetition import Loop, find_loop
from asrlab.longform.silero import SileroVoice
from asrlab.longform.skipping import Skipped, is_wanted
from asrlab.longform.voice import VoiceActivity, VoiceFacts, VoiceStream

__all__ = [
    "Cutter",
    "EnergyVoice",
    "Loop",
    "Piece",
    "PieceText",
    "Recognize",
    "SileroVoice",
    "Skipped",
    "VoiceActivity",
    "VoiceFacts",
    "VoiceStream",
    "find_loop",
    "find_voice",
    "is_wanted",
    "transcribe_pieces",
]
