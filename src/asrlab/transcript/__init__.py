"""What a transcription gives back, and its documents."""

from __future__ import annotations

from asrlab.transcript.document import DocumentMetadata, SubtitleLayout
from asrlab.transcript.records import (
    ModelInfo,
    Outcome,
    PackageVersion,
    PatchStatus,
    Segment,
    Timings,
    Transcript,
    TranscriptWarning,
    Word,
    join_texts,
)

__all__ = [
    "DocumentMetadata",
    "ModelInfo",
    "Outcome",
    "PackageVersion",
    "PatchStatus",
    "Segment",
    "SubtitleLayout",
    "Timings",
    "Transcript",
    "TranscriptWarning",
    "Word",
    "join_texts",
]
