"""Details of runs below the headline: latencies, errors by group, worst utterances, gates and provenance.

The terminal and the HTML report show the same details.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from typing import Any, Literal

import attrs

from asrlab.engine.contract import TranscriberInfo
from asrlab.evaluation.metrics import ErrorCounts, describe_normalizers
from asrlab.evaluation.reports.formatting import format_share
from asrlab.evaluation.reports.scored_system import (
    LatencyHistograms,
    ScoredSystem,
    WorstUtterance,
    latency_histograms,
    score_systems,
    worst_utterances,
)
from asrlab.evaluation.reports.sentences import run_caveats
from asrlab.evaluation.reports.systems import (
    ComparisonOptions,
    System,
    loaded_systems,
    prepare_systems,
    share_utterances,
    tried_by_all,
)
from asrlab.evaluation.runs.result import BenchResult
from asrlab.transcript import PatchStatus

_LENGTH_EDGES_S = (2.0, 5.0, 10.0, 20.0, 30.0, 60.0)
_UNKNOWN = "unknown"
_LENGTHS = (
    f"under {_LENGTH_EDGES_S[0]:g} s",
    *(f"{low:g} to {high:g} s" for low, high in pairwise(_LENGTH_EDGES_S)),
    f"{_LENGTH_EDGES_S[-1]:g} s and more",
    _UNKNOWN,
)


@attrs.frozen(kw_only=True)
class UtteranceGroup:
    """Scored utterances with a common property, whose value is the name, and the errors of each system, in order."""

    name: str
    utterances: int
    errors: tuple[ErrorCounts, ...]


@attrs.frozen(kw_only=True)
class Breakdown:
    """The errors of every system by group: lengths from the shortest, others by their errors, the most first."""

    grouped_by: Literal["length", "speaker", "language"]
    groups: tuple[UtteranceGroup, ...]


@attrs.frozen(kw_only=True)
class GateCounts:
    """By system the numbers of utterances that passed one gate, failed it, and were not checked."""

    gate: str
    systems: tuple[tuple[int, int, int], ...]


@attrs.frozen(kw_only=True)
class UtteranceFinding:
    """An utterance's failed gate (the *kind*), failure (by its kind) or ``unstable`` text."""

    system: str
    id: str
    kind: str
    detail: str


@attrs.frozen(kw_only=True)
class SystemFacts:
    """The provenance of a system.

    Attributes:
        device: The requested and the used device, with number format and threads.
        device_reason: The reason why the used device differs from the requested one; empty if it does not.
        weights: The source of the weights; ``none`` for an engine without weights.
        weights_sha256: The checksum of the weights; empty without weights.
        weights_known: The status of the checksum in the catalogue.
        backend: The build of torch, and the GPU; empty if torch was not imported.
    """

    name: str
    run: str
    device: str
    device_reason: str
    weights: str
    weights_sha256: str
    weights_known: str
    packages: tuple[tuple[str, str], ...]
    patches: tuple[PatchStatus, ...]
    backend: str


@attrs.frozen(kw_only=True)
class RunFacts:
    """The provenance of a run: pairs of a label and a value."""

    run: str
    facts: tuple[tuple[str, str], ...]


