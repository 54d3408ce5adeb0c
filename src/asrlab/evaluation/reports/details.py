"""What is to be seen of runs below their headline: latencies, who makes which errors where, gates, provenance.

The terminal and the HTML report show the same of it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

import attrs

from asrlab.evaluation.metrics import Profile, Resampling, TextPair, get_profile
from asrlab.evaluation.reports.breakdown import Breakdown, Group, breakdowns, durations_of
from asrlab.evaluation.reports.common_utterances import intersect_utterances, require_same_utterances
from asrlab.evaluation.reports.extra_metrics import prepare_all
from asrlab.evaluation.reports.provenance import RunFacts, SystemFacts, run_caveats, run_facts, system_facts
from asrlab.evaluation.reports.quality_summary import GateCounts, UtteranceFinding, count_gates, utterance_findings
from asrlab.evaluation.reports.scored_system import ScoredSystem, score_systems
from asrlab.evaluation.reports.speed import LatencyHistograms, latency_histograms
from asrlab.evaluation.reports.systems import BootstrapUnit, System, bootstrap_units, common_normalizer, loaded_systems
from asrlab.evaluation.reports.worst import WorstUtterance, worst_utterances
from asrlab.evaluation.runs.result import BenchResult


@attrs.frozen(kw_only=True)
class Details:
    """Systems over the same utterances, looked at one by one and utterance by utterance.

    Attributes:
        systems: With the errors of each utterance, in the order given.
        normalizer: The profile's name.
        normalizer_version: What it was, with its version.
        normalizers: How many utterances each normalizer prepared.
        bootstrap_unit: What the intervals drew together.
        durations: Seconds of audio by utterance, where any system transcribed it.
        latency: How the times spread.
        breakdowns: Errors by length, speaker, language.
        worst: The utterances with the most errors.
        gates: What each gate says, counted.
        findings: What goes for single utterances.
        caveats: What makes figures mean less than they seem to.
        provenance: What each system was.
        runs: Where each run was made.
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
        """As JSON values, the utterances left out but for the worst, which are their ids and errors."""
        names = [system.name for system in self.systems]
        return {
            "normalizer": self.normalizer,
            "normalizer_version": self.normalizer_version,
            "normalizers": dict(self.normalizers),
            "intervals": {each.name: each.interval and attrs.asdict(each.interval) for each in self.systems},
            "latency": attrs.asdict(self.latency),
            "breakdowns": {
                each.grouped_by: [_plain_group(group, names) for group in each.groups] for each in self.breakdowns
            },
            "worst": [{"id": each.id, "errors": _errors(each)} for each in self.worst],
            "gates": {gate.gate: _plain_gate(gate, names) for gate in self.gates},
            "findings": [attrs.asdict(each) for each in self.findings],
            "caveats": list(self.caveats),
            "provenance": [attrs.asdict(each) for each in self.provenance],
            "runs": {run.run: dict(run.facts) for run in self.runs},
        }


def build_details(
    results: Sequence[BenchResult],
    *,
    normalizer: str | None = None,
    bootstrap_unit: BootstrapUnit = "auto",
    resampling: Resampling | None = None,
    only_shared: bool = False,
    worst_n: int = 20,
) -> Details:
    """What there is to be seen of one run, complete or not, or of several over the same utterances.

    Args:
        results: The runs.
        normalizer: As for `asrlab.evaluation.compare`.
        bootstrap_unit: Likewise.
        resampling: Likewise.
        only_shared: Likewise.
        worst_n: How many of the utterances with the most errors are kept.

    Raises:
        DatasetError: Several runs are not over the same utterances.
        OptionError: An option has a value that it cannot have.
    """
    systems = _same(results, shared_only=only_shared)
    utterances = systems[0].utterances if systems else ()
    profile = get_profile(normalizer or common_normalizer(results, utterances))
    prepared = prepare_all(profile, systems)
    units = bootstrap_units(utterances, bootstrap_unit) if utterances else bootstrap_units((), "utterance")
    scored = score_systems(systems, profile=profile, prepared=prepared, blocks=units.by_id, resampling=resampling)
    return Details(
        systems=scored,
        normalizer=profile.name,
        normalizer_version=profile.version,
        normalizers=_normalizers(profile, prepared),
        bootstrap_unit=units.unit,
        durations=durations_of(scored),
        latency=latency_histograms(scored),
        breakdowns=breakdowns(scored),
        worst=worst_utterances(scored, most=worst_n),
        gates=count_gates(scored),
        findings=utterance_findings(scored),
        caveats=run_caveats(results, systems),
        provenance=tuple(map(system_facts, systems)),
        runs=tuple(map(run_facts, results)),
    )


def _same(results: Sequence[BenchResult], *, shared_only: bool) -> tuple[System, ...]:
    """The systems over the same utterances; of one run those that every model has tried, if it is not complete."""
    systems = loaded_systems(results)
    if not systems:
        return ()
    if len(results) > 1:
        return intersect_utterances(systems)[0] if shared_only else require_same_utterances(systems)
    tried = Counter(utterance.id for system in systems for utterance in system.utterances)
    return tuple(
        attrs.evolve(system, utterances=tuple(each for each in system.utterances if tried[each.id] == len(systems)))
        for system in systems
    )


def _normalizers(profile: Profile, prepared: dict[str, tuple[TextPair, ...]]) -> tuple[tuple[str, int], ...]:
    return profile.normalizers(next(iter(prepared.values()), ()))


def _plain_group(group: Group, names: Sequence[str]) -> dict[str, Any]:
    errors = zip(names, group.errors, strict=True)
    systems = {name: attrs.asdict(counts) | {"wer": counts.rate} for name, counts in errors}
    return {"name": group.name, "utterances": group.utterances, "systems": systems}


def _plain_gate(gate: GateCounts, names: Sequence[str]) -> dict[str, dict[str, int]]:
    kinds = ("passed", "failed", "not-checked")
    return {name: dict(zip(kinds, counts, strict=True)) for name, counts in zip(names, gate.systems, strict=True)}


def _errors(worst: WorstUtterance) -> dict[str, int]:
    return {name: outcome.errors for name, outcome in worst.outcomes}
