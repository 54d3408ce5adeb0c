"""What the gates found, counted."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import attrs

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
    encoder = "in batches" if batching.batch_encoder else "one by one"
    return (
        f"batches of {batching.batch_size}, {batching.workers} x {batching.threads} threads, "
        f"padding {batching.padding_s:g} s, encoder {encoder}"
    )


def describe_decoding_paths(model: ModelResult) -> str:
    """How many utterances were decoded together, and why the others took the full path; empty where none was tried."""
    tried = [decoding for decoding in model.decoding_paths if decoding.batched]
    if not tried:
        return ""
    how = f" ({describe_batching(model.batching)})" if model.batching else ""
    fallbacks = [decoding for decoding in tried if decoding.fallback_reasons]
    summary = f"{len(tried) - len(fallbacks)} of {len(tried)} utterances were decoded in batches{how}"
    if not fallbacks:
        return f"{summary}; none needed the full path"
    reasons = Counter(reason for decoding in fallbacks for reason in dict.fromkeys(decoding.fallback_reasons))
    listed = ", ".join(f"{reason} {count}" for reason, count in reasons.most_common())
    return f"{summary}; {len(fallbacks)} took the full path, at least in part: {listed}"
