"""Long audio for engines that take only short: voice activity, cutting at silence, and transcribing piece by piece."""

from __future__ import annotations

from asrlab.vad.buffer import Piece
from asrlab.vad.chunked import PieceText, Recognize, transcribe_pieces
from asrlab.vad.chunking import Cutter
from asrlab.vad.detector import EnergyVoice, VoiceActivity, VoiceFacts, VoiceStream
from asrlab.vad.repetition import Loop, find_loop
from asrlab.vad.silence_skipping import Skipped, is_wanted
from asrlab.vad.silero import SileroVoice, find_voice

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
