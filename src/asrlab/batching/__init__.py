"""Many recordings at once: read ahead, grouped by like length, decoded together, and checked."""

from __future__ import annotations

from asrlab.batching.backend import BatchBackend, ChunkFeatures, Decoded, Detected
from asrlab.batching.quality import doubt
from asrlab.batching.request import BatchedRecording, BatchRequest, BatchResult, FullPath, HasAudio
from asrlab.batching.scheduler import transcribe_batched

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
    "doubt",
    "transcribe_batched",
]
