"""Batched transcription: read ahead, bucket by length, decode in batches, check the quality, fall back where needed."""

from __future__ import annotations

from asrlab.batching.backend import BatchBackend, ChunkFeatures, Decoded, Detected
from asrlab.batching.pipeline import transcribe_batched
from asrlab.batching.request import BatchedRecording, BatchRequest, BatchResult, FullPath, HasAudio

__all__ = [
    "BatchBackend",
    "BatchRequest",
    "BatchResult",
    "BatchedRecording",
    "ChunkFeatures",
    "Decoded",
    "Detected",
    "FullPath",
    "HasAudio",
    "transcribe_batched",
]
