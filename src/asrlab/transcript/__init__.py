"""What a transcription gives back, and its documents: txt, srt, vtt, tsv, json."""

from __future__ import annotations

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
    "ModelInfo",
    "Outcome",
    "PackageVersion",
    "PatchStatus",
    "Segment",
    "Timings",
    "Transcript",
    "TranscriptWarning",
    "Word",
    "join_texts",
]
