"""Errors by what utterances have in common: their length, speaker, language."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise
from typing import Literal

import attrs

from asrlab.evaluation.metrics import ErrorCounts
from asrlab.evaluation.reports.scored_system import ScoredSystem

_LENGTHS = (2.0, 5.0, 10.0, 20.0, 30.0, 60.0)
_UNKNOWN = "not known"


@attrs.frozen(kw_only=True)
class Group:
    """Utterances that have something in common.

    Attributes:
        name: What they have.
        utterances: How many are scored.
        errors: By system, in its order.
    """

    name: str
    utterances: int
    errors: tuple[ErrorCounts, ...]


@attrs.frozen(kw_only=True)
class Breakdown:
    """The errors of every system, by group.

    Attributes:
        grouped_by: ``length``, ``speaker`` or ``language``.
        groups: Lengths from the shortest; the others by their errors over all systems, the most first.
    """

    grouped_by: Literal["length", "speaker", "language"]
    groups: tuple[Group, ...]


def breakdowns(systems: Sequence[ScoredSystem]) -> tuple[Breakdown, ...]:
    """The errors by length, and by speaker and language where the data set tells of any."""
    durations = durations_of(systems)
    first = [each.result for each in systems[0].utterances] if systems else []
    speakers = {each.id: each.speaker or _UNKNOWN for each in first}
    languages = {each.id: each.language or _UNKNOWN for each in first}
    found = [
        Breakdown(grouped_by="length", groups=_groups(systems, lambda key: _length(durations.get(key)), _by_length))
    ]
    if set(speakers.values()) - {_UNKNOWN}:
        found.append(Breakdown(grouped_by="speaker", groups=_groups(systems, speakers.__getitem__, _by_errors)))
    if len(set(languages.values())) > 1:
        found.append(Breakdown(grouped_by="language", groups=_groups(systems, languages.__getitem__, _by_errors)))
    return tuple(found)


def durations_of(systems: Sequence[ScoredSystem]) -> dict[str, float]:
    """Seconds of audio by utterance, from the first system that transcribed it."""
    durations: dict[str, float] = {}
    for system in systems:
        for each in system.utterances:
            if each.result.transcript:
                durations.setdefault(each.result.id, each.result.transcript.duration)
    return durations


def _groups(
    systems: Sequence[ScoredSystem], name_of: Callable[[str], str], order: Callable[[Group], tuple[float, str]]
) -> tuple[Group, ...]:
    names: dict[str, list[ErrorCounts]] = {}
    sizes: dict[str, int] = {}
    for place, system in enumerate(systems):
        for each in system.utterances:
            if each.counts is None:
                continue
            name = name_of(each.result.id)
            names.setdefault(name, [ErrorCounts() for _ in systems])[place] += each.counts
            sizes[name] = sizes.get(name, 0) + (place == 0)
    groups = (Group(name=name, utterances=sizes[name], errors=tuple(errors)) for name, errors in names.items())
    return tuple(sorted(groups, key=order))


def _by_errors(group: Group) -> tuple[float, str]:
    return -sum(counts.errors for counts in group.errors), group.name


def _by_length(group: Group) -> tuple[float, str]:
    return _ORDER[group.name], group.name


def _length(seconds: float | None) -> str:
    if seconds is None:
        return _UNKNOWN
    upper = next((edge for edge in _LENGTHS if seconds < edge), None)
    return _NAMES[upper]


def _names() -> Mapping[float | None, str]:
    first, *_, last = _LENGTHS
    between: dict[float | None, str] = {high: f"{low:g} to {high:g} s" for low, high in pairwise(_LENGTHS)}
    return {first: f"under {first:g} s", **between, None: f"{last:g} s and more"}


_NAMES = _names()
_ORDER = {name: float(place) for place, name in enumerate((*_NAMES.values(), _UNKNOWN))}
