"""Batched transcription: read ahead, bucket by length, decode in batches, check the quality, fall back where needed."""

from asrlab.batching.contract import (
    BatchBackend,
    BatchedRecording,
    BatchRequest,
    BatchResult,
    ChunkFeatures,
    Decoded,
    Detected,
    FullPath,
    HasAudio,
)
from asrlab.batching.pipeline import transcribe_batched

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
