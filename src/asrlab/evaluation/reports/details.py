"""Details of runs below the headline: latencies, errors by group, worst utterances, gates and provenance.

The terminal and the HTML report show the same details.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any, Literal

import attrs

from asrlab.evaluation.metrics import ErrorCounts, get_profile
from asrlab.evaluation.reports.caveats import run_caveats
from asrlab.evaluation.reports.common_utterances import intersect_utterances, require_same_utterances
from asrlab.evaluation.reports.extra_metrics import prepare_all
from asrlab.evaluation.reports.provenance import RunFacts, SystemFacts, run_facts, system_facts
from asrlab.evaluation.reports.quality_summary import GateCounts, UtteranceFinding, count_gates, utterance_findings
from asrlab.evaluation.reports.scored_system import ScoredSystem, WorstUtterance, score_systems, worst_utterances
from asrlab.evaluation.reports.speed import LatencyHistograms, latency_histograms
from asrlab.evaluation.reports.systems import (
    ComparisonOptions,
    System,
    bootstrap_units,
    common_normalizer,
    loaded_systems,
    tried_by_all,
)
from asrlab.evaluation.runs.result import BenchResult

_LENGTH_EDGES_S = (2.0, 5.0, 10.0, 20.0, 30.0, 60.0)
_UNKNOWN = "unknown"


@attrs.frozen(kw_only=True)
class UtteranceGroup:
    """Utterances with a common property.

    Attributes:
        name: The property's value.
        utterances: Number of scored utterances.
        errors: The errors of each system, in order.
    """

    name: str
    utterances: int
    errors: tuple[ErrorCounts, ...]


@attrs.frozen(kw_only=True)
class Breakdown:
    """The errors of every system by group.

    Attributes:
        grouped_by: ``length``, ``speaker`` or ``language``.
        groups: The groups: lengths from the shortest; others by their errors over all systems, the most first.
    """

    grouped_by: Literal["length", "speaker", "language"]
    groups: tuple[UtteranceGroup, ...]


@attrs.frozen(kw_only=True)
class Details:
    """Details of systems over the same utterances.

    Attributes:
        systems: The systems with the errors of each utterance, in the order given.
        normalizer: The profile's name.
        normalizer_version: The profile's version.
        normalizers: Number of utterances that each normalizer prepared.
        bootstrap_unit: The unit that the intervals resample.
        durations: Seconds of audio by utterance, if any system transcribed it.
        latency: The histograms of latencies.
        breakdowns: The errors by length, speaker and language.
        worst: The utterances with the most errors.
        gates: The results of each gate, counted.
        findings: Failures, failed gates and unstable texts of single utterances.
        caveats: Caveats on the figures, a sentence each.
        provenance: The provenance of each system.
        runs: The provenance of each run.
    """

    systems: tuple[ScoredSystem, ...]
    normalizer: str
    normalizer_version: str
    normalizers: tuple[tuple[str, int], ...]
    bootstrap_unit: str
    durations: dict[str, float] = attrs.field(repr=False)
    latency: LatencyHistograms
    breakdowns: tuple[Breakdown, ...]
    worst: tuple[WorstUtterance, ...]
    gates: tuple[GateCounts, ...]
    findings: tuple[UtteranceFinding, ...]
    caveats: tuple[str, ...]
    provenance: tuple[SystemFacts, ...]
    runs: tuple[RunFacts, ...]

    def to_plain(self) -> dict[str, Any]:
        """Return JSON values without the utterances, except for ids and errors of the worst ones."""
        names = [system.name for system in self.systems]
        breakdowns = {
            each.grouped_by: [_plain_group(group, names) for group in each.groups] for each in self.breakdowns
        }
        worst = [
            {"id": utterance.id, "errors": {name: scored.errors for name, scored in utterance.scored}}
            for utterance in self.worst
        ]
        return {
            "normalizer": self.normalizer,
            "normalizer_version": self.normalizer_version,
            "normalizers": dict(self.normalizers),
            "intervals": {system.name: system.interval and attrs.asdict(system.interval) for system in self.systems},
            "latency": attrs.asdict(self.latency),
            "breakdowns": breakdowns,
            "worst": worst,
            "gates": {gate.gate: _plain_gate(gate, names) for gate in self.gates},
            "findings": [attrs.asdict(finding) for finding in self.findings],
            "caveats": list(self.caveats),
            "provenance": [attrs.asdict(facts) for facts in self.provenance],
            "runs": {run.run: dict(run.facts) for run in self.runs},
        }


def build_details(results: Sequence[BenchResult], options: ComparisonOptions | None = None) -> Details:
    """Build the details of one run, complete or not, or of several over the same utterances.

    Args:
        results: The runs.
        options: The options; None uses their defaults.

    Raises:
        DatasetError: If the utterances of several runs differ.
        OptionError: If an option has an invalid value.
    """
    options = options or ComparisonOptions()
    systems = _select_systems(results, only_shared=options.only_shared)
    utterances = systems[0].utterances if systems else ()
    profile = get_profile(options.normalizer or common_normalizer(results, utterances))
    prepared = prepare_all(profile, systems)
    units = bootstrap_units(utterances, options.bootstrap_unit if utterances else "utterance")
    scored = score_systems(systems, profile=profile, prepared=prepared, units=units, resampling=options.resampling)
    durations = _audio_durations(scored)
    return Details(
        systems=scored,
        normalizer=profile.name,
        normalizer_version=profile.version,
        normalizers=profile.normalizers(next(iter(prepared.values()), ())),
        bootstrap_unit=units.unit,
        durations=durations,
        latency=latency_histograms(scored),
        breakdowns=_break_down(scored, durations),
        worst=worst_utterances(scored, worst_n=options.worst_n),
        gates=count_gates(scored),
        findings=utterance_findings(scored),
        caveats=run_caveats(results, systems),
        provenance=tuple(map(system_facts, systems)),
        runs=tuple(map(run_facts, results)),
    )


def _select_systems(results: Sequence[BenchResult], *, only_shared: bool) -> tuple[System, ...]:
    """Return the systems over the same utterances: of an incomplete run, those that every model has tried."""
    systems = loaded_systems(results)
    if len(results) > 1 and systems:
        return intersect_utterances(systems)[0] if only_shared else require_same_utterances(systems)
    return tried_by_all(systems)


def _audio_durations(systems: Sequence[ScoredSystem]) -> dict[str, float]:
    durations: dict[str, float] = {}
    for system in systems:
        for utterance in system.utterances:
            if utterance.result.transcript:
                durations.setdefault(utterance.result.id, utterance.result.transcript.duration)
    return durations


def _break_down(systems: Sequence[ScoredSystem], durations: dict[str, float]) -> tuple[Breakdown, ...]:
    """Group errors by length, and by speaker and language if the data set states them."""
    first = [utterance.result for utterance in systems[0].utterances] if systems else []
    lengths = {each.id: _length_group(durations.get(each.id)) for each in first}
    speakers = {each.id: each.speaker or _UNKNOWN for each in first}
    languages = {each.id: each.language or _UNKNOWN for each in first}
    length_order = _length_groups()
    by_length = _group(systems, lengths, lambda group: length_order.index(group.name))
    breakdowns = [Breakdown(grouped_by="length", groups=by_length)]
    if set(speakers.values()) - {_UNKNOWN}:
        breakdowns.append(Breakdown(grouped_by="speaker", groups=_group(systems, speakers, _most_errors_first)))
    if len(set(languages.values())) > 1:
        breakdowns.append(Breakdown(grouped_by="language", groups=_group(systems, languages, _most_errors_first)))
    return tuple(breakdowns)


def _group(
    systems: Sequence[ScoredSystem], group_by_id: dict[str, str], sort_key: Callable[[UtteranceGroup], Any]
) -> tuple[UtteranceGroup, ...]:
    errors: dict[str, list[ErrorCounts]] = {}
    sizes: dict[str, int] = {}
    for index, system in enumerate(systems):
        for utterance in system.utterances:
            if utterance.counts is None:
                continue
            name = group_by_id[utterance.result.id]
            errors.setdefault(name, [ErrorCounts() for _ in systems])[index] += utterance.counts
            sizes[name] = sizes.get(name, 0) + (index == 0)
    groups = (UtteranceGroup(name=name, utterances=sizes[name], errors=tuple(errors[name])) for name in errors)
    return tuple(sorted(groups, key=sort_key))


def _most_errors_first(group: UtteranceGroup) -> tuple[float, str]:
    return -sum(counts.errors for counts in group.errors), group.name


def _length_groups() -> list[str]:
    first, *_, last = _LENGTH_EDGES_S
    between = [f"{low:g} to {high:g} s" for low, high in pairwise(_LENGTH_EDGES_S)]
    return [f"under {first:g} s", *between, f"{last:g} s and more", _UNKNOWN]


def _length_group(seconds: float | None) -> str:
    names = _length_groups()
    return names[-1] if seconds is None else names[sum(seconds >= edge for edge in _LENGTH_EDGES_S)]


def _plain_group(group: UtteranceGroup, names: Sequence[str]) -> dict[str, Any]:
    errors = zip(names, group.errors, strict=True)
    systems = {name: attrs.asdict(counts) | {"wer": counts.rate} for name, counts in errors}
    return {"name": group.name, "utterances": group.utterances, "systems": systems}


def _plain_gate(gate: GateCounts, names: Sequence[str]) -> dict[str, dict[str, int]]:
    outcomes = ("passed", "failed", "not-checked")
    return {name: dict(zip(outcomes, counts, strict=True)) for name, counts in zip(names, gate.systems, strict=True)}
