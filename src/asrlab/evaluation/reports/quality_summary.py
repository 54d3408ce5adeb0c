"""What the gates found, counted."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence

import attrs

from asrlab.batching import BATCHED, FULL
from asrlab.evaluation.reports.scored_system import ScoredSystem
from asrlab.evaluation.runs.result import ModelResult
from asrlab.options import Batching


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
class UtteranceFinding:
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


def count_gates(systems: Sequence[ScoredSystem]) -> tuple[GateCounts, ...]:
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


def utterance_findings(systems: Sequence[ScoredSystem]) -> tuple[UtteranceFinding, ...]:
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
            found += [
                UtteranceFinding(system=system.name, id=result.id, what=what, detail=detail) for what, detail in told
            ]
    return tuple(found)


def describe_batching(batching: Batching) -> str:
    """What was chosen; nothing in *batching* is None."""
    encoder = "together" if batching.encode_together else "one by one"
    return (
        f"batches of {batching.batch_size}, {batching.workers} x {batching.threads} threads, "
        f"margin {batching.margin:g} s, encoder {encoder}"
    )


def describe_decoding_paths(model: ModelResult) -> str:
    """How many utterances were decoded together, and why the others took the full path; empty where none was tried."""
    paths = model.paths
    tried = sum(count for path, count in paths.items() if path.startswith(BATCHED))
    if not tried:
        return ""
    how = f" ({describe_batching(model.batching)})" if model.batching else ""
    doubted = {path: count for path, count in paths.items() if path.startswith(BATCHED) and FULL in path}
    told = f"{tried - sum(doubted.values())} of {tried} utterances were decoded together{how}"
    if not doubted:
        return f"{told}; none was in doubt"
    reasons: Counter[str] = Counter()
    for path, count in doubted.items():
        for reason in re.sub(r" \(\d+\)", "", path.partition(f"{FULL}: ")[2]).split(", "):
            reasons[reason] += count
    listed = ", ".join(f"{reason} {count}" for reason, count in reasons.most_common())
    return f"{told}; {sum(doubted.values())} took the full path, at least in part: {listed}"
