"""Long audio for engines that take only short: voice activity, cutting at silence, and transcribing piece by piece."""

from __future__ import annotations

from asrlab.vad.buffer import Chunk
from asrlab.vad.chunked import ChunkResult, Recognize, transcribe_chunks
from asrlab.vad.chunking import Chunker
from asrlab.vad.detector import EnergyVad, VadInfo, VadStream, VoiceActivityDetector
from asrlab.vad.repetition import RepetitionLoop, find_repetition
from asrlab.vad.silence_skipping import SkippedSilence
from asrlab.vad.silero import SileroVad, load_vad

__all__ = [
    "Chunk",
    "ChunkResult",
    "Chunker",
    "EnergyVad",
    "Recognize",
    "RepetitionLoop",
    "SileroVad",
    "SkippedSilence",
    "VadInfo",
    "VadStream",
    "VoiceActivityDetector",
    "find_repetition",
    "load_vad",
    "transcribe_chunks",
]
