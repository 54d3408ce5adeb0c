"""The result of a transcription, and its documents."""

from __future__ import annotations

from asrlab.transcript.document import DocumentMetadata, SubtitleLayout
from asrlab.transcript.records import (
    ModelInfo,
    PackageVersion,
    PatchStatus,
    Segment,
    Timings,
    TranscriptWarning,
    Word,
    join_texts,
)
from asrlab.transcript.result import Outcome, Transcript

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
