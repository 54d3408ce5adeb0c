"""Tables of kills, faults and findings."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import attrs

from .boundaries import Boundaries
from .faults import CULPRITS, INNOCENTS, Fault
from .killer import PHASES, Tally
from .ledger_observer import Findings

__all__ = ["boundaries_table", "faults_table", "kills_table"]

_FINDINGS = {
    "lost": "records lost",
    "damaged": "lines damaged",
    "twice": "records twice",
    "missing": "utterances without an outcome",
    "other_text": "texts that differ from an undisturbed run",
    "set_aside": "utterances without a fault set aside",
    "tried_again": "utterances without a fault with more than one attempt",
    "unread": "runs that load_run reads differently",
}


def kills_table(tally: Tally, *, title: str, seconds: float) -> Iterator[str]:
    """Yield the table of random kills."""
    yield f"Random kills: {title}, {seconds:.0f} s"
    yield from _row("kill -9 to the process that writes the run", tally.kills.total())
    yield from _row("  started as asrlab bench or asrlab resume", tally.kills["command"])
    yield from _row("  asrlab.evaluation.bench or resume in a fork", tally.kills["fork"])
    for phase in PHASES:
        yield from _row(f"  killed {phase}", tally.phases[phase])
    yield from _row("completed runs", tally.runs)
    yield from _row("  maximum kills of one run", tally.most_kills)
    yield from _row("resumes", tally.resumes)
    yield from _row("outcomes", tally.outcomes)
    yield from _row("kills that left an incomplete line", tally.torn)
    yield from _findings(tally.findings)
    yield from _row("killed processes with running children", tally.leftovers)
    yield from _row("processes that ended with an error", tally.refused)
    yield from tally.complaints


def boundaries_table(result: Boundaries, *, seconds: float) -> Iterator[str]:
    """Yield the table of kills at each write."""
    yield f"Every write boundary once: echo, {result.utterances} utterances, {seconds:.0f} s"
    yield from _row("calls that change the folder of an undisturbed run", len(result.calls))
    yield from _row("kill -9 before and after each, and in the middle of each write", result.kills)
    yield from _row("  first kills after which the resume also was killed", result.resumes_from)
    yield from _row("  kills in those resumes", result.kills_in_resumes)
    yield from _row("  of all kills: with a power cut, which loses unsynced data", result.power_cuts)
    yield from _findings(result.findings)
    yield from _row("cases that failed", result.failures)
    yield from result.examples


def faults_table(faults: Sequence[Fault], *, timeout: float) -> Iterator[str]:
    """Yield the table of engines that end their process."""
    yield f"Faults: faulty utterances among {INNOCENTS} others, asrlab bench, --timeout {timeout:g}"
    yield f"  {'faults':24} {'set aside as':44} {'attempts':12} {'others lost':>14} {'s':>6}"
    for fault in faults:
        names = list(fault.set_aside)
        kinds = ", ".join(fault.set_aside.values())
        attempts = ", ".join(str(fault.attempts[name]) for name in names)
        culprits = ", ".join(fault.culprits)
        yield f"  {culprits:24} {kinds:44} {attempts:12} {fault.innocents_lost:14} {fault.seconds:6.1f}"
        if fault.wrong:
            expected = ", ".join(CULPRITS[culprit] for culprit in fault.culprits)
            yield f"  WRONG: expected {expected}, with 2 attempts each. {fault.complaint}"


def _findings(findings: Findings) -> Iterator[str]:
    for name, count in attrs.asdict(findings).items():
        yield from _row(_FINDINGS[name], count)


def _row(label: str, count: int) -> Iterator[str]:
    yield f"  {label:64} {count:7,}"
