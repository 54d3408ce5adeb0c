"""Comparison of the models of one run or several on the same utterances."""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Sequence
from itertools import combinations
from statistics import median
from typing import Any, ClassVar

import attrs

from asrlab._version import __version__
from asrlab.control_characters import escape_json
from asrlab.engine.contract import TranscriberInfo
from asrlab.environment import installed_version
from asrlab.errors import DatasetError, OptionError
from asrlab.evaluation.metrics import (
    ErrorCounts,
    Resampling,
    SpeedComparison,
    SpeedRatio,
    TextPair,
    UtteranceTime,
    WerComparison,
    WerDifference,
    WordDifferences,
    compare_speed,
    compare_wer,
    word_differences,
)
from asrlab.evaluation.reports.extra_metrics import RunMetrics, system_metrics
from asrlab.evaluation.reports.formatting import format_error_rate, format_rtfx
from asrlab.evaluation.reports.scored_system import pass_seconds
from asrlab.evaluation.reports.sentences import TOO_FEW, comparison_notes, headline, why_no_speed, why_no_speed_verdict
from asrlab.evaluation.reports.systems import (
    BootstrapUnit,
    ComparisonOptions,
    PreparedSystems,
    System,
    loaded_systems,
    prepare_systems,
    share_utterances,
)
from asrlab.evaluation.runs.result import BenchResult, UtteranceResult
from asrlab.result_display import HtmlTable, Tabular


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


@attrs.frozen(kw_only=True, repr=False)
class Comparison(Tabular):
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
    _COLUMNS: ClassVar[tuple[str, ...]] = (
        *("model", "run", "dataset", "device", "compute_type", "words", "errors", "wer", "failed", "finished_wer"),
        *("rtfx", "compared_with"),
        *(
            f"{figure}{part}"
            for figure in ("wer_difference", "rtfx_ratio")
            for part in ("", "_low", "_high", "_p_adjusted", "_verdict")
        ),
    )

    def to_dicts(self) -> list[dict[str, Any]]:
        """Return one row a model, compared with the first model, whose own differences are None."""
        speeds = dict(self.speed.systems) if self.speed else {}
        return [
            dict.fromkeys(self._COLUMNS)
            | {
                "model": system.name,
                "run": system.run,
                "dataset": system.dataset,
                "device": str(system.info.device),
                "compute_type": system.info.compute_type,
                "words": system.words.reference_length,
                "errors": system.words.errors,
                "wer": system.words.rate,
                "failed": system.failed,
                "finished_wer": system.finished.rate,
                "rtfx": speeds.get(system.name),
            }
            | self._against_baseline(system.name)
            for system in self.systems
        ]

    def _against_baseline(self, name: str) -> dict[str, Any]:
        """Return the figures of the differences from the first model; intervals and tests of too few units are None."""
        row: dict[str, Any] = {}
        pairs: list[WerDifference | SpeedRatio] = [*self.wer.differences, *(self.speed.ratios if self.speed else ())]
        for pair in pairs:
            if (pair.baseline, pair.candidate) == (self.systems[0].name, name):
                if isinstance(pair, WerDifference):
                    figure, value = "wer_difference", pair.difference
                else:
                    figure, value = "rtfx_ratio", pair.ratio
                row |= {"compared_with": pair.baseline, figure: value, f"{figure}_verdict": pair.verdict}
                if pair.verdict != TOO_FEW:
                    row |= {f"{figure}_low": pair.interval.low, f"{figure}_high": pair.interval.high}
                    row[f"{figure}_p_adjusted"] = pair.p_adjusted
        return row

    def _summary(self) -> str:
        names = ", ".join(system.name for system in self.systems)
        return f"of {names} over {self.utterances} utterances: {' '.join(self.headline)}"

    def _html_table(self) -> HtmlTable:
        columns = ("model", "WER (errors/words)", "failed", "RTFx", "WER: verdict", "RTFx: verdict")
        rows = [
            (
                *(
                    row["model"],
                    format_error_rate(row["errors"], row["words"]),
                    row["failed"],
                    format_rtfx(row["rtfx"]),
                ),
                *(row["wer_difference_verdict"] or "", row["rtfx_ratio_verdict"] or ""),
            )
            for row in self.to_dicts()
        ]
        return HtmlTable(caption=(*self.headline, *self.notes), columns=columns, rows=rows)

    def to_dict(self) -> dict[str, Any]:
        """Return the content of `to_json` as JSON values, for a web framework or a database."""
        content: dict[str, Any] = json.loads(self.to_json())
        return content

    def to_json(self) -> str:
        """Return the comparison as a JSON object."""
        plain = attrs.asdict(self, filter=lambda field, _: field.name != "figures")
        plain |= {
            "systems": [
                attrs.asdict(system)
                | {"wer": system.words.rate, "finished_wer": system.finished.rate}
                | {"failed_gates": dict(system.failed_gates)}
                for system in self.systems
            ],
            "figures": self.figures.to_plain(),
            "normalizers": dict(self.normalizers),
            "language_caveats": dict(self.language_caveats),
        }
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
    systems = loaded_systems(results)
    _require_comparable(results, systems)
    systems, left_out = share_utterances(systems, only_shared=options.only_shared)
    prepared = prepare_systems(results, systems, options)
    texts, units, normalizer = prepared.texts, prepared.units, prepared.profile.normalizer
    wer = compare_wer(texts, normalizer=normalizer, blocks=units.by_id, resampling=options.resampling)
    speed, no_speed = _compare_speed(prepared)
    first, *others = texts
    words = dict(wer.systems)
    return Comparison(
        headline=tuple(headline(systems, wer, speed, units.unit)),
        systems=tuple(_compared(system, words[system.name], texts[system.name]) for system in systems),
        utterances=len(prepared.utterances),
        left_out=left_out,
        unscored=sum(utterance.reference is None for utterance in prepared.utterances),
        bootstrap_unit=units.unit,
        normalizers=prepared.profile.normalizers(texts[first]),
        language_caveats=tuple((system.name, system.unsupported.remark) for system in systems if system.unsupported),
        wer=wer,
        speed=speed,
        why_no_speed=no_speed,
        figures=system_metrics(prepared, normalizers=options.normalizers),
        differences=tuple(
            word_differences({first: texts[first], other: texts[other]}, normalizer=normalizer, top=options.top_words)
            for other in others
        ),
        notes=tuple(comparison_notes(results, systems, units=units, n_units=wer.blocks, left_out=left_out)),
        numpy=installed_version("numpy") or "",
        asrlab=__version__,
    )


