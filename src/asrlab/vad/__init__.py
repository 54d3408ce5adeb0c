"""Voice activity detection, and transcription of long audio in chunks that are cut at silence."""

from __future__ import annotations

from asrlab.vad.chunked import (
    ChunkResult,
    RecognizeChunk,
    RepetitionLoop,
    SkippedSilence,
    find_repetition,
    transcribe_chunks,
)
from asrlab.vad.chunking import Chunk, Chunker
from asrlab.vad.detector import EnergyVad, SileroVad, VadInfo, VadStream, VoiceActivityDetector, load_vad

__all__ = [
    "Chunk",
    "ChunkResult",
    "Chunker",
    "EnergyVad",
    "RecognizeChunk",
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
