"""Checks of a report's trustworthiness, shown at its top."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import attrs

from asrlab.evaluation.reports.details import Details
from asrlab.evaluation.reports.formatting import format_count
from asrlab.evaluation.runs.result import BenchResult

_MIN_UTTERANCES = 20


@attrs.frozen(kw_only=True)
class TrustCheck:
    """One check.

    Attributes:
        name: A name of a word or two.
        ok: True if there is no problem.
        detail: The result.
    """

    name: str
    ok: bool
    detail: str


def trust_checks(results: Sequence[BenchResult], details: Details) -> tuple[TrustCheck, ...]:
    """Return the checks, the most serious first."""
    problems = (
        ("complete", _completeness_problem(results), "yes"),
        ("weights", _weights_problem(details), _describe_weights(details)),
        ("device", _device_problem(details), "real"),
        ("failed", _failure_problem(details), "none"),
        ("gates", _gate_problem(details), _describe_gates(details)),
    )
    checks = [TrustCheck(name=name, ok=not problem, detail=problem or detail) for name, problem, detail in problems]
    return (*checks, _size_check(details), *_timing_checks(results, details))


def _completeness_problem(results: Sequence[BenchResult]) -> str:
    if partial := [result.manifest.run for result in results if not result.complete]:
        return f"{', '.join(partial)} is not"
    broken = sum(model.failure is not None for result in results for model in result.models)
    return f"{broken} models did not load" if broken else ""


def _weights_problem(details: Details) -> str:
    if random := [system.name for system in details.systems if system.system.has_random_weights]:
        return f"random: {', '.join(random)}"
    unpinned = []
    for system in details.systems:
        model = system.system.info.model
        if model.weights_sha256 and not model.weights_pinned:
            unpinned.append(system.name)
    return f"checksum not in the catalogue: {', '.join(unpinned)}" if unpinned else ""


def _describe_weights(details: Details) -> str:
    return "as in the catalogue" if any(facts.weights_sha256 for facts in details.provenance) else "none in use"


def _device_problem(details: Details) -> str:
    simulated = [system.name for system in details.systems if system.system.is_simulated]
    return f"simulated: {', '.join(simulated)}" if simulated else ""


def _failure_problem(details: Details) -> str:
    failed = sum(system.model.failed for system in details.systems)
    return f"{failed} count as deletions" if failed else ""


def _gate_problem(details: Details) -> str:
    failed = sum(system.model.failed_gates for system in details.systems)
    return format_count(failed, "finding") if failed else ""


def _describe_gates(details: Details) -> str:
    if not details.gates:
        return "none ran"
    unchecked = sum(counts[2] for gate in details.gates for counts in gate.systems)
    return f"no findings, {unchecked} not checked" if unchecked else "no findings"


def _size_check(details: Details) -> TrustCheck:
    counts = [utterance.counts for utterance in details.systems[0].utterances] if details.systems else []
    lengths = [each.reference_length for each in counts if each]
    detail = f"{len(lengths)} utterances, {sum(lengths)} words"
    return TrustCheck(name="size", ok=len(lengths) >= _MIN_UTTERANCES, detail=detail)


def _timing_checks(results: Sequence[BenchResult], details: Details) -> Iterator[TrustCheck]:
    unstable = sum(len(system.model.unstable) for system in details.systems)
    if unstable:
        yield TrustCheck(name="repeats", ok=False, detail=f"{unstable} texts changed when repeated")
        return
    passes = min(result.manifest.request.repeat for result in results)
    yield TrustCheck(name="times", ok=passes > 1, detail=f"measured {passes} times" if passes > 1 else "measured once")
