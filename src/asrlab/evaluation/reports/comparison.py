"""Runs against each other, on the same utterances."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
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
    TextPair,
    WerComparison,
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
from asrlab.evaluation.reports.headline import headline
from asrlab.evaluation.reports.speed import compare_system_speed
from asrlab.evaluation.reports.systems import BootstrapUnit, System, bootstrap_units, common_normalizer, loaded_systems
from asrlab.evaluation.runs.result import BenchResult


@attrs.frozen(kw_only=True)
class ComparedSystem:
    """One model of one run, over the utterances compared.

    Attributes:
        name: What the comparison calls it.
        run: The run's name.
        created: When the run began; UTC, ISO 8601.
        dataset: The name of the run's data set.
        fingerprint: Of the run's data set, as in its manifest.
        info: The facts of the loaded model.
        words: Its errors; a failed utterance counts as deletions.
        finished: The same without the utterances that failed.
        failed: How many utterances have no transcript.
        failed_gates: The gates that found something, and in how many utterances.
        unstable: How many utterances gave another text when they were repeated.
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
    """Systems over the same utterances: who makes fewer errors, who takes less time, and where they differ.

    Attributes:
        headline: What it comes to, a sentence or two.
        systems: In the order given; the first is the baseline of the others.
        utterances: How many are compared.
        left_out: How many are not in all runs, and are left out.
        unscored: How many of those compared have no reference, and are in no error rate.
        bootstrap_unit: What was drawn together: ``speaker``, ``recording`` or ``utterance``.
        normalizers: How many utterances each normalizer prepared.
        language_caveats: By system the utterances that it was not made for, in a few words.
        wer: The error rates.
        speed: None where speed cannot be compared.
        why_no_speed: Why it cannot; empty where it can.
        figures: Other normalizers, entities, references that systems doubt.
        differences: Word by word, the first system with each other one.
        notes: What a reader has to know, a sentence each.
        numpy: The version that drew the resamples; the same seed gives the same figures only with the same one.
        asrlab: The version that compared.
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
        """Everything, as one JSON object."""
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
        results: Runs that are complete and over the same utterances.
        normalizer: A profile's name (see `asrlab.evaluation.metrics.get_profile`), in its present version for all runs; None
            takes the runs' own where they agree, and else gives each utterance that of its language, ``english`` or
            ``basic``.
        normalizers: Profiles to set the same texts side by side under.
        bootstrap_unit: What is drawn together. ``auto`` takes speakers if every utterance has one, else recordings likewise, else
            each utterance by itself.
        resampling: 10,000 resamples, seed 0 and 95 % where not given.
        only_shared: Compare the utterances that all runs share, where they are not over the same ones.
        top_words: How many word-level mistakes of each system are kept.

    Raises:
        DatasetError: A run is not complete, or they are not over the same utterances, or no utterance has a reference.
        OptionError: There are fewer than two systems, or an option has a value that it cannot have.
    """
    systems, left_out = _same(results, shared_only=only_shared)
    utterances = systems[0].utterances
    profile = get_profile(normalizer or common_normalizer(results, utterances))
    prepared = prepare_all(profile, systems)
    units = bootstrap_units(utterances, bootstrap_unit)
    wer = compare_wer(prepared, normalizer=profile.normalizer, blocks=units.by_id, resampling=resampling)
    speed, why_no_speed = compare_system_speed(systems, blocks=units.by_id, resampling=resampling)
    first, *others = prepared
    return Comparison(
        headline=headline(systems, wer, speed, bootstrap_unit=units.unit),
        systems=tuple(_compared(system, dict(wer.systems)[system.name], prepared[system.name]) for system in systems),
        utterances=len(utterances),
        left_out=left_out,
        unscored=sum(utterance.reference is None for utterance in utterances),
        bootstrap_unit=units.unit,
        normalizers=profile.normalizers(prepared[first]),
        language_caveats=tuple((system.name, system.unfit.remark) for system in systems if system.unfit),
        wer=wer,
        speed=speed,
        why_no_speed=why_no_speed,
        figures=system_metrics(systems, profile=profile, prepared=prepared, normalizers=normalizers),
        differences=tuple(
            word_differences(
                {first: prepared[first], other: prepared[other]}, normalizer=profile.normalizer, top=top_words
            )
            for other in others
        ),
        notes=comparison_notes(results, systems, units=units, drawn=wer.blocks, left_out=left_out),
        numpy=installed_version("numpy") or "",
        asrlab=__version__,
    )


def _same(results: Sequence[BenchResult], *, shared_only: bool) -> tuple[tuple[System, ...], int]:
    systems = loaded_systems(results)
    require_comparable(results, systems)
    return intersect_utterances(systems) if shared_only else (require_same_utterances(systems), 0)


def _compared(system: System, words: ErrorCounts, pairs: Sequence[TextPair]) -> ComparedSystem:
    failed = {utterance.id for utterance in system.utterances if utterance.transcript is None}
    lost = sum(len(pair.reference.split()) for pair in pairs if pair.id in failed)
    gates = Counter(verdict.gate for utterance in system.utterances for verdict in utterance.failed_gates)
    manifest = system.result.manifest
    return ComparedSystem(
        name=system.name,
        run=system.run,
        created=manifest.created,
        dataset=manifest.dataset.name,
        fingerprint=manifest.dataset.fingerprint,
        info=system.info,
        words=words,
        finished=attrs.evolve(words, deletions=words.deletions - lost),
        failed=len(failed),
        failed_gates=tuple(gates.items()),
        unstable=sum(not utterance.stable for utterance in system.utterances),
    )


def _plain_system(system: ComparedSystem) -> dict[str, Any]:
    rates = {"wer": system.words.rate, "finished_wer": system.finished.rate}
    return attrs.asdict(system) | rates | {"failed_gates": dict(system.failed_gates)}
