"""Summaries of quality: gates, failures, texts that change between repeats, and decoding paths."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import attrs

from asrlab.evaluation.reports.scored_system import ScoredSystem
from asrlab.evaluation.runs.result import ModelResult
from asrlab.options import Batching


@attrs.frozen(kw_only=True)
class GateCounts:
    """The results of one gate over all utterances.

    Attributes:
        gate: The gate's name.
        systems: By system the numbers of utterances that passed, failed and were not checked.
    """

    gate: str
    systems: tuple[tuple[int, int, int], ...]


@attrs.frozen(kw_only=True)
class UtteranceFinding:
    """A failure, a failed gate or an unstable text of an utterance.

    Attributes:
        system: The system's name.
        id: The utterance's id.
        kind: The gate, the kind of failure, or ``unstable``.
        detail: A description.
    """

    system: str
    id: str
    kind: str
    detail: str


def count_gates(systems: Sequence[ScoredSystem]) -> tuple[GateCounts, ...]:
    """Count the results of every gate that ran, in the order of the runs' gates."""
    counters: dict[str, list[Counter[str]]] = {}
    for index, system in enumerate(systems):
        for utterance in system.utterances:
            for gate in utterance.result.gates:
                counters.setdefault(gate.gate, [Counter() for _ in systems])[index][gate.outcome] += 1
    return tuple(
        GateCounts(
            gate=gate, systems=tuple((each["passed"], each["failed"], each["not-checked"]) for each in by_system)
        )
        for gate, by_system in counters.items()
    )


def utterance_findings(systems: Sequence[ScoredSystem]) -> tuple[UtteranceFinding, ...]:
    """Return failures, failed gates and texts that changed between repeats."""
    findings = []
    for system in systems:
        for utterance in system.utterances:
            result = utterance.result
            problems = [(gate.gate, gate.detail) for gate in result.failed_gates]
            if result.failure:
                problems.insert(0, (result.failure.kind, result.failure.message))
            if not result.stable:
                problems.append(("unstable", "repeats gave another text"))
            findings += [
                UtteranceFinding(system=system.name, id=result.id, kind=kind, detail=detail)
                for kind, detail in problems
            ]
    return tuple(findings)


def describe_batching(batching: Batching) -> str:
    """Describe batching settings, none of which is None."""
    encoder = "in batches" if batching.batch_encoder else "one by one"
    return (
        f"batches of {batching.batch_size}, {batching.workers} x {batching.threads} threads, "
        f"padding {batching.padding_s:g} s, encoder {encoder}"
    )


def describe_decoding_paths(model: ModelResult) -> str:
    """Describe how many utterances were decoded in batches, and why others used the fallback; empty without batches."""
    batched = [decoding for decoding in model.decoding_paths if decoding.batched]
    if not batched:
        return ""
    settings = f" ({describe_batching(model.batching)})" if model.batching else ""
    fallbacks = [decoding for decoding in batched if decoding.fallback_reasons]
    summary = f"{len(batched) - len(fallbacks)} of {len(batched)} utterances were decoded in batches{settings}"
    if not fallbacks:
        return f"{summary}; none needed the fallback"
    reasons = Counter(reason for decoding in fallbacks for reason in dict.fromkeys(decoding.fallback_reasons))
    listed = ", ".join(f"{reason} {count}" for reason, count in reasons.most_common())
    return f"{summary}; {len(fallbacks)} used the fallback, at least in part: {listed}"
