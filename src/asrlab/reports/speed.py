"""How fast systems were, where it can be compared at all."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import attrs

from asrlab.errors import DatasetError
from asrlab.metrics import Resampling, SpeedComparison, UtteranceTime, compare_speed
from asrlab.reports.scored import seconds_of
from asrlab.reports.systems import System
from asrlab.runs.machine import Machine
from asrlab.runs.result import UtteranceResult

__all__ = ["speed_of"]


def speed_of(
    systems: Sequence[System], *, blocks: Mapping[str, str | None] | None, resampling: Resampling | None
) -> tuple[SpeedComparison | None, str]:
    """The speeds over the utterances that every system transcribed, or why they cannot be compared.

    A repeated utterance has the median of its times.
    """
    why_not = _why_not(systems)
    if why_not:
        return None, why_not
    rows = [tuple(map(_time, row)) for row in zip(*(system.utterances for system in systems), strict=True)]
    whole = [row for row in rows if all(row)]
    if not whole:
        return None, "no utterance was transcribed by all of them"
    times = {
        system.name: [time for time in column if time]
        for system, column in zip(systems, zip(*whole, strict=True), strict=True)
    }
    try:
        return compare_speed(times, blocks=blocks, resampling=resampling), ""
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


def _time(utterance: UtteranceResult) -> UtteranceTime | None:
    seconds = seconds_of(utterance)
    if utterance.transcript is None or seconds is None:
        return None
    duration = utterance.transcript.duration
    measured = all(math.isfinite(value) and value > 0 for value in (seconds, duration))
    return UtteranceTime(id=utterance.id, duration=duration, seconds=seconds) if measured else None
