"""What a reader of a comparison has to know."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import combinations

import attrs

from asrlab.evaluation.metrics.resampling import MIN_BLOCKS
from asrlab.evaluation.reports.provenance import normalizer_caveats, synthetic_caveats
from asrlab.evaluation.reports.quality_summary import describe_decoding_paths
from asrlab.evaluation.reports.systems import BootstrapUnits, System
from asrlab.evaluation.runs.result import BenchResult, ModelResult

_SOME_BLOCKS = 20
_DRIFT = 0.1  # of the slowest pass
_BUSY = 0.5  # of the cores, before the run itself began


def comparison_notes(
    results: Sequence[BenchResult], systems: Sequence[System], *, units: BootstrapUnits, drawn: int, left_out: int
) -> tuple[str, ...]:
    """A sentence for each thing that limits what a comparison shows.

    Args:
        results: The runs.
        systems: With the utterances that are compared.
        units: What was drawn together.
        drawn: How many blocks there were.
        left_out: How many utterances are not in all runs.
    """
    return (
        *_models(results, systems),
        *normalizer_caveats(results),
        *_drawing(units, drawn),
        *([f"{left_out} utterances are not shared by all and were left out"] if left_out else []),
        *_unlike(results),
        *_same_but_for_texts(systems),
        *_load(results),
    )


def _models(results: Sequence[BenchResult], systems: Sequence[System]) -> Iterator[str]:
    for system in systems:
        yield from synthetic_caveats(system)
        if system.unfit:
            yield system.unfit.sentence(system.name)
        yield from _outcomes(system)
    for result in results:
        for model in result.models:
            if model.failure is not None:
                yield f"{model.model} of {result.manifest.run} is not compared: it did not load ({model.failure.kind})"


def _outcomes(system: System) -> Iterator[str]:
    total = len(system.utterances)
    failed = sum(utterance.transcript is None for utterance in system.utterances)
    if failed:
        yield f"{system.name}: {failed} of {total} utterances failed and count as deletions"
    gates = Counter(verdict.gate for utterance in system.utterances for verdict in utterance.failed_gates)
    if gates:
        told = ", ".join(f"{gate} in {number}" for gate, number in gates.most_common())
        yield f"{system.name}: gates found something: {told} of {total} utterances"
    if paths := describe_decoding_paths(system.model):
        yield f"{system.name}: {paths}"
    if text := describe_instability(system.model):
        yield f"{system.name}: {text}"
    speeds = system.model.rtfx_of_repeats
    if speeds and max(speeds) > (1 + _DRIFT) * min(speeds):
        yield f"{system.name}: RTFx varied from {min(speeds):.2f} to {max(speeds):.2f} between passes"


def describe_busy_passes(result: BenchResult) -> str:
    """Return that other work took time from the passes of *result*; empty if it did not, or is not recorded."""
    busy = [each.load for each in result.passes if each.load.is_busy]
    if not busy:
        return ""
    worst = max(load.others_share + load.stolen_share for load in busy)
    return (
        f"the machine was busy during {len(busy)} of {len(result.passes)} passes (up to {100 * worst:.0f} % of the"
        " cores' time went to other work)"
    )


def describe_instability(model: ModelResult) -> str:
    """Return that repeats gave other texts, with the range of the WER; empty where all texts were the same."""
    unstable = len(model.unstable)
    if not unstable:
        return ""
    rates = [100 * rate for rate in model.wer_of_repeats]
    spread = f"; WER {min(rates):.2f} to {max(rates):.2f} % over {len(rates)} passes" if rates else ""
    return f"not repeatable: {unstable} of {len(model.utterances)} utterances gave another text when repeated{spread}"


def _same_but_for_texts(systems: Sequence[System]) -> Iterator[str]:
    """Yield a sentence for two runs of the same model, weights and options that gave different texts."""
    for one, other in combinations(systems, 2):
        if _what_ran(one) != _what_ran(other):
            continue
        texts = {utterance.id: utterance.hypothesis for utterance in one.utterances}
        others = {utterance.id: utterance.hypothesis for utterance in other.utterances}
        different = sum(texts[name] != others[name] for name in texts.keys() & others.keys())
        if different:
            yield (
                f"not repeatable: {one.name} and {other.name} are the same model with the same weights and options, and"
                f" gave other texts for {different} of {len(texts)} utterances{_rates(one, other)}"
            )


def _what_ran(system: System) -> tuple[object, ...]:
    request, info = system.result.manifest.request, system.info
    device = info.device.resolved
    return info.model.name, info.model.weights_sha256, device, info.compute_type, request.options, system.model.batching


def _rates(one: System, other: System) -> str:
    scores = (one.model.score, other.model.score)
    rates = [100 * score.wer for score in scores if score and score.wer is not None]
    return f" (WER {rates[0]:.2f} and {rates[1]:.2f} %)" if len(rates) == len(scores) else ""


def _drawing(units: BootstrapUnits, drawn: int) -> Iterator[str]:
    if units.n_single:
        yield f"{units.n_single} utterances have no {units.unit} and were drawn by themselves"
    if drawn < MIN_BLOCKS:
        hint = "; --bootstrap-unit utterance takes them for independent" if units.unit != "utterance" else ""
        yield f"with fewer than {MIN_BLOCKS} {units.unit}s, no difference can be shown{hint}"
    elif drawn < _SOME_BLOCKS:
        yield f"with {drawn} {units.unit}s, intervals are narrower than they should be; a verdict asks for the test, too"


def _unlike(results: Sequence[BenchResult]) -> Iterator[str]:
    first, *others = results
    mine = attrs.asdict(first.manifest.request.options)
    for other in others:
        theirs = attrs.asdict(other.manifest.request.options)
        unlike = [f"{name} {mine[name]!r} and {theirs[name]!r}" for name in mine if mine[name] != theirs[name]]
        if unlike:
            yield f"{first.manifest.run} and {other.manifest.run} ran with different options: {', '.join(unlike)}"


def _load(results: Sequence[BenchResult]) -> Iterator[str]:
    for result in results:
        if busy := describe_busy_passes(result):
            yield f"{result.manifest.run}: {busy}, so its times may be too long"
        cores = result.manifest.machine.cores
        highest = max((average[0] for average in result.load_averages if average), default=0.0)
        if highest > _BUSY * cores:
            yield (
                f"{result.manifest.run} began on a busy machine (load average {highest:.1f} on {cores} cores), so its "
                "times may be too long"
            )
