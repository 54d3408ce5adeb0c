"""Batched transcription: read ahead, bucket by length, decode in batches, check the quality, fall back where needed."""

from asrlab.batching.contract import (
    BatchBackend,
    BatchedRecording,
    BatchRequest,
    ChunkFeatures,
    Decoded,
    Detected,
    HasAudio,
)
from asrlab.batching.pipeline import transcribe_batched

__all__ = [
    "BatchBackend",
    "BatchRequest",
    "BatchedRecording",
    "ChunkFeatures",
    "Decoded",
    "Detected",
    "HasAudio",
    "transcribe_batched",
]
