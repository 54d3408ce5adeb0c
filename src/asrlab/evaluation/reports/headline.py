"""What a comparison comes to, in a sentence or two."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from asrlab.evaluation.metrics import SpeedComparison, SpeedRatio, WerComparison, WerDifference
from asrlab.evaluation.reports.systems import System

TOO_FEW = "too few to tell"
"""The verdict under six blocks, with which an interval and a p-value mean nothing."""

_MIRRORED = {"better": "worse", "worse": "better", "faster": "slower", "slower": "faster"}


def headline(
    systems: Sequence[System], wer: WerComparison, speed: SpeedComparison | None, *, bootstrap_unit: str
) -> tuple[str, ...]:
    """A sentence on the error rates and, where it can be compared, one on the speed.

    The words better and faster are the metrics' verdicts, never its own. Of random weights it gives none, and a
    simulated device is told first. A system that was not made for the language of an utterance is named behind each.
    """
    random = [system.name for system in systems if system.random]
    if random:
        rates = ", ".join(f"{name} {_percent(counts.rate)}" for name, counts in wer.systems)
        have = "has" if len(random) == 1 else "have"
        return (f"{', '.join(random)} {have} random weights, so nothing follows from these error rates: WER {rates}",)
    rates_of = {name: counts.rate or 0.0 for name, counts in wer.systems}
    few = f"{TOO_FEW} ({count_units(wer.blocks, bootstrap_unit)})"
    simulated = [system.name for system in systems if system.simulated]
    caution = (
        (f"{', '.join(simulated)} ran on a simulated device, which proves nothing about a real one",)
        if simulated
        else ()
    )
    caveat = "".join(f"; {system.name}: {system.unfit.remark}" for system in systems if system.unfit)
    words = _two(rates_of, wer.differences[0], few) if len(systems) == 2 else _many(rates_of, wer.differences, few)
    speeds = [_speed(speed, f"{TOO_FEW} ({count_units(speed.blocks, bootstrap_unit)})")] if speed else []
    return (*caution, *(f"{line}{caveat}" for line in (words, *speeds)))


def _percent(rate: float | None) -> str:
    return "-" if rate is None else f"{100 * rate:.2f} %"


def _p_value(value: float) -> str:
    return "p < 0.001" if value < 0.001 else f"p = {value:.2g}"


def count_units(number: int, unit: str) -> str:
    """So many blocks, such as ``1 speaker``."""
    return f"{number} {unit}" if number == 1 else f"{number} {unit}s"


def _told(verdict: str, few: str, *, mirrored: bool) -> str:
    if verdict == TOO_FEW:
        return few
    return _MIRRORED.get(verdict, verdict) if mirrored else verdict


def _two(rates: Mapping[str, float], found: WerDifference, few: str) -> str:
    baseline, candidate = found.baseline, found.candidate
    verdict = _told(found.verdict, few, mirrored=found.difference > 0)
    if not found.difference:
        return f"{candidate} and {baseline}: WER {_percent(rates[candidate])} each: {verdict}"
    lower, higher = (candidate, baseline) if found.difference < 0 else (baseline, candidate)
    ends = sorted(100 * end for end in (found.interval.low, found.interval.high))
    low, high = (-ends[1], -ends[0]) if found.difference < 0 else ends
    return (
        f"{lower}: WER {_percent(rates[lower])}, {100 * abs(found.difference):.2f} points lower than {higher}"
        f"{_shown(found, low, high)}: {verdict}"
    )


def _shown(found: WerDifference | SpeedRatio, low: float, high: float) -> str:
    """The interval and the p-value, where they mean something; no minus before a zero."""
    if found.verdict == TOO_FEW or (isinstance(found, SpeedRatio) and found.reason):
        return ""
    ends = (f"{round(end, 2) + 0.0:.2f}" for end in (low, high))
    return f" [{', '.join(ends)}], {_p_value(found.p_adjusted)}"


def _many(rates: Mapping[str, float], differences: Sequence[WerDifference], few: str) -> str:
    lowest = min(rates, key=lambda name: rates[name])
    verdicts: dict[str, list[str]] = {}
    for found in differences:
        if lowest in (found.baseline, found.candidate):
            other = found.baseline if found.candidate == lowest else found.candidate
            verdict = _told(found.verdict, few, mirrored=found.baseline == lowest)
            verdicts.setdefault(verdict, []).append(other)
    told = [f"{_BETWEEN.get(verdict, verdict + ':')} {', '.join(names)}" for verdict, names in verdicts.items()]
    return f"{lowest}: lowest WER of {len(rates)}, {_percent(rates[lowest])}; {'; '.join(told)}"


_BETWEEN = {"better": "better than", "worse": "worse than", "no difference shown": "no difference shown from"}


def _speed(speed: SpeedComparison, few: str) -> str:
    speeds = dict(speed.systems)
    if len(speeds) > 2:
        ordered = sorted(speeds, key=lambda name: -speeds[name])
        return "RTFx " + ", ".join(f"{name} {speeds[name]:.2f}" for name in ordered) + "; the verdicts are below"
    return _ratio(speeds, speed.ratios[0], few)


def _ratio(speeds: Mapping[str, float], found: SpeedRatio, few: str) -> str:
    mirrored = found.ratio < 1
    ratio, low, high = found.ratio, found.interval.low, found.interval.high
    quick, slow = found.candidate, found.baseline
    if mirrored:
        ratio, low, high, quick, slow = 1 / ratio, 1 / high, 1 / low, slow, quick
    verdict = _told(found.verdict, few, mirrored=mirrored)
    reason = f" ({found.reason})" if found.reason and verdict != few else ""
    return (
        f"{quick}: RTFx {speeds[quick]:.2f}, {ratio:.2f} times that of {slow}{_shown(found, low, high)}:"
        f" {verdict}{reason}"
    )
