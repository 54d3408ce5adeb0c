"""How the times of single utterances spread."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import attrs

from asrlab.evaluation.metrics import LatencySummary
from asrlab.evaluation.reports.scored import ScoredSystem

__all__ = ["BINS", "LatencyView", "SystemLatency", "latency_view"]

BINS = 24


@attrs.frozen(kw_only=True)
class SystemLatency:
    """The latencies of one system.

    Attributes:
        name: The system's name.
        summary: Its percentiles.
        counts: How many latencies lie in each bin; empty without any.
    """

    name: str
    summary: LatencySummary
    counts: tuple[int, ...]


@attrs.frozen(kw_only=True)
class LatencyView:
    """The latencies of several systems over the same bins.

    Attributes:
        edges: Seconds, one more than there are bins, each the same factor above the one before; empty where nothing was
            measured.
        systems: In the order given.
    """

    edges: tuple[float, ...]
    systems: tuple[SystemLatency, ...]


def latency_view(systems: Sequence[ScoredSystem]) -> LatencyView:
    """The latencies of *systems*, every repeat, in bins that they share."""
    values = [[value for value in system.model.latencies if value > 0] for system in systems]
    every = [value for each in values for value in each]
    edges = _edges(min(every), max(every)) if every else ()
    return LatencyView(
        edges=edges,
        systems=tuple(
            SystemLatency(name=system.name, summary=system.model.latency, counts=_counts(each, edges))
            for system, each in zip(systems, values, strict=True)
        ),
    )


def _edges(low: float, high: float) -> tuple[float, ...]:
    """Round the ends outward to two digits, so that they can be read."""
    first = _rounded(low, math.floor)
    last = max(_rounded(high, math.ceil), first * 1.1)
    return tuple(first * (last / first) ** (place / BINS) for place in range(BINS + 1))


def _rounded(value: float, how: Callable[[float], int]) -> float:
    step = 10.0 ** (math.floor(math.log10(value)) - 1)
    return how(value / step) * step


def _counts(values: Sequence[float], edges: Sequence[float]) -> tuple[int, ...]:
    if not edges:
        return ()
    counts = [0] * BINS
    spread = math.log(edges[-1] / edges[0])
    for value in values:
        place = int(BINS * math.log(value / edges[0]) / spread)
        counts[min(max(place, 0), BINS - 1)] += 1
    return tuple(counts)
