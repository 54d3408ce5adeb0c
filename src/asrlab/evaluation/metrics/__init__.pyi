from asrlab.environment import peak_resident_bytes as peak_resident_bytes, resident_bytes as resident_bytes
from asrlab.evaluation.metrics.alignment import AlignedWord as AlignedWord, align as align
from asrlab.evaluation.metrics.comparison import (
    SpeedComparison as SpeedComparison,
    SpeedRatio as SpeedRatio,
    WerComparison as WerComparison,
    WerDifference as WerDifference,
    compare_speed as compare_speed,
    compare_wer as compare_wer,
    wer_interval as wer_interval,
)
from asrlab.evaluation.metrics.differences import (
    Confusion as Confusion,
    SuspectReference as SuspectReference,
    SuspectReport as SuspectReport,
    WithoutSuspects as WithoutSuspects,
    WordDifferences as WordDifferences,
    suspect_references as suspect_references,
    word_differences as word_differences,
)
from asrlab.evaluation.metrics.entities import (
    EntityCounts as EntityCounts,
    EntityMiss as EntityMiss,
    EntityScore as EntityScore,
    entity_errors as entity_errors,
)
from asrlab.evaluation.metrics.normalizers import Normalizer as Normalizer, get_normalizer as get_normalizer
from asrlab.evaluation.metrics.profiles import (
    Profile as Profile,
    describe_normalizers as describe_normalizers,
    get_profile as get_profile,
    profile_for as profile_for,
    score_normalizers as score_normalizers,
)
from asrlab.evaluation.metrics.resampling import Interval as Interval, Resampling as Resampling
from asrlab.evaluation.metrics.speed import (
    LatencySummary as LatencySummary,
    UtteranceTime as UtteranceTime,
    latency_summary as latency_summary,
    percentile as percentile,
    rtfx as rtfx,
)
from asrlab.evaluation.metrics.wer import (
    ErrorCounts as ErrorCounts,
    Score as Score,
    TextPair as TextPair,
    score as score,
)
