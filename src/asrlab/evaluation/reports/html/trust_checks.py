"""Whether a report can be trusted, point by point."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import attrs

from asrlab.evaluation.reports.details import Details
from asrlab.evaluation.runs.result import BenchResult
from asrlab.transcript import ModelInfo

_SOME = 20


@attrs.frozen(kw_only=True)
class TrustCheck:
    """One thing that a reader would ask.

    Attributes:
        name: In a word or two.
        ok: Whether it is as it should be.
        detail: How it is.
    """

    name: str
    ok: bool
    detail: str


def trust_checks(results: Sequence[BenchResult], details: Details) -> tuple[TrustCheck, ...]:
    """The checks, the gravest first."""
    return tuple(_checks(results, details))


def _checks(results: Sequence[BenchResult], details: Details) -> Iterator[TrustCheck]:
    systems = details.systems
    partial = [result.manifest.run for result in results if not result.complete]
    broken = sum(model.failure is not None for result in results for model in result.models)
    told = f"{', '.join(partial)} is not" if partial else f"{broken} models did not load" if broken else "yes"
    yield TrustCheck(name="complete", ok=not partial and not broken, detail=told)
    random = [system.name for system in systems if system.system.random]
    unpinned = [system.name for system in systems if _unpinned(system.system.info.model)]
    weights = f"random: {', '.join(random)}" if random else f"checksum not in the catalogue: {', '.join(unpinned)}"
    yield TrustCheck(
        name="weights", ok=not random and not unpinned, detail=weights if random or unpinned else _weights(details)
    )
    simulated = [system.name for system in systems if system.system.simulated]
    yield TrustCheck(
        name="device", ok=not simulated, detail=f"simulated: {', '.join(simulated)}" if simulated else "real"
    )
    failed = sum(system.model.failed for system in systems)
    yield TrustCheck(name="failed", ok=not failed, detail=f"{failed} count as deletions" if failed else "none")
    gates = sum(system.model.failed_gates for system in systems)
    yield TrustCheck(name="gates", ok=not gates, detail=_counted(gates, "finding") if gates else _judged(details))
    yield _size(details)
    yield _times(results, details)


def _unpinned(model: ModelInfo) -> bool:
    return bool(model.weights_sha256) and not model.weights_pinned and not model.weights_random


def _weights(details: Details) -> str:
    return "as in the catalogue" if any(facts.weights_sha256 for facts in details.provenance) else "none in use"


def _counted(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"


def _judged(details: Details) -> str:
    unchecked = sum(counts[2] for gate in details.gates for counts in gate.systems)
    return "no findings" + (f", {unchecked} not checked" if unchecked else "") if details.gates else "none ran"


def _size(details: Details) -> TrustCheck:
    scored = [each for each in details.systems[0].utterances if each.counts] if details.systems else []
    words = sum(each.counts.reference_length for each in scored if each.counts)
    return TrustCheck(name="size", ok=len(scored) >= _SOME, detail=f"{len(scored)} utterances, {words} words")


def _times(results: Sequence[BenchResult], details: Details) -> TrustCheck:
    unstable = sum(len(system.model.unstable) for system in details.systems)
    least = min(result.manifest.request.repeat for result in results)
    told = f"measured {least} times" if least > 1 else "measured once"
    if unstable:
        return TrustCheck(name="repeats", ok=False, detail=f"{unstable} texts changed when repeated")
    return TrustCheck(name="times", ok=least > 1, detail=told)
