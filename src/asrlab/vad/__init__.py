"""Long audio for engines that take only short: voice activity, cutting at silence, and transcribing piece by piece."""

from __future__ import annotations

from asrlab.vad.cutting import Cutter
from asrlab.vad.energy import EnergyVoice
from asrlab.vad.finding import find_voice
from asrlab.vad.held import Piece
from asrlab.vad.pieces import PieceText, Recognize, transcribe_pieces
from asrlab.vad.repetition import Loop, find_loop
from asrlab.vad.silero import SileroVoice
from asrlab.vad.skipping import Skipped, is_wanted
from asrlab.vad.voice import VoiceActivity, VoiceFacts, VoiceStream

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
