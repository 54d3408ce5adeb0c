"""Sentences on runs and comparisons: headlines, caveats, and how the figures came about."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from itertools import combinations

import attrs

from asrlab.evaluation.metrics import SpeedComparison, SpeedRatio, WerComparison, WerDifference, get_profile
from asrlab.evaluation.metrics.resampling import MIN_BLOCKS
from asrlab.evaluation.reports.formatting import format_count, format_p_value, format_percent, format_share
from asrlab.evaluation.reports.systems import BootstrapUnits, System
from asrlab.evaluation.runs.records import ModelPass
from asrlab.evaluation.runs.result import BenchResult, ModelResult
from asrlab.options import Batching

TOO_FEW = "too few to tell"
"""The verdict with fewer than six bootstrap units, for which intervals and p-values mean nothing."""

_MIRRORED = {"better": "worse", "worse": "better", "faster": "slower", "slower": "faster"}
_CONJUNCTIONS = {"better": "better than", "worse": "worse than", "no difference shown": "no difference shown from"}
_FEW_UNITS = 20
_MAX_DRIFT = 0.1
"""Largest difference of the fastest and the slowest pass, as a share of the slowest speed."""
_BUSY_LOAD = 0.5
"""Load average before a run, as a share of the cores, above which the machine counts as busy."""


def run_caveats(results: Sequence[BenchResult], systems: Sequence[System]) -> Iterator[str]:
    """Yield a sentence for each limit of runs: random weights, simulated devices, incomplete runs, failed models."""
    for system in systems:
        yield from _system_caveats(system)
    yield from normalizer_caveats(results)
    for result in results:
        if not result.complete:
            yield f"the run {result.manifest.run} is not complete; its figures may change"
        for model in result.models:
            if model.failure is not None:
                yield f"{model.model} did not load ({model.failure.kind}): {model.failure.message}"


def _system_caveats(system: System) -> Iterator[str]:
    if system.has_random_weights:
        yield f"{system.name} has random weights: its texts and their error rate mean nothing"
    if system.is_simulated:
        yield f"{system.name} ran on a simulated {system.info.device.resolved}: this proves nothing about a real one"
    if system.unsupported:
        yield system.unsupported.sentence(system.name)


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
) -> Iterator[str]:
    """Yield a sentence for each limit of a comparison of *systems* over *n_units* bootstrap units."""
    for system in systems:
        yield from _system_caveats(system)
        yield from (f"{system.name}: {note}" for note in _result_notes(system))
    for result in results:
        for model in result.models:
            if model.failure is not None:
                yield f"{model.model} of {result.manifest.run} is not compared: it did not load ({model.failure.kind})"
    yield from normalizer_caveats(results)
    yield from _unit_notes(units, n_units)
    if left_out:
        yield f"{left_out} utterances are not shared by all and were left out"
    yield from _option_notes(results)
    yield from _repeatability_notes(systems)
    for result in results:
        if busy := describe_busy_passes(result):
            yield f"{result.manifest.run}: {busy}, so its times may be too long"
        if load := _describe_load_before(result):
            yield f"{result.manifest.run} began on a busy machine ({load}), so its times may be too long"


def _result_notes(system: System) -> Iterator[str]:
    total = len(system.utterances)
    if failed := sum(utterance.transcript is None for utterance in system.utterances):
        yield f"{failed} of {total} utterances failed and count as deletions"
    if gates := Counter(gate.gate for utterance in system.utterances for gate in utterance.failed_gates):
        counts = ", ".join(f"{gate} in {number}" for gate, number in gates.most_common())
        yield f"failed gates: {counts} of {total} utterances"
    yield from filter(None, (describe_decoding_paths(system.model), describe_instability(system.model)))
    speeds = system.model.rtfx_by_repeat
    if speeds and max(speeds) > (1 + _MAX_DRIFT) * min(speeds):
        yield f"RTFx varied from {min(speeds):.2f} to {max(speeds):.2f} between passes"


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
        if different := [f"{name} {mine[name]!r} and {theirs[name]!r}" for name in mine if mine[name] != theirs[name]]:
            yield f"{first.manifest.run} and {other.manifest.run} ran with different options: {', '.join(different)}"


def _repeatability_notes(systems: Sequence[System]) -> Iterator[str]:
    """Yield a sentence for two systems of the same model, weights and options that gave different texts."""
    for first, other in combinations(systems, 2):
        if _configuration(first) != _configuration(other):
            continue
        texts = {utterance.id: utterance.hypothesis for utterance in first.utterances}
        others = {utterance.id: utterance.hypothesis for utterance in other.utterances}
        if different := sum(texts[key] != others[key] for key in texts.keys() & others.keys()):
            rates = [model.score.wer for model in (first.model, other.model) if model.score]
            known = [f"{100 * rate:.2f}" for rate in rates if rate is not None]
            yield (
                f"not repeatable: {first.name} and {other.name} are the same model with the same weights and options, "
                f"but gave other texts for {different} of {len(texts)} utterances"
                f"{f' (WER {known[0]} and {known[1]} %)' if len(known) == 2 else ''}"
            )


def _configuration(system: System) -> tuple[object, ...]:
    request, info = system.result.manifest.request, system.info
    device = info.device.resolved
    return info.model.name, info.model.weights_sha256, device, info.compute_type, request.options, system.model.batching


def describe_instability(model: ModelResult) -> str:
    """Describe the utterances whose repeats gave other texts, with the range of the WER; empty if there are none."""
    unstable = len(model.unstable)
    if not unstable:
        return ""
    rates = [100 * rate for rate in model.wer_by_repeat]
    spread = f"; WER {min(rates):.2f} to {max(rates):.2f} % over {len(rates)} passes" if rates else ""
    return f"not repeatable: {unstable} of {len(model.utterances)} utterances gave another text when repeated{spread}"


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


def _describe_load_before(result: BenchResult) -> str:
    """Describe the load average before *result* if the machine was busy; else return an empty text."""
    cores = result.manifest.machine.cores
    highest = max((average[0] for average in result.load_averages if average), default=0.0)
    return f"load average {highest:.1f} on {cores} cores" if highest > _BUSY_LOAD * cores else ""


def why_no_speed(systems: Sequence[System]) -> str:
    """Return why the speeds of *systems* cannot be compared at all; empty if they can."""
    for system in systems:
        if system.is_simulated:
            return f"{system.name} ran on a simulated device, whose times mean nothing"
    for system in systems:
        if system.has_random_weights:
            return f"{system.name} has random weights, and a model's time depends on the text that it writes"
    first, *others = systems
    mine = attrs.asdict(first.result.manifest.machine)
    for other in others:
        theirs = attrs.asdict(other.result.manifest.machine)
        if different := [name for name in mine if mine[name] != theirs[name]]:
            facts = ", ".join(f"{name} {mine[name] or '?'} and {theirs[name] or '?'}" for name in different)
            return f"{first.name} and {other.name} ran on different machines ({facts})"
    gpus = sorted({gpu for system in systems if (gpu := system.model.backend.partition("; ")[2])})
    return f"they ran on different GPUs ({' and '.join(gpus)})" if len(gpus) > 1 else ""


def why_no_speed_verdict(first: System, other: System) -> str:
    """Return why the measurements allow no verdict on speed; empty if they may allow one."""
    if first.result.run != other.result.run:
        return (
            "measured in different runs, one after the other; a verdict on speed needs the models in one run with"
            " --repeat 3"
        )
    repeat = first.result.manifest.request.repeat
    if repeat == 1:
        return ""  # the comparison of speeds itself asks for more passes
    passes = [each for each in first.result.passes if each.model in (first.model.model, other.model.model)]
    if not _alternate(passes, repeat):
        return "the passes of the models did not all alternate in one session; run both again with --repeat 3"
    if busy := [each.load for each in passes if each.load.is_busy]:
        others, stolen = max(load.others_share for load in busy), max(load.stolen_share for load in busy)
        return (
            f"the machine was busy during {len(busy)} of {len(passes)} passes (other programs took up to "
            f"{format_share(others)} of the cores, other machines {format_share(stolen)}); run both again while it is "
            "idle"
        )
    if any(each.load.others_s is not None for each in first.result.passes):
        return ""  # the passes recorded the load of other programs, which says more than the load before the run
    load = _describe_load_before(first.result)
    return f"the machine was busy before the run ({load}); run both again" if load else ""


def _alternate(passes: Sequence[ModelPass], repeat: int) -> bool:
    """Return whether both models went through the data set once, then again, and so on, in one session."""
    if len(passes) != 2 * repeat or len({each.session for each in passes}) > 1:
        return False
    rounds = zip(passes[::2], passes[1::2], strict=True)
    return all(
        {first.repeat, second.repeat} == {number} and first.model != second.model
        for number, (first, second) in enumerate(rounds)
    )


def headline(systems: Sequence[System], wer: WerComparison, speed: SpeedComparison | None, unit: str) -> Iterator[str]:
    """Yield a sentence on the error rates and, if speed can be compared, one on the speed.

    The words better and faster are always verdicts of the metrics. Random weights get no verdict. A simulated device is
    named first, and a model that does not support the language of an utterance is named after each verdict.
    """
    random = [system.name for system in systems if system.has_random_weights]
    if random:
        rates = ", ".join(f"{name} {format_percent(counts.rate)}" for name, counts in wer.systems)
        verb = "has" if len(random) == 1 else "have"
        yield f"{', '.join(random)} {verb} random weights, so these error rates mean nothing: WER {rates}"
        return
    if simulated := [system.name for system in systems if system.is_simulated]:
        yield f"{', '.join(simulated)} ran on a simulated device, which proves nothing about a real one"
    remarks = "".join(f"; {system.name}: {system.unsupported.remark}" for system in systems if system.unsupported)
    describe = _describe_pair if len(systems) == 2 else _describe_lowest
    rates_by_name = {name: counts.rate or 0.0 for name, counts in wer.systems}
    yield describe(rates_by_name, wer.differences, _too_few(wer.blocks, unit)) + remarks
    if speed:
        yield _describe_speed(speed, _too_few(speed.blocks, unit)) + remarks


def _too_few(n_units: int, unit: str) -> str:
    return f"{TOO_FEW} ({format_count(n_units, unit)})"


def _format_verdict(verdict: str, too_few: str, *, mirrored: bool) -> str:
    if verdict == TOO_FEW:
        return too_few
    return _MIRRORED.get(verdict, verdict) if mirrored else verdict


def _describe_pair(rates: Mapping[str, float], differences: Sequence[WerDifference], too_few: str) -> str:
    pair = differences[0]
    baseline, candidate = pair.baseline, pair.candidate
    verdict = _format_verdict(pair.verdict, too_few, mirrored=pair.difference > 0)
    if not pair.difference:
        return f"{candidate} and {baseline}: WER {format_percent(rates[candidate])} each: {verdict}"
    lower, higher = (candidate, baseline) if pair.difference < 0 else (baseline, candidate)
    sign = 100 if pair.difference > 0 else -100
    low, high = sorted((sign * pair.interval.low, sign * pair.interval.high))
    return (
        f"{lower}: WER {format_percent(rates[lower])}, {100 * abs(pair.difference):.2f} points lower than {higher}"
        f"{_format_interval(pair, low, high)}: {verdict}"
    )


def _format_interval(pair: WerDifference | SpeedRatio, low: float, high: float) -> str:
    """Return the interval and the p-value if they mean something; zero has no minus sign."""
    if pair.verdict == TOO_FEW or (isinstance(pair, SpeedRatio) and pair.reason):
        return ""
    ends = (f"{round(end, 2) + 0.0:.2f}" for end in (low, high))
    return f" [{', '.join(ends)}], {format_p_value(pair.p_adjusted)}"


def _describe_lowest(rates: Mapping[str, float], differences: Sequence[WerDifference], too_few: str) -> str:
    lowest = min(rates, key=lambda name: rates[name])
    verdicts: dict[str, list[str]] = {}
    for pair in differences:
        if lowest in (pair.baseline, pair.candidate):
            other = pair.baseline if pair.candidate == lowest else pair.candidate
            verdict = _format_verdict(pair.verdict, too_few, mirrored=pair.baseline == lowest)
            verdicts.setdefault(verdict, []).append(other)
    parts = [f"{_CONJUNCTIONS.get(verdict, verdict + ':')} {', '.join(names)}" for verdict, names in verdicts.items()]
    return f"{lowest}: lowest WER of {len(rates)}, {format_percent(rates[lowest])}; {'; '.join(parts)}"


def _describe_speed(speed: SpeedComparison, too_few: str) -> str:
    speeds = dict(speed.systems)
    if len(speeds) > 2:
        ordered = sorted(speeds, key=lambda name: -speeds[name])
        return "RTFx " + ", ".join(f"{name} {speeds[name]:.2f}" for name in ordered) + "; the verdicts are below"
    pair = speed.ratios[0]
    mirrored = pair.ratio < 1
    ratio, low, high = pair.ratio, pair.interval.low, pair.interval.high
    faster, slower = pair.candidate, pair.baseline
    if mirrored:
        ratio, low, high, faster, slower = 1 / ratio, 1 / high, 1 / low, slower, faster
    verdict = _format_verdict(pair.verdict, too_few, mirrored=mirrored)
    reason = f" ({pair.reason})" if pair.reason and verdict != too_few else ""
    return (
        f"{faster}: RTFx {speeds[faster]:.2f}, {ratio:.2f} times that of {slower}{_format_interval(pair, low, high)}:"
        f" {verdict}{reason}"
    )
