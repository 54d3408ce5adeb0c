"""Systems with the errors and latencies of their utterances, counted once for everything that reports on them."""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from functools import cached_property
from itertools import groupby
from statistics import median

import attrs

from asrlab.evaluation.metrics import AlignedWord, ErrorCounts, Interval, LatencySummary, align, wer_interval
from asrlab.evaluation.reports.systems import PreparedSystems, System
from asrlab.evaluation.runs.result import ModelResult, UtteranceResult

N_BINS = 24


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
        seconds = pass_seconds(self.result)
        return median(seconds) if seconds else None


def pass_seconds(result: UtteranceResult) -> list[float]:
    """Return the processing time of each pass over an utterance; empty if the utterance failed."""
    if result.transcript is None:
        return []
    return [result.transcript.timings.total, *(each.seconds for each in result.repeats if each.seconds is not None)]


@attrs.frozen(kw_only=True)
class ScoredSystem:
    """A system with its scored utterances, in order, and the interval of its WER.

    The interval is None with fewer than six bootstrap units, or without references.
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


def score_systems(prepared: PreparedSystems) -> tuple[ScoredSystem, ...]:
    """Score each utterance of each system."""
    scored = []
    for system in prepared.systems:
        pairs = {pair.id: pair for pair in prepared.texts[system.name]}
        utterances = []
        for result in system.utterances:
            pair = pairs.get(result.id)
            words = align(pair.reference, pair.hypothesis, normalizer=prepared.profile.normalizer) if pair else ()
            kinds = [word.kind for word in words]
            counts = ErrorCounts(
                hits=kinds.count("equal"),
                substitutions=kinds.count("substitute"),
                deletions=kinds.count("delete"),
                insertions=kinds.count("insert"),
            )
            utterances.append(
                ScoredUtterance(result=result, words=words, counts=counts if counts.reference_length else None)
            )
        by_id = {utterance.result.id: utterance.counts for utterance in utterances if utterance.counts}
        interval = wer_interval(by_id, blocks=prepared.units.by_id, resampling=prepared.resampling)
        scored.append(ScoredSystem(system=system, utterances=tuple(utterances), interval=interval))
    return tuple(scored)


@attrs.frozen(kw_only=True)
class AlignedSpan:
    """Consecutive words of an alignment that are all equal, or all different, in reference and hypothesis."""

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
    """An utterance with many errors, over all systems, and each system's name and scored utterance, in order."""

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
    names = [system.name for system in systems]
    worst = [
        WorstUtterance(id=row[0].result.id, scored=tuple(zip(names, row, strict=True)), errors=errors)
        for row in zip(*(system.utterances for system in systems), strict=True)
        if (errors := sum(utterance.errors for utterance in row))
    ]

    def rank(utterance: WorstUtterance) -> tuple[int, int]:
        counts = utterance.first.counts
        return -utterance.errors, counts.reference_length if counts else 0

    return tuple(sorted(worst, key=rank)[:worst_n])


@attrs.frozen(kw_only=True)
class SystemLatency:
    """The latencies of one system: percentiles, and their number in each bin; no bins if nothing was measured."""

    name: str
    summary: LatencySummary
    counts: tuple[int, ...]


@attrs.frozen(kw_only=True)
class LatencyHistograms:
    """The latencies of several systems over bins in seconds, in a geometric sequence; none if nothing was measured."""

    edges: tuple[float, ...]
    systems: tuple[SystemLatency, ...]


def latency_histograms(systems: Sequence[ScoredSystem]) -> LatencyHistograms:
    """Count the latencies of *systems*, every repeat, in shared bins, whose ends are rounded outward to two digits."""
    values = [[value for value in system.model.latencies if value > 0] for system in systems]
    pooled = [value for latencies in values for value in latencies]
    edges: tuple[float, ...] = ()
    if pooled:
        low, high = (10.0 ** (math.floor(math.log10(value)) - 1) for value in (min(pooled), max(pooled)))
        first = math.floor(min(pooled) / low) * low
        last = max(math.ceil(max(pooled) / high) * high, first * 1.1)
        edges = tuple(first * (last / first) ** (index / N_BINS) for index in range(N_BINS + 1))
    latencies = [
        SystemLatency(name=system.name, summary=system.model.latency, counts=_count_bins(column, edges))
        for system, column in zip(systems, values, strict=True)
    ]
    return LatencyHistograms(edges=edges, systems=tuple(latencies))


def _count_bins(values: Sequence[float], edges: Sequence[float]) -> tuple[int, ...]:
    counts = [0] * N_BINS if edges else []
    for value in values:
        counts[min(max(bisect_right(edges, value) - 1, 0), N_BINS - 1)] += 1
    return tuple(counts)