def _require_comparable(results: Sequence[BenchResult], systems: Sequence[System]) -> None:
    for result in results:
        if not result.complete:
            raise DatasetError(
                f"the run {result.manifest.run} is not complete, so its figures may change; resume it with: "
                f"asrlab resume {result.run}"
            )
    if len(systems) < 2:
        broken = [f"{model.model} did not load" for result in results for model in result.models if model.failure]
        present = ", ".join([*(system.name for system in systems), *broken]) or "no model"
        raise OptionError(
            f"nothing to compare, only {present}; give a second run over the same data set, or a run of two models "
            "(asrlab bench DATASET -m MODEL -m MODEL)",
            option="runs",
        )


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


def _compare_speed(prepared: PreparedSystems) -> tuple[SpeedComparison | None, str]:
    """Return the speeds over the utterances that every system transcribed, or None and why they cannot be compared.

    If all systems have the same number of passes, each pass counts; else each utterance has the median of its times.
    """
    systems = prepared.systems
    if reason := why_no_speed(systems):
        return None, reason
    counts = {1 + max((len(utterance.repeats) for utterance in system.utterances), default=0) for system in systems}
    n_passes = counts.pop() if len(counts) == 1 else None
    rows = (
        [_utterance_time(utterance, n_passes) for utterance in row]
        for row in zip(*(system.utterances for system in systems), strict=True)
    )
    complete = [[time for time in row if time] for row in rows if all(row)]
    if not complete:
        return None, "no utterance was transcribed by all of them"
    times = {system.name: column for system, column in zip(systems, zip(*complete, strict=True), strict=True)}
    reasons = {
        (first.name, other.name): why_no_speed_verdict(first, other) for first, other in combinations(systems, 2)
    }
    try:
        return compare_speed(times, blocks=prepared.units.by_id, resampling=prepared.resampling, reasons=reasons), ""
    except DatasetError as error:
        return None, error.message


def _utterance_time(utterance: UtteranceResult, n_passes: int | None) -> UtteranceTime | None:
    """Return the times of *utterance*, or their median if *n_passes* is None; None if a time is missing."""
    if utterance.transcript is None:
        return None
    seconds, duration = pass_seconds(utterance), utterance.transcript.duration
    if n_passes is None:
        seconds = [median(seconds)]
    is_measured = all(math.isfinite(value) and value > 0 for value in (*seconds, duration))
    if not is_measured or len(seconds) != (n_passes or 1):
        return None
    return UtteranceTime(id=utterance.id, duration=duration, seconds=seconds)
