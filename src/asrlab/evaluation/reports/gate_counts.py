"""What the gates found, counted."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import attrs

from asrlab.evaluation.reports.scored import ScoredSystem

__all__ = ["Finding", "GateCounts", "findings_of", "gate_counts"]


@attrs.frozen(kw_only=True)
class GateCounts:
    """One gate over all utterances.

    Attributes:
        gate: Its name.
        systems: By system how many utterances passed, failed and were not checked.
    """

    gate: str
    systems: tuple[tuple[int, int, int], ...]


@attrs.frozen(kw_only=True)
class Finding:
    """What goes for one utterance with one system.

    Attributes:
        system: Its name.
        id: The utterance's id.
        what: The gate, the kind of a failure, or ``unstable``.
        detail: In words.
    """

    system: str
    id: str
    what: str
    detail: str


def gate_counts(systems: Sequence[ScoredSystem]) -> tuple[GateCounts, ...]:
    """Every gate that judged anything, in the order in which runs have them."""
    verdicts: dict[str, list[Counter[str]]] = {}
    for place, system in enumerate(systems):
        for each in system.utterances:
            for verdict in each.result.gates:
                counters = verdicts.setdefault(verdict.gate, [Counter() for _ in systems])
                counters[place][verdict.outcome] += 1
    return tuple(
        GateCounts(
            gate=gate,
            systems=tuple((each["passed"], each["failed"], each["not-checked"]) for each in counters),
        )
        for gate, counters in verdicts.items()
    )


def findings_of(systems: Sequence[ScoredSystem]) -> tuple[Finding, ...]:
    """Failures, failed gates and texts that changed when they were repeated."""
    found = []
    for system in systems:
        for each in system.utterances:
            result = each.result
            told = [(verdict.gate, verdict.detail) for verdict in result.failed_gates]
            if result.failure:
                told.insert(0, (result.failure.kind, result.failure.message))
            if not result.stable:
                told.append(("unstable", "repeats gave another text"))
            found += [Finding(system=system.name, id=result.id, what=what, detail=detail) for what, detail in told]
    return tuple(found)
