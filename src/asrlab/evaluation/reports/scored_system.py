"""Each utterance of each system with its errors, counted once for everything that is said of single utterances."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from statistics import median

import attrs

from asrlab.evaluation.metrics import (
    AlignedWord,
    ErrorCounts,
    Interval,
    Profile,
    Resampling,
    TextPair,
    align,
    wer_interval,
)
from asrlab.evaluation.reports.systems import System
from asrlab.evaluation.runs.result import ModelResult, UtteranceResult


@attrs.frozen(kw_only=True)
class ScoredUtterance:
    """One utterance through one system.

    Attributes:
        result: As the run's records tell it.
        words: Reference and hypothesis side by side, normalized; empty where there is no reference.
        counts: Its errors; None where there is no reference, or an empty one after normalization.
    """

    result: UtteranceResult
    words: tuple[AlignedWord, ...] = ()
    counts: ErrorCounts | None = None

    @property
    def errors(self) -> int:
        """How many words are wrong, missing or too many; 0 where it is not scored."""
        return self.counts.errors if self.counts else 0

    @property
    def seconds(self) -> float | None:
        """How long it took, see `processing_seconds`."""
        return processing_seconds(self.result)


@attrs.frozen(kw_only=True)
class ScoredSystem:
    """A system with its utterances.

    Attributes:
        system: With the utterances that are looked at.
        utterances: Those, in the same order.
        interval: Of the WER; None under six blocks, or without references.
    """

    system: System
    utterances: tuple[ScoredUtterance, ...] = attrs.field(repr=False)
    interval: Interval | None = None

    @property
    def name(self) -> str:
        """What it is called."""
        return self.system.name

    @cached_property
    def words(self) -> ErrorCounts:
        """Its errors over all utterances; a failed one counts as deletions."""
        return sum((each.counts for each in self.utterances if each.counts), start=ErrorCounts())

    @cached_property
    def model(self) -> ModelResult:
        """What the run says of the model, over the utterances that are looked at."""
        return attrs.evolve(self.system.model, utterances=self.system.utterances)


def score_systems(
    systems: Sequence[System],
    *,
    profile: Profile,
    prepared: Mapping[str, Sequence[TextPair]],
    blocks: Mapping[str, str | None] | None,
    resampling: Resampling | None = None,
) -> tuple[ScoredSystem, ...]:
    """Every system with the errors of each utterance.

    Args:
        systems: Over the same utterances.
        profile: What brings the texts into one spelling.
        prepared: By system the pairs that came out of *profile*.
        blocks: What is drawn together for the intervals, see `asrlab.evaluation.metrics.compare_wer`.
        resampling: Likewise.
    """
    scored = []
    for system in systems:
        pairs = {pair.id: pair for pair in prepared[system.name]}
        utterances = tuple(_scored(each, pairs.get(each.id), profile) for each in system.utterances)
        counts = {each.result.id: each.counts for each in utterances if each.counts}
        interval = wer_interval(counts, blocks=blocks, resampling=resampling)
        scored.append(ScoredSystem(system=system, utterances=utterances, interval=interval))
    return tuple(scored)


def processing_seconds(utterance: UtteranceResult) -> float | None:
    """How long an utterance took, the median where it was repeated; None where it failed."""
    if utterance.transcript is None:
        return None
    again = [repeat.seconds for repeat in utterance.repeats if repeat.seconds is not None]
    return median([utterance.transcript.timings.total, *again])


def count_errors(words: Sequence[AlignedWord]) -> ErrorCounts:
    """The errors in an alignment."""
    kinds = [word.kind for word in words]
    return ErrorCounts(
        hits=kinds.count("equal"),
        substitutions=kinds.count("substitute"),
        deletions=kinds.count("delete"),
        insertions=kinds.count("insert"),
    )


def _scored(utterance: UtteranceResult, pair: TextPair | None, profile: Profile) -> ScoredUtterance:
    if pair is None:
        return ScoredUtterance(result=utterance)
    words = align(pair.reference, pair.hypothesis, normalizer=profile.normalizer)
    counts = count_errors(words)
    return ScoredUtterance(result=utterance, words=words, counts=counts if counts.reference_length else None)
