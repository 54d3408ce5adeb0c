"""Caveats: sentences on what limits the figures of runs and comparisons."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import combinations

import attrs

from asrlab.evaluation.metrics import get_profile
from asrlab.evaluation.metrics.resampling import MIN_BLOCKS
from asrlab.evaluation.reports.formatting import format_share
from asrlab.evaluation.reports.quality_summary import describe_decoding_paths
from asrlab.evaluation.reports.systems import BootstrapUnits, System
from asrlab.evaluation.runs.result import BenchResult, ModelResult

_FEW_UNITS = 20
_MAX_DRIFT = 0.1
"""Largest difference of the fastest and the slowest pass, as a share of the slowest speed."""
_BUSY_LOAD = 0.5
"""Load average before a run, as a share of the cores, above which the machine counts as busy."""


def run_caveats(results: Sequence[BenchResult], systems: Sequence[System]) -> tuple[str, ...]:
    """Return a sentence for each limit of runs: random weights, simulated devices, incomplete runs, failed models."""
    return tuple(_run_caveats(results, systems))


def _run_caveats(results: Sequence[BenchResult], systems: Sequence[System]) -> Iterator[str]:
    for system in systems:
        yield from synthetic_caveats(system)
        if system.unsupported:
            yield system.unsupported.sentence(system.name)
    yield from normalizer_caveats(results)
    for result in results:
        if not result.complete:
            yield f"the run {result.manifest.run} is not complete; its figures may change"
        for model in result.models:
            if model.failure is not None:
                yield f"{model.model} did not load ({model.failure.kind}): {model.failure.message}"


def synthetic_caveats(system: System) -> Iterator[str]:
    """Yield a sentence each for random weights and for a simulated device."""
    if system.has_random_weights:
        yield f"{system.name} has random weights: its texts and their error rate mean nothing"
    if system.is_simulated:
        yield f"{system.name} ran on a simulated {system.info.device.resolved}: this proves nothing about a real one"


def normalizer_caveats(results: Sequence[BenchResult]) -> Iterator[str]:
    """Yield a sentence for each run that was recorded with another version of its normalizer."""
    for result in results:
        manifest = result.manifest
        version = get_profile(manifest.normalizer).version
        if version != manifest.normalizer_version:
            yield (
                f"the run {manifest.run} was recorded with the normalizer {manifest.normalizer} "
                f"({manifest.normalizer_version}); here its texts are scored with the present version ({version}), "
                "so error rates may differ from those of the recording"
            )


def comparison_notes(
    results: Sequence[BenchResult], systems: Sequence[System], *, units: BootstrapUnits, n_units: int, left_out: int
) -> tuple[str, ...]:
    """Return a sentence for each limit of a comparison.

    Args:
        results: The runs.
        systems: The systems, with the utterances that are compared.
        units: The bootstrap units.
        n_units: Number of bootstrap units.
        left_out: Number of utterances that are not in all runs.
    """
    return (
        *_system_notes(results, systems),
        *normalizer_caveats(results),
        *_unit_notes(units, n_units),
        *([f"{left_out} utterances are not shared by all and were left out"] if left_out else []),
        *_option_notes(results),
        *_repeatability_notes(systems),
        *_load_notes(results),
    )


def _system_notes(results: Sequence[BenchResult], systems: Sequence[System]) -> Iterator[str]:
    for system in systems:
        yield from synthetic_caveats(system)
        if system.unsupported:
            yield system.unsupported.sentence(system.name)
        yield from (f"{system.name}: {note}" for note in _result_notes(system))
    for result in results:
        for model in result.models:
            if model.failure is not None:
                yield f"{model.model} of {result.manifest.run} is not compared: it did not load ({model.failure.kind})"


def _result_notes(system: System) -> Iterator[str]:
    total = len(system.utterances)
    failed = sum(utterance.transcript is None for utterance in system.utterances)
    if failed:
        yield f"{failed} of {total} utterances failed and count as deletions"
    gates = Counter(gate.gate for utterance in system.utterances for gate in utterance.failed_gates)
    if gates:
        counts = ", ".join(f"{gate} in {number}" for gate, number in gates.most_common())
        yield f"failed gates: {counts} of {total} utterances"
    yield from filter(None, (describe_decoding_paths(system.model), describe_instability(system.model)))
    speeds = system.model.rtfx_by_repeat
    if speeds and max(speeds) > (1 + _MAX_DRIFT) * min(speeds):
        yield f"RTFx varied from {min(speeds):.2f} to {max(speeds):.2f} between passes"


def describe_busy_passes(result: BenchResult) -> str:
    """Describe the passes of *result* during which other work took time; empty if there are none or this is unknown."""
    busy = [each.load for each in result.passes if each.load.is_busy]
    if not busy:
        return ""
    share = max(load.others_share + load.stolen_share for load in busy)
    return (
        f"the machine was busy during {len(busy)} of {len(result.passes)} passes (up to {format_share(share)} of the"
        " cores' time went to other work)"
    )


def describe_instability(model: ModelResult) -> str:
    """Describe the utterances whose repeats gave other texts, with the range of the WER; empty if there are none."""
    unstable = len(model.unstable)
    if not unstable:
        return ""
    rates = [100 * rate for rate in model.wer_by_repeat]
    spread = f"; WER {min(rates):.2f} to {max(rates):.2f} % over {len(rates)} passes" if rates else ""
    return f"not repeatable: {unstable} of {len(model.utterances)} utterances gave another text when repeated{spread}"


def _repeatability_notes(systems: Sequence[System]) -> Iterator[str]:
    """Yield a sentence for two systems of the same model, weights and options that gave different texts."""
    for first, other in combinations(systems, 2):
        if _configuration(first) != _configuration(other):
            continue
        texts = {utterance.id: utterance.hypothesis for utterance in first.utterances}
        others = {utterance.id: utterance.hypothesis for utterance in other.utterances}
        different = sum(texts[key] != others[key] for key in texts.keys() & others.keys())
        if different:
            yield (
                f"not repeatable: {first.name} and {other.name} are the same model with the same weights and options, "
                f"but gave other texts for {different} of {len(texts)} utterances{_describe_rates(first, other)}"
            )


def _configuration(system: System) -> tuple[object, ...]:
    request, info = system.result.manifest.request, system.info
    device = info.device.resolved
    return info.model.name, info.model.weights_sha256, device, info.compute_type, request.options, system.model.batching


def _describe_rates(first: System, other: System) -> str:
    scores = (first.model.score, other.model.score)
    rates = [100 * score.wer for score in scores if score and score.wer is not None]
    return f" (WER {rates[0]:.2f} and {rates[1]:.2f} %)" if len(rates) == len(scores) else ""


def _unit_notes(units: BootstrapUnits, n_units: int) -> Iterator[str]:
    if units.n_single:
        yield f"{units.n_single} utterances have no {units.unit} and were resampled one by one"
    if n_units < MIN_BLOCKS:
        hint = "; --bootstrap-unit utterance assumes that they are independent" if units.unit != "utterance" else ""
        yield f"with fewer than {MIN_BLOCKS} {units.unit}s, no difference can be shown{hint}"
    elif n_units < _FEW_UNITS:
        yield f"with {n_units} {units.unit}s, intervals are too narrow; a verdict also needs the test"


def _option_notes(results: Sequence[BenchResult]) -> Iterator[str]:
    first, *others = results
    mine = attrs.asdict(first.manifest.request.options)
    for other in others:
        theirs = attrs.asdict(other.manifest.request.options)
        different = [f"{name} {mine[name]!r} and {theirs[name]!r}" for name in mine if mine[name] != theirs[name]]
        if different:
            yield f"{first.manifest.run} and {other.manifest.run} ran with different options: {', '.join(different)}"


def _load_notes(results: Sequence[BenchResult]) -> Iterator[str]:
    for result in results:
        if busy := describe_busy_passes(result):
            yield f"{result.manifest.run}: {busy}, so its times may be too long"
        if load := describe_load_before(result):
            yield f"{result.manifest.run} began on a busy machine ({load}), so its times may be too long"


def describe_load_before(result: BenchResult) -> str:
    """Describe the load average before *result* if the machine was busy; else return an empty text."""
    cores = result.manifest.machine.cores
    highest = max((average[0] for average in result.load_averages if average), default=0.0)
    return f"load average {highest:.1f} on {cores} cores" if highest > _BUSY_LOAD * cores else ""
