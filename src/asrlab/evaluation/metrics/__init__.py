"""Metrics of transcripts and systems: error rates, entities, alignments, comparisons, latency, speed and memory."""

from asrlab._lazy import attach

__getattr__, __dir__, __all__ = attach(
    __name__,
    {
        "asrlab.environment": "peak_resident_bytes resident_bytes",
        "asrlab.evaluation.metrics.alignment": "AlignedWord align",
        "asrlab.evaluation.metrics.comparison": "SpeedComparison SpeedRatio WerComparison WerDifference"
        " compare_speed compare_wer wer_interval",
        "asrlab.evaluation.metrics.differences": "Confusion SuspectReference SuspectReport WithoutSuspects"
        " WordDifferences suspect_references word_differences",
        "asrlab.evaluation.metrics.entities": "EntityCounts EntityMiss EntityScore entity_errors",
        "asrlab.evaluation.metrics.normalizers": "Normalizer get_normalizer",
        "asrlab.evaluation.metrics.profiles": "Profile describe_normalizers get_profile profile_for score_normalizers",
        "asrlab.evaluation.metrics.resampling": "Interval Resampling",
        "asrlab.evaluation.metrics.speed": "LatencySummary UtteranceTime latency_summary percentile rtfx",
        "asrlab.evaluation.metrics.wer": "ErrorCounts Score TextPair score",
    },
)