@attrs.frozen(kw_only=True)
class Details:
    """Details of systems over the same utterances.

    Attributes:
        systems: The systems with the errors of each utterance, in the order given.
        normalizers: Number of utterances that each normalizer prepared.
        bootstrap_unit: The unit that the intervals resample.
        durations: Seconds of audio by utterance, if any system transcribed it.
        findings: Failures, failed gates and unstable texts of single utterances.
        provenance: The provenance of each system; *runs* has that of each run.
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
        outcomes = ("passed", "failed", "not-checked")
        return {
            "normalizer": self.normalizer,
            "normalizer_version": self.normalizer_version,
            "normalizers": dict(self.normalizers),
            "intervals": {system.name: system.interval and attrs.asdict(system.interval) for system in self.systems},
            "latency": attrs.asdict(self.latency),
            "breakdowns": {
                each.grouped_by: [_plain_group(group, names) for group in each.groups] for each in self.breakdowns
            },
            "worst": [
                {"id": utterance.id, "errors": {name: scored.errors for name, scored in utterance.scored}}
                for utterance in self.worst
            ],
            "gates": {
                gate.gate: {
                    name: dict(zip(outcomes, counts, strict=True))
                    for name, counts in zip(names, gate.systems, strict=True)
                }
                for gate in self.gates
            },
            "findings": [attrs.asdict(finding) for finding in self.findings],
            "caveats": list(self.caveats),
            "provenance": [attrs.asdict(facts) for facts in self.provenance],
            "runs": {run.run: dict(run.facts) for run in self.runs},
        }


def _plain_group(group: UtteranceGroup, names: Sequence[str]) -> dict[str, Any]:
    errors = zip(names, group.errors, strict=True)
    systems = {name: attrs.asdict(counts) | {"wer": counts.rate} for name, counts in errors}
    return {"name": group.name, "utterances": group.utterances, "systems": systems}


def build_details(results: Sequence[BenchResult], options: ComparisonOptions | None = None) -> Details:
    """Build the details of one run, complete or not, or of several over the same utterances.

    Of an incomplete run, the utterances are those that every model has tried.

    Raises:
        DatasetError: If the utterances of several runs differ.
        OptionError: If an option has an invalid value.
    """
    options = options or ComparisonOptions()
    systems = loaded_systems(results)
    if len(results) > 1 and systems:
        systems, _ = share_utterances(systems, only_shared=options.only_shared)
    else:
        systems = tried_by_all(systems)
    prepared = prepare_systems(results, systems, options)
    profile = prepared.profile
    scored = score_systems(prepared)
    durations: dict[str, float] = {}
    for utterance in (utterance for system in systems for utterance in system.utterances):
        if utterance.transcript:
            durations.setdefault(utterance.id, utterance.transcript.duration)
    return Details(
        systems=scored,
        normalizer=profile.name,
        normalizer_version=profile.version,
        normalizers=profile.normalizers(next(iter(prepared.texts.values()), ())),
        bootstrap_unit=prepared.units.unit,
        durations=durations,
        latency=latency_histograms(scored),
        breakdowns=tuple(_break_down(scored, durations)),
        worst=worst_utterances(scored, worst_n=options.worst_n),
        gates=_count_gates(systems),
        findings=tuple(_findings(systems)),
        caveats=tuple(run_caveats(results, systems)),
        provenance=tuple(map(_system_facts, systems)),
        runs=tuple(RunFacts(run=result.manifest.run, facts=tuple(_run_facts(result))) for result in results),
    )


def _break_down(systems: Sequence[ScoredSystem], durations: Mapping[str, float]) -> Iterator[Breakdown]:
    """Group errors by length, and by speaker and language if the data set states them."""
    utterances = systems[0].system.utterances if systems else ()
    lengths = {each.id: _length_group(durations.get(each.id)) for each in utterances}
    speakers = {each.id: each.speaker or _UNKNOWN for each in utterances}
    languages = {each.id: each.language or _UNKNOWN for each in utterances}
    by_length = sorted(_group(systems, lengths), key=lambda group: _LENGTHS.index(group.name))
    yield Breakdown(grouped_by="length", groups=tuple(by_length))
    if set(speakers.values()) - {_UNKNOWN}:
        yield Breakdown(grouped_by="speaker", groups=_group(systems, speakers))
    if len(set(languages.values())) > 1:
        yield Breakdown(grouped_by="language", groups=_group(systems, languages))


def _length_group(seconds: float | None) -> str:
    return _UNKNOWN if seconds is None else _LENGTHS[sum(seconds >= edge for edge in _LENGTH_EDGES_S)]


def _group(systems: Sequence[ScoredSystem], group_by_id: Mapping[str, str]) -> tuple[UtteranceGroup, ...]:
    """Return the groups, those with the most errors first."""
    errors: dict[str, list[ErrorCounts]] = {}
    sizes: Counter[str] = Counter()
    for index, system in enumerate(systems):
        for utterance in system.utterances:
            if utterance.counts is not None:
                name = group_by_id[utterance.result.id]
                errors.setdefault(name, [ErrorCounts() for _ in systems])[index] += utterance.counts
                sizes[name] += index == 0
    groups = [
        UtteranceGroup(name=name, utterances=sizes[name], errors=tuple(counts)) for name, counts in errors.items()
    ]
    return tuple(sorted(groups, key=lambda group: (-sum(counts.errors for counts in group.errors), group.name)))


def _count_gates(systems: Sequence[System]) -> tuple[GateCounts, ...]:
    """Count the results of every gate that ran, in the order of the runs' gates."""
    counters: dict[str, list[Counter[str]]] = {}
    for index, system in enumerate(systems):
        for gate in (gate for utterance in system.utterances for gate in utterance.gates):
            counters.setdefault(gate.gate, [Counter() for _ in systems])[index][gate.outcome] += 1
    return tuple(
        GateCounts(
            gate=gate, systems=tuple((each["passed"], each["failed"], each["not-checked"]) for each in by_system)
        )
        for gate, by_system in counters.items()
    )


