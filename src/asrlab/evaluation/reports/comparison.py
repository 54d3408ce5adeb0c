"""Comparison of the models of one run or several on the same utterances."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import attrs

from asrlab._version import __version__
from asrlab.control_characters import escape_json
from asrlab.engine.contract import TranscriberInfo
from asrlab.environment import installed_version
from asrlab.evaluation.metrics import (
    ErrorCounts,
    Resampling,
    SpeedComparison,
    SpeedRatio,
    TextPair,
    WerComparison,
    WerDifference,
    WordDifferences,
    compare_wer,
    get_profile,
    word_differences,
)
from asrlab.evaluation.reports.caveats import comparison_notes
from asrlab.evaluation.reports.common_utterances import (
    intersect_utterances,
    require_comparable,
    require_same_utterances,
)
from asrlab.evaluation.reports.extra_metrics import RunMetrics, prepare_all, system_metrics
from asrlab.evaluation.reports.formatting import format_count, format_p_value, format_percent
from asrlab.evaluation.reports.speed import compare_system_speed
from asrlab.evaluation.reports.systems import (
    BootstrapUnit,
    ComparisonOptions,
    System,
    bootstrap_units,
    common_normalizer,
    loaded_systems,
)
from asrlab.evaluation.runs.result import BenchResult

TOO_FEW = "too few to tell"
"""The verdict with fewer than six bootstrap units, for which intervals and p-values mean nothing."""

_MIRRORED = {"better": "worse", "worse": "better", "faster": "slower", "slower": "faster"}
_CONJUNCTIONS = {"better": "better than", "worse": "worse than", "no difference shown": "no difference shown from"}


@attrs.frozen(kw_only=True)
class ComparedSystem:
    """A model of a run, over the compared utterances.

    Attributes:
        name: The system's name.
        run: The run's name.
        created: Start of the run; UTC, ISO 8601.
        dataset: Name of the run's data set.
        fingerprint: Fingerprint of the run's data set, as in its manifest.
        info: The facts of the loaded model.
        words: The errors; a failed utterance counts as deletions.
        finished: The errors without the failed utterances.
        failed: Number of utterances without a transcript.
        failed_gates: The gates that failed, each with its number of utterances.
        unstable: Number of utterances whose repeats gave another text.
    """

    name: str
    run: str
    created: str
    dataset: str
    fingerprint: str
    info: TranscriberInfo
    words: ErrorCounts
    finished: ErrorCounts
    failed: int = 0
    failed_gates: tuple[tuple[str, int], ...] = ()
    unstable: int = 0


@attrs.frozen(kw_only=True)
class Comparison:
    """A comparison of systems on the same utterances: error rates, speed and differences of words.

    Attributes:
        headline: A summary of one to three sentences.
        systems: The systems in the order given. The first is the baseline of the others.
        utterances: Number of compared utterances.
        left_out: Number of utterances that are not in all runs and are left out.
        unscored: Number of compared utterances without a reference, which are in no error rate.
        bootstrap_unit: The unit that was resampled: ``speaker``, ``recording`` or ``utterance``.
        normalizers: Number of utterances that each normalizer prepared.
        language_caveats: By system, a remark on utterances in languages that the model does not support.
        wer: The error rates.
        speed: The speeds; None if they cannot be compared.
        why_no_speed: The reason why speed cannot be compared; else empty.
        figures: Other normalizers, entities, suspect references.
        differences: The first system's words compared with each other system's.
        notes: Caveats, a sentence each.
        numpy: The version of numpy, which with the seed determines the resamples.
        asrlab: The version of asrlab.
    """

    headline: tuple[str, ...]
    systems: tuple[ComparedSystem, ...]
    utterances: int
    left_out: int
    unscored: int
    bootstrap_unit: str
    normalizers: tuple[tuple[str, int], ...]
    language_caveats: tuple[tuple[str, str], ...]
    wer: WerComparison
    speed: SpeedComparison | None
    why_no_speed: str
    figures: RunMetrics
    differences: tuple[WordDifferences, ...]
    notes: tuple[str, ...]
    numpy: str
    asrlab: str

    def to_json(self) -> str:
        """Return the comparison as a JSON object."""
        plain = attrs.asdict(self, filter=lambda field, _: field.name != "figures")
        systems = [_plain_system(system) for system in self.systems]
        plain |= {"systems": systems, "figures": self.figures.to_plain()}
        plain |= {"normalizers": dict(self.normalizers), "language_caveats": dict(self.language_caveats)}
        plain["wer"]["systems"] = {name: attrs.asdict(counts) for name, counts in self.wer.systems}
        if self.speed:
            plain["speed"]["systems"] = {name: {"rtfx": rtfx} for name, rtfx in self.speed.systems}
        return escape_json(json.dumps(plain, ensure_ascii=False, allow_nan=False, indent=2)) + "\n"


def compare(
    results: Sequence[BenchResult],
    *,
    normalizer: str | None = None,
    normalizers: Sequence[str] = (),
    bootstrap_unit: BootstrapUnit = "auto",
    resampling: Resampling | None = None,
    only_shared: bool = False,
    top_words: int = 20,
) -> Comparison:
    """Compare every model that loaded in one run or several.

    Args:
        results: Complete runs over the same utterances.
        normalizer: A profile's name (see `asrlab.evaluation.metrics.get_profile`), in its present version for all runs.
            None uses the runs' own profile if they agree, and else gives each utterance the profile of its language,
            ``english`` or ``basic``.
        normalizers: Profiles to score the same texts under, side by side.
        bootstrap_unit: The unit that is resampled. ``auto`` uses speakers if every utterance has a speaker, else
            recordings if every utterance has one, else utterances.
        resampling: Resampling of the bootstrap. None uses 10,000 resamples, seed 0 and 95 % confidence.
        only_shared: Compare the utterances that all runs share, if they do not all have the same.
        top_words: Number of word errors kept for each system.

    Raises:
        DatasetError: If a run is not complete, the runs' utterances differ, or no utterance has a reference.
        OptionError: If there are fewer than two systems, or an option has an invalid value.
    """
    options = ComparisonOptions(
        normalizer=normalizer,
        normalizers=normalizers,
        bootstrap_unit=bootstrap_unit,
        resampling=resampling,
        only_shared=only_shared,
        top_words=top_words,
    )
    return compare_runs(results, options)


def compare_runs(results: Sequence[BenchResult], options: ComparisonOptions) -> Comparison:
    """Compare runs as `compare` does."""
    systems, left_out = _select_systems(results, only_shared=options.only_shared)
    utterances = systems[0].utterances
    profile = get_profile(options.normalizer or common_normalizer(results, utterances))
    prepared = prepare_all(profile, systems)
    units = bootstrap_units(utterances, options.bootstrap_unit)
    wer = compare_wer(prepared, normalizer=profile.normalizer, blocks=units.by_id, resampling=options.resampling)
    speed, why_no_speed = compare_system_speed(systems, units=units, resampling=options.resampling)
    first, *others = prepared
    return Comparison(
        headline=tuple(_headline(systems, wer, speed, units.unit)),
        systems=tuple(_compared(system, dict(wer.systems)[system.name], prepared[system.name]) for system in systems),
        utterances=len(utterances),
        left_out=left_out,
        unscored=sum(utterance.reference is None for utterance in utterances),
        bootstrap_unit=units.unit,
        normalizers=profile.normalizers(prepared[first]),
        language_caveats=tuple((system.name, system.unsupported.remark) for system in systems if system.unsupported),
        wer=wer,
        speed=speed,
        why_no_speed=why_no_speed,
        figures=system_metrics(systems, profile=profile, prepared=prepared, normalizers=options.normalizers),
        differences=tuple(
            word_differences(
                {first: prepared[first], other: prepared[other]}, normalizer=profile.normalizer, top=options.top_words
            )
            for other in others
        ),
        notes=comparison_notes(results, systems, units=units, n_units=wer.blocks, left_out=left_out),
        numpy=installed_version("numpy") or "",
        asrlab=__version__,
    )


def _select_systems(results: Sequence[BenchResult], *, only_shared: bool) -> tuple[tuple[System, ...], int]:
    systems = loaded_systems(results)
    require_comparable(results, systems)
    return intersect_utterances(systems) if only_shared else (require_same_utterances(systems), 0)


def _compared(system: System, words: ErrorCounts, pairs: Sequence[TextPair]) -> ComparedSystem:
    failed = {utterance.id for utterance in system.utterances if utterance.transcript is None}
    n_failed_words = sum(len(pair.reference.split()) for pair in pairs if pair.id in failed)
    gates = Counter(gate.gate for utterance in system.utterances for gate in utterance.failed_gates)
    manifest = system.result.manifest
    return ComparedSystem(
        name=system.name,
        run=system.run,
        created=manifest.created,
        dataset=manifest.dataset.name,
        fingerprint=manifest.dataset.fingerprint,
        info=system.info,
        words=words,
        finished=attrs.evolve(words, deletions=words.deletions - n_failed_words),
        failed=len(failed),
        failed_gates=tuple(gates.items()),
        unstable=sum(not utterance.stable for utterance in system.utterances),
    )


def _plain_system(system: ComparedSystem) -> dict[str, Any]:
    rates = {"wer": system.words.rate, "finished_wer": system.finished.rate}
    return attrs.asdict(system) | rates | {"failed_gates": dict(system.failed_gates)}


def _headline(systems: Sequence[System], wer: WerComparison, speed: SpeedComparison | None, unit: str) -> Iterator[str]:
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
