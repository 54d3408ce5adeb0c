"""The result of a transcription, and its documents."""

from __future__ import annotations

from asrlab.transcript.document import DocumentMetadata, SubtitleLayout
from asrlab.transcript.records import (
    DecodingPath,
    ModelInfo,
    PackageVersion,
    PatchStatus,
    Segment,
    Timings,
    TranscriptWarning,
    Word,
    join_texts,
)
from asrlab.transcript.result import TranscribeResult, Transcript

__all__ = [
    "DecodingPath",
    "DocumentMetadata",
    "ModelInfo",
    "PackageVersion",
    "PatchStatus",
    "Segment",
    "SubtitleLayout",
    "Timings",
    "TranscribeResult",
    "Transcript",
    "TranscriptWarning",
    "Word",
    "join_texts",
]
