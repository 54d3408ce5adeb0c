"""Scores: word and character errors, alignments, latency, speed and memory. Importing this room is cheap."""

from __future__ import annotations

from asrlab.metrics.alignment import AlignedWord, align
from asrlab.metrics.memory import peak_resident_bytes, resident_bytes
from asrlab.metrics.normalizers import Normalizer, get_normalizer
from asrlab.metrics.speed import LatencySummary, latency_summary, percentile, rtfx
from asrlab.metrics.words import ErrorCounts, Pair, Score, score

__all__ = [
    "AlignedWord",
    "ErrorCounts",
    "LatencySummary",
    "Normalizer",
    "Pair",
    "Score",
    "align",
    "get_normalizer",
    "latency_summary",
    "peak_resident_bytes",
    "percentile",
    "resident_bytes",
    "rtfx",
    "score",
]
