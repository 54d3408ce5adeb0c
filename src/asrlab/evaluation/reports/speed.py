"""Comparison of systems by speed if their measurements allow it, and histograms of latencies."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from itertools import combinations
from statistics import median

import attrs

from asrlab.environment import Machine
from asrlab.errors import DatasetError
from asrlab.evaluation.metrics import LatencySummary, Resampling, SpeedComparison, UtteranceTime, compare_speed
from asrlab.evaluation.reports.caveats import describe_load_before
from asrlab.evaluation.reports.formatting import format_share
from asrlab.evaluation.reports.scored_system import ScoredSystem
from asrlab.evaluation.reports.systems import BootstrapUnits, System
from asrlab.evaluation.runs.records import ModelPass
from asrlab.evaluation.runs.result import UtteranceResult

N_BINS = 24


def compare_system_speed(
    systems: Sequence[System], *, units: BootstrapUnits, resampling: Resampling | None
) -> tuple[SpeedComparison | None, str]:
    """Return the speeds over the utterances that every system transcribed, or None and why they cannot be compared.

    If all systems have the same number of passes, each pass counts; else each utterance has the median of its times.
    """
    reason = _why_not_comparable(systems)
    if reason:
        return None, reason
    counts = {1 + max((len(utterance.repeats) for utterance in system.utterances), default=0) for system in systems}
    n_passes = counts.pop() if len(counts) == 1 else None
    rows = [
        tuple(_utterance_time(utterance, n_passes) for utterance in row)
        for row in zip(*(system.utterances for system in systems), strict=True)
    ]
    complete = [row for row in rows if all(row)]
    if not complete:
        return None, "no utterance was transcribed by all of them"
    times = {
        system.name: [time for time in column if time]
        for system, column in zip(systems, zip(*complete, strict=True), strict=True)
    }
    reasons = {(first.name, other.name): _why_no_verdict(first, other) for first, other in combinations(systems, 2)}
    try:
        return compare_speed(times, blocks=units.by_id, resampling=resampling, reasons=reasons), ""
    except DatasetError as error:
        return None, error.message


def _why_not_comparable(systems: Sequence[System]) -> str:
    for system in systems:
        if system.is_simulated:
            return f"{system.name} ran on a simulated device, whose times mean nothing"
    for system in systems:
        if system.has_random_weights:
            return f"{system.name} has random weights, and a model's time depends on the text that it writes"
    first, *others = systems
    for other in others:
        differences = _machine_differences(first.result.manifest.machine, other.result.manifest.machine)
        if differences:
            return f"{first.name} and {other.name} ran on different machines ({differences})"
    gpus = sorted({gpu for system in systems if (gpu := system.model.backend.partition("; ")[2])})
    return f"they ran on different GPUs ({' and '.join(gpus)})" if len(gpus) > 1 else ""


def _machine_differences(first: Machine, other: Machine) -> str:
    names = [field.name for field in attrs.fields(Machine)]
    pairs = [(name, getattr(first, name), getattr(other, name)) for name in names]
    return ", ".join(f"{name} {mine or '?'} and {theirs or '?'}" for name, mine, theirs in pairs if mine != theirs)


def _why_no_verdict(first: System, other: System) -> str:
    """Return why the measurements allow no verdict on speed; empty if they may allow one."""
    if first.result.run != other.result.run:
        return (
            "measured in different runs, one after the other; a verdict on speed needs the models in one run with"
            " --repeat 3"
        )
    repeat = first.result.manifest.request.repeat
    if repeat == 1:
        return ""  # compare_speed itself asks for more passes
    passes = [each for each in first.result.passes if each.model in (first.model.model, other.model.model)]
    if not _alternate(passes, repeat):
        return "the passes of the models did not all alternate in one session; run both again with --repeat 3"
    return _describe_busy(passes) or _describe_busy_before(first)


def _alternate(passes: Sequence[ModelPass], repeat: int) -> bool:
    """Return whether both models went through the data set once, then again, and so on, in one session."""
    if len(passes) != 2 * repeat or len({each.session for each in passes}) > 1:
        return False
    rounds = [passes[start : start + 2] for start in range(0, len(passes), 2)]
    return all(
        {first.repeat, second.repeat} == {number} and first.model != second.model
        for number, (first, second) in enumerate(rounds)
    )


def _describe_busy(passes: Sequence[ModelPass]) -> str:
    busy = [each.load for each in passes if each.load.is_busy]
    if not busy:
        return ""
    others, stolen = max(load.others_share for load in busy), max(load.stolen_share for load in busy)
    return (
        f"the machine was busy during {len(busy)} of {len(passes)} passes (other programs took up to "
        f"{format_share(others)} of the cores, other machines {format_share(stolen)}); run both again while it is idle"
    )


def _describe_busy_before(system: System) -> str:
    """Describe the load before the run if its passes did not record the load of other programs."""
    if any(each.load.others_s is not None for each in system.result.passes):
        return ""
    load = describe_load_before(system.result)
    return f"the machine was busy before the run ({load}); run both again" if load else ""


def _utterance_time(utterance: UtteranceResult, n_passes: int | None) -> UtteranceTime | None:
    """Return the times of *utterance*, or their median if *n_passes* is None; None if a time is missing."""
    if utterance.transcript is None:
        return None
    seconds = list(_pass_seconds(utterance))
    if n_passes is None and seconds:
        seconds = [median(seconds)]
    is_measured = all(math.isfinite(value) and value > 0 for value in (*seconds, utterance.transcript.duration))
    if not is_measured or len(seconds) != (n_passes or 1):
        return None
    return UtteranceTime(id=utterance.id, duration=utterance.transcript.duration, seconds=seconds)


def _pass_seconds(utterance: UtteranceResult) -> Iterator[float]:
    if utterance.transcript is not None:
        yield utterance.transcript.timings.total
    for repeat in utterance.repeats:
        if repeat.seconds is not None:
            yield repeat.seconds


@attrs.frozen(kw_only=True)
class SystemLatency:
    """The latencies of one system.

    Attributes:
        name: The system's name.
        summary: The percentiles.
        counts: Number of latencies in each bin; empty without any.
    """

    name: str
    summary: LatencySummary
    counts: tuple[int, ...]


@attrs.frozen(kw_only=True)
class LatencyHistograms:
    """The latencies of several systems over the same bins.

    Attributes:
        edges: The edges of the bins in seconds, in a geometric sequence; empty if nothing was measured.
        systems: The systems, in order.
    """

    edges: tuple[float, ...]
    systems: tuple[SystemLatency, ...]


def latency_histograms(systems: Sequence[ScoredSystem]) -> LatencyHistograms:
    """Count the latencies of *systems*, every repeat, in shared bins."""
    values = [[value for value in system.model.latencies if value > 0] for system in systems]
    pooled = [value for latencies in values for value in latencies]
    edges = _bin_edges(min(pooled), max(pooled)) if pooled else ()
    return LatencyHistograms(
        edges=edges,
        systems=tuple(
            SystemLatency(name=system.name, summary=system.model.latency, counts=_count_bins(latencies, edges))
            for system, latencies in zip(systems, values, strict=True)
        ),
    )


def _bin_edges(low: float, high: float) -> tuple[float, ...]:
    """Return the edges of the bins, with both ends rounded outward to two digits."""
    first = _round_to_two_digits(low, math.floor)
    last = max(_round_to_two_digits(high, math.ceil), first * 1.1)
    return tuple(first * (last / first) ** (index / N_BINS) for index in range(N_BINS + 1))


def _round_to_two_digits(value: float, rounding: Callable[[float], int]) -> float:
    step = 10.0 ** (math.floor(math.log10(value)) - 1)
    return rounding(value / step) * step


def _count_bins(values: Sequence[float], edges: Sequence[float]) -> tuple[int, ...]:
    if not edges:
        return ()
    counts = [0] * N_BINS
    spread = math.log(edges[-1] / edges[0])
    for value in values:
        index = int(N_BINS * math.log(value / edges[0]) / spread)
        counts[min(max(index, 0), N_BINS - 1)] += 1
    return tuple(counts)
