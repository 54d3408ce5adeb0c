"""Scores and comparisons: errors, entities, alignments, latency, speed, memory. Importing this room is cheap.

What only a comparison needs is fetched from its module when it is first used.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from asrlab.environment import peak_resident_bytes, resident_bytes
from asrlab.evaluation.metrics.alignment import AlignedWord, align
from asrlab.evaluation.metrics.normalizers import Normalizer, get_normalizer
from asrlab.evaluation.metrics.speed import LatencySummary, latency_summary, percentile, rtfx
from asrlab.evaluation.metrics.wer import ErrorCounts, Score, TextPair, score

if TYPE_CHECKING:
    from asrlab.evaluation.metrics.comparison import Interval, Resampling, WerComparison, WerDifference, compare_wer
    from asrlab.evaluation.metrics.differences import Confusion, WordDifferences, word_differences
    from asrlab.evaluation.metrics.entities import EntityCounts, EntityMiss, EntityScore, entity_errors
    from asrlab.evaluation.metrics.profiles import (
        Profile,
        describe_normalizers,
        get_profile,
        profile_for,
        score_normalizers,
    )
    from asrlab.evaluation.metrics.reference_errors import (
        SuspectReference,
        SuspectReport,
        WithoutSuspects,
        suspect_references,
    )
    from asrlab.evaluation.metrics.resampling import wer_interval
    from asrlab.evaluation.metrics.speed_comparison import SpeedComparison, SpeedRatio, UtteranceTime, compare_speed

_LATER = {
    "comparison": ("Interval", "Resampling", "WerComparison", "WerDifference", "compare_wer"),
    "differences": ("Confusion", "WordDifferences", "word_differences"),
    "entities": ("EntityCounts", "EntityMiss", "EntityScore", "entity_errors"),
    "profiles": ("Profile", "describe_normalizers", "get_profile", "profile_for", "score_normalizers"),
    "speed_comparison": ("SpeedComparison", "SpeedRatio", "UtteranceTime", "compare_speed"),
    "suspects": ("SuspectReference", "SuspectReport", "WithoutSuspects", "suspect_references"),
    "intervals": ("wer_interval",),
}
_MODULE_OF = {name: module for module, names in _LATER.items() for name in names}

__all__ = [
    "AlignedWord",
    "Confusion",
    "EntityCounts",
    "EntityMiss",
    "EntityScore",
    "ErrorCounts",
    "Interval",
    "LatencySummary",
    "Normalizer",
    "Profile",
    "Resampling",
    "Score",
    "SpeedComparison",
    "SpeedRatio",
    "SuspectReference",
    "SuspectReport",
    "TextPair",
    "UtteranceTime",
    "WerComparison",
    "WerDifference",
    "WithoutSuspects",
    "WordDifferences",
    "align",
    "compare_speed",
    "compare_wer",
    "describe_normalizers",
    "entity_errors",
    "get_normalizer",
    "get_profile",
    "latency_summary",
    "peak_resident_bytes",
    "percentile",
    "profile_for",
    "resident_bytes",
    "rtfx",
    "score",
    "score_normalizers",
    "suspect_references",
    "wer_interval",
    "word_differences",
]


def __getattr__(name: str) -> Any:
    if name not in _MODULE_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_MODULE_OF[name]}"), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
