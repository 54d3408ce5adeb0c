"""Systems with the errors of each utterance, counted once for everything that reports on single utterances."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from itertools import groupby
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
from asrlab.evaluation.reports.systems import BootstrapUnits, System
from asrlab.evaluation.runs.result import ModelResult, UtteranceResult


@attrs.frozen(kw_only=True)
class ScoredUtterance:
    """An utterance of a system with its errors.

    Attributes:
        result: The recorded result.
        words: The alignment of reference and hypothesis, normalized; empty without a reference.
        counts: The errors; None without a reference, or if the reference is empty after normalization.
    """

    result: UtteranceResult
    words: tuple[AlignedWord, ...] = ()
    counts: ErrorCounts | None = None

    @property
    def errors(self) -> int:
        """Number of word errors; 0 if the utterance is not scored."""
        return self.counts.errors if self.counts else 0

    @property
    def seconds(self) -> float | None:
        """Processing time, the median of several repeats; None if the utterance failed."""
        if self.result.transcript is None:
            return None
        repeats = [repeat.seconds for repeat in self.result.repeats if repeat.seconds is not None]
        return median([self.result.transcript.timings.total, *repeats])


@attrs.frozen(kw_only=True)
class ScoredSystem:
    """A system with its scored utterances.

    Attributes:
        system: The system.
        utterances: The scored utterances, in the system's order.
        interval: Interval of the WER; None with fewer than six bootstrap units, or without references.
    """

    system: System
    utterances: tuple[ScoredUtterance, ...] = attrs.field(repr=False)
    interval: Interval | None = None

    @property
    def name(self) -> str:
        """The system's name."""
        return self.system.name

    @cached_property
    def words(self) -> ErrorCounts:
        """The errors over all utterances; a failed utterance counts as deletions."""
        return sum((utterance.counts for utterance in self.utterances if utterance.counts), start=ErrorCounts())

    @cached_property
    def model(self) -> ModelResult:
        """The model's result over the system's utterances."""
        return attrs.evolve(self.system.model, utterances=self.system.utterances)


def score_systems(
    systems: Sequence[System],
    *,
    profile: Profile,
    prepared: Mapping[str, Sequence[TextPair]],
    units: BootstrapUnits,
    resampling: Resampling | None = None,
) -> tuple[ScoredSystem, ...]:
    """Score each utterance of each system.

    Args:
        systems: The systems, over the same utterances.
        profile: The normalizer profile.
        prepared: The pairs of each system, as `Profile.prepare` returns them.
        units: The bootstrap units of the intervals.
        resampling: The resampling of the intervals.
    """
    scored = []
    for system in systems:
        pairs = {pair.id: pair for pair in prepared[system.name]}
        utterances = tuple(_score_utterance(each, pairs.get(each.id), profile) for each in system.utterances)
        counts = {utterance.result.id: utterance.counts for utterance in utterances if utterance.counts}
        interval = wer_interval(counts, blocks=units.by_id, resampling=resampling)
        scored.append(ScoredSystem(system=system, utterances=utterances, interval=interval))
    return tuple(scored)


def _score_utterance(utterance: UtteranceResult, pair: TextPair | None, profile: Profile) -> ScoredUtterance:
    if pair is None:
        return ScoredUtterance(result=utterance)
    words = align(pair.reference, pair.hypothesis, normalizer=profile.normalizer)
    kinds = [word.kind for word in words]
    counts = ErrorCounts(
        hits=kinds.count("equal"),
        substitutions=kinds.count("substitute"),
        deletions=kinds.count("delete"),
        insertions=kinds.count("insert"),
    )
    return ScoredUtterance(result=utterance, words=words, counts=counts if counts.reference_length else None)


@attrs.frozen(kw_only=True)
class AlignedSpan:
    """Consecutive words of an alignment that are all equal, or all different.

    Attributes:
        is_equal: True if the words are the same in both texts.
        reference: The words of the reference.
        hypothesis: The words of the hypothesis.
    """

    is_equal: bool
    reference: str
    hypothesis: str


def alignment_spans(words: Sequence[AlignedWord]) -> Iterator[AlignedSpan]:
    """Group the words of an alignment into spans of equal and of different words."""
    for is_equal, group in groupby(words, key=lambda word: word.kind == "equal"):
        span = list(group)
        yield AlignedSpan(
            is_equal=is_equal,
            reference=" ".join(word.reference for word in span if word.reference is not None),
            hypothesis=" ".join(word.hypothesis for word in span if word.hypothesis is not None),
        )


@attrs.frozen(kw_only=True)
class WorstUtterance:
    """An utterance with many errors.

    Attributes:
        id: The utterance's id.
        scored: Each system's name and scored utterance, in order.
        errors: Number of errors over all systems.
    """

    id: str
    scored: tuple[tuple[str, ScoredUtterance], ...]
    errors: int

    @property
    def first(self) -> ScoredUtterance:
        """The first system's utterance, which has the utterance's metadata too."""
        return self.scored[0][1]


def worst_utterances(systems: Sequence[ScoredSystem], *, worst_n: int) -> tuple[WorstUtterance, ...]:
    """Return the *worst_n* utterances with the most errors over all systems, among those with an error.

    Of utterances with as many errors, the shorter come first, then those that come first in the data set.
    """
    rows = list(zip(*(system.utterances for system in systems), strict=True))
    errors = [sum(utterance.errors for utterance in row) for row in rows]
    lengths = [row[0].counts.reference_length if row[0].counts else 0 for row in rows]
    ranked = sorted((i for i in range(len(rows)) if errors[i]), key=lambda i: (-errors[i], lengths[i]))
    names = [system.name for system in systems]
    return tuple(
        WorstUtterance(id=rows[i][0].result.id, scored=tuple(zip(names, rows[i], strict=True)), errors=errors[i])
        for i in ranked[:worst_n]
    )