def _findings(systems: Sequence[System]) -> Iterator[UtteranceFinding]:
    for system in systems:
        for result in system.utterances:
            problems = [(result.failure.kind, result.failure.message)] if result.failure else []
            problems += [(gate.gate, gate.detail) for gate in result.failed_gates]
            problems += [] if result.stable else [("unstable", "repeats gave another text")]
            for kind, detail in problems:
                yield UtteranceFinding(system=system.name, id=result.id, kind=kind, detail=detail)


def describe_device(info: TranscriberInfo) -> str:
    """Describe the requested and the used device, the number format and the threads."""
    threads = f", {info.threads} threads" if info.threads else ""
    return f"{info.device.requested} → {info.device} ({info.compute_type}{threads})"


def _system_facts(system: System) -> SystemFacts:
    info, model = system.info, system.info.model
    if model.weights_random:
        status = "random numbers, for tests"
    else:
        status = "as in the catalogue" if model.weights_pinned else "recorded, not in the catalogue"
    return SystemFacts(
        name=system.name,
        run=system.run,
        device=describe_device(info),
        device_reason=info.device.reason,
        weights=model.weights_source or "none",
        weights_sha256=model.weights_sha256 or "",
        weights_known=status if model.weights_sha256 or model.weights_random else "",
        packages=tuple((package.name, package.version) for package in info.packages),
        patches=system.model.patches,
        backend=system.model.backend,
    )


def _run_facts(result: BenchResult) -> Iterator[tuple[str, str]]:
    """Yield labels and values, with the settings that may change what engines do."""
    manifest = result.manifest
    machine, dataset, request = manifest.machine, manifest.dataset, manifest.request
    yield "data set", f"{dataset.name}: {dataset.utterances} utterances, {dataset.source}"
    yield "licence of the data", dataset.licence or "unknown"
    yield "fingerprint", dataset.fingerprint
    yield "started", manifest.created
    yield "duration", f"{result.seconds:.1f} s"
    yield "machine", f"{machine.processor or 'unknown processor'}, {machine.cores} cores, {machine.architecture}"
    yield "system", f"{machine.system}, {machine.python}"
    if result.load_averages:
        yield "load before", ", ".join(f"{average[0]:.2f}" for average in result.load_averages if average)
    if loads := [each.load for each in result.passes]:
        others, stolen = max(load.others_share for load in loads), max(load.stolen_share for load in loads)
        yield "load during", f"other programs up to {format_share(others)} of the cores, stolen {format_share(stolen)}"
    yield "variables", ", ".join(f"{name}={value}" for name, value in manifest.environment) or "none that matter"
    if manifest.git:
        yield "source tree", f"{manifest.git.commit}{', changed' if manifest.git.changed else ''}"
    options = [f"{name} {value}" for name, value in attrs.asdict(request.options).items() if value not in (None, False)]
    yield "options", ", ".join([*options, f"repeat {request.repeat}", f"warmup {request.warmup}"])
    normalizers = describe_normalizers(manifest.normalizer, manifest.normalizers)
    yield "normalizer", f"{normalizers} ({manifest.normalizer_version})"
    for failure in manifest.plugin_failures:
        yield "failed plugin", str(failure)
