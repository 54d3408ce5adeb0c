"""Tables of the findings."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import attrs

from .boundaries import Boundaries
from .faults import CULPRITS, INNOCENTS, Fault
from .lane import PHASES, Tally
from .witness import Findings

__all__ = ["boundaries_table", "faults_table", "kills_table"]

_FINDINGS = {
    "lost": "records lost",
    "damaged": "lines damaged",
    "twice": "records twice",
    "missing": "utterances without an outcome",
    "other_text": "texts that differ from an undisturbed run",
    "set_aside": "innocent utterances set aside",
    "tried_again": "innocent utterances counted as tried again",
    "unread": "runs that load_run reads differently",
}


def kills_table(tally: Tally, *, what: str, seconds: float) -> Iterator[str]:
    """Yield the table of random kills."""
    yield f"Random kills: {what}, {seconds:.0f} s"
    yield from _row("kill -9 to the process that writes the run", tally.kills.total())
    yield from _row("  started as asrlab bench or asrlab resume", tally.kills["command"])
    yield from _row("  asrlab.evaluation.bench or resume in a fork", tally.kills["fork"])
    for phase in PHASES:
        yield from _row(f"  killed {phase}", tally.phases[phase])
    yield from _row("runs brought to their end", tally.runs)
    yield from _row("  most kills of one run", tally.most_kills)
    yield from _row("resumes that were needed", tally.resumes)
    yield from _row("outcomes in the end", tally.outcomes)
    yield from _row("torn lines that a kill left, and that were cut off", tally.torn)
    yield from _findings(tally.findings)
    yield from _row("processes left over", tally.leftovers)
    yield from _row("resumes refused, or failed", tally.refused)
    yield from tally.complaints


def boundaries_table(done: Boundaries, *, seconds: float) -> Iterator[str]:
    """Yield the table of kills at each write."""
    yield f"Every write boundary once: echo, {done.utterances} utterances, {seconds:.0f} s"
    yield from _row("calls that change the folder of an undisturbed run", len(done.calls))
    yield from _row("kill -9 before and after each, and in the middle of each write", done.kills)
    yield from _row("  first kills after which the resume was killed likewise", done.resumes_from)
    yield from _row("  kills in those resumes", done.kills_in_resumes)
    yield from _row("  of all: with the power cut, what was not synced gone", done.power_cuts)
    yield from _findings(done.findings)
    yield from _row("cases that failed", done.failures)
    yield from done.examples


def faults_table(faults: Sequence[Fault], *, timeout: float) -> Iterator[str]:
    """Yield the table of engines that end their process."""
    yield f"Faults: culprits among {INNOCENTS} innocents, asrlab bench, --timeout {timeout:g}"
    yield f"  {'culprits':24} {'set aside as':44} {'attempts':12} {'innocents lost':>14} {'s':>6}"
    for fault in faults:
        names = list(fault.set_aside)
        kinds = ", ".join(fault.set_aside.values())
        attempts = ", ".join(str(fault.attempts[name]) for name in names)
        culprits = ", ".join(fault.culprits)
        yield f"  {culprits:24} {kinds:44} {attempts:12} {fault.innocents_lost:14} {fault.seconds:6.1f}"
        if fault.wrong:
            right = ", ".join(CULPRITS[each] for each in fault.culprits)
            yield f"  WRONG: they are to be set aside as {right}, after 2 attempts each. {fault.complaint}"


def _findings(findings: Findings) -> Iterator[str]:
    for name, count in attrs.asdict(findings).items():
        yield from _row(_FINDINGS[name], count)


def _row(what: str, count: int) -> Iterator[str]:
    yield f"  {what:64} {count:7,}"
