"""Compare the speed of systems where the way they were measured allows it."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import combinations
from statistics import median

import attrs

from asrlab.environment import Machine
from asrlab.errors import DatasetError
from asrlab.evaluation.metrics import LatencySummary, Resampling, SpeedComparison, UtteranceTime, compare_speed
from asrlab.evaluation.reports.scored_system import ScoredSystem
from asrlab.evaluation.reports.systems import System
from asrlab.evaluation.runs.records import ModelPass
from asrlab.evaluation.runs.result import UtteranceResult

_BUSY_LOAD = 0.5
"""The load average, as a share of the cores, from which a machine counts as busy where passes do not record more."""


def compare_system_speed(
    systems: Sequence[System], *, blocks: Mapping[str, str | None] | None, resampling: Resampling | None
) -> tuple[SpeedComparison | None, str]:
    """Return the speeds over the utterances that every system transcribed, or None and why they cannot be compared.

    Passes count one by one where all systems have as many; else each utterance has the median of its times.
    """
    why_not = _why_not(systems)
    if why_not:
        return None, why_not
    counts = {1 + max((len(utterance.repeats) for utterance in system.utterances), default=0) for system in systems}
    n_passes = counts.pop() if len(counts) == 1 else None
    rows = [
        tuple(_time(utterance, n_passes) for utterance in row)
        for row in zip(*(system.utterances for system in systems), strict=True)
    ]
    whole = [row for row in rows if all(row)]
    if not whole:
        return None, "no utterance was transcribed by all of them"
    times = {
        system.name: [time for time in column if time]
        for system, column in zip(systems, zip(*whole, strict=True), strict=True)
    }
    reasons = {(one.name, other.name): _no_verdict(one, other) for one, other in combinations(systems, 2)}
    try:
        return compare_speed(times, blocks=blocks, resampling=resampling, reasons=reasons), ""
    except DatasetError as error:
        return None, error.message


def _why_not(systems: Sequence[System]) -> str:
    simulated = [system.name for system in systems if system.simulated]
    if simulated:
        return f"{simulated[0]} ran on a simulated device, whose times mean nothing"
    random = [system.name for system in systems if system.random]
    if random:
        return f"{random[0]} has random weights, and how long a model takes hangs on what it writes"
    first, *others = systems
    for other in others:
        differences = _differences(first.result.manifest.machine, other.result.manifest.machine)
        if differences:
            return f"{first.name} and {other.name} ran on different machines ({differences})"
    cards = sorted({card for system in systems if (card := system.model.backend.partition("; ")[2])})
    return f"they ran on different GPUs ({' and '.join(cards)})" if len(cards) > 1 else ""


def _differences(one: Machine, other: Machine) -> str:
    names = [field.name for field in attrs.fields(Machine)]
    pairs = [(name, getattr(one, name), getattr(other, name)) for name in names]
    return ", ".join(f"{name} {mine or '?'} and {theirs or '?'}" for name, mine, theirs in pairs if mine != theirs)


def _no_verdict(one: System, other: System) -> str:
    """Return why the two cannot be told apart by speed, however they were: not in turn, or on a busy machine."""
    if one.result.run != other.result.run:
        return (
            "measured in different runs, one after the other; a verdict on speed needs the models in one run with"
            " --repeat 3"
        )
    repeat = one.result.manifest.request.repeat
    if repeat == 1:
        return ""  # that there is a single pass is found by the comparison
    passes = [each for each in one.result.passes if each.model in (one.model.model, other.model.model)]
    if not _in_turn(passes, repeat):
        return "the passes of the models were not all taken in turn and in one session; run both again with --repeat 3"
    return _busy(passes) or _busy_before(one)


def _in_turn(passes: Sequence[ModelPass], repeat: int) -> bool:
    """Return whether both models went through the data set once, then again, and so on, without a pause."""
    if len(passes) != 2 * repeat or len({each.session for each in passes}) > 1:
        return False
    rounds = [passes[start : start + 2] for start in range(0, len(passes), 2)]
    return all(
        {each.repeat for each in one_round} == {number} and one_round[0].model != one_round[1].model
        for number, one_round in enumerate(rounds)
    )


def _busy(passes: Sequence[ModelPass]) -> str:
    busy = [each.load for each in passes if each.load.is_busy]
    if not busy:
        return ""
    others, stolen = max(load.others_share for load in busy), max(load.stolen_share for load in busy)
    return (
        f"the machine was busy during {len(busy)} of {len(passes)} passes (other programs took up to {100 * others:.0f}"
        f" % of the cores, other machines {100 * stolen:.0f} %); run both again while it is idle"
    )


def _busy_before(system: System) -> str:
    """Return that the machine was busy before the run, where the passes could not record other programs."""
    if any(each.load.others_s is not None for each in system.result.passes):
        return ""
    cores = system.result.manifest.machine.cores
    highest = max((average[0] for average in system.result.load_averages if average), default=0.0)
    if highest <= _BUSY_LOAD * cores:
        return ""
    return f"the machine was busy before the run (load average {highest:.1f} on {cores} cores); run both again"


def _time(utterance: UtteranceResult, n_passes: int | None) -> UtteranceTime | None:
    """Return the times of *utterance*, or their median where *n_passes* is None; None if one is missing."""
    if utterance.transcript is None:
        return None
    seconds = list(_seconds(utterance))
    if n_passes is None and seconds:
        seconds = [median(seconds)]
    measured = all(math.isfinite(value) and value > 0 for value in (*seconds, utterance.transcript.duration))
    if not measured or len(seconds) != (n_passes or 1):
        return None
    return UtteranceTime(id=utterance.id, duration=utterance.transcript.duration, seconds=seconds)


def _seconds(utterance: UtteranceResult) -> Iterator[float]:
    if utterance.transcript is not None:
        yield utterance.transcript.timings.total
    for repeat in utterance.repeats:
        if repeat.seconds is not None:
            yield repeat.seconds


N_BINS = 24


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
class LatencyHistograms:
    """The latencies of several systems over the same bins.

    Attributes:
        edges: Seconds, one more than there are bins, each the same factor above the one before; empty where nothing was
            measured.
        systems: In the order given.
    """

    edges: tuple[float, ...]
    systems: tuple[SystemLatency, ...]


def latency_histograms(systems: Sequence[ScoredSystem]) -> LatencyHistograms:
    """The latencies of *systems*, every repeat, in bins that they share."""
    values = [[value for value in system.model.latencies if value > 0] for system in systems]
    every = [value for each in values for value in each]
    edges = _edges(min(every), max(every)) if every else ()
    return LatencyHistograms(
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
    return tuple(first * (last / first) ** (place / N_BINS) for place in range(N_BINS + 1))


def _rounded(value: float, how: Callable[[float], int]) -> float:
    step = 10.0 ** (math.floor(math.log10(value)) - 1)
    return how(value / step) * step


def _counts(values: Sequence[float], edges: Sequence[float]) -> tuple[int, ...]:
    if not edges:
        return ()
    counts = [0] * N_BINS
    spread = math.log(edges[-1] / edges[0])
    for value in values:
        place = int(N_BINS * math.log(value / edges[0]) / spread)
        counts[min(max(place, 0), N_BINS - 1)] += 1
    return tuple(counts)
