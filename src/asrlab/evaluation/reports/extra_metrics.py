"""Metrics beyond the error rate: other normalizers, entities, and references that several systems contradict."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import attrs

from asrlab.evaluation.metrics import (
    EntityScore,
    Profile,
    Score,
    SuspectReport,
    TextPair,
    entity_errors,
    get_profile,
    score,
    suspect_references,
)
from asrlab.evaluation.reports.systems import (
    HasMetadata,
    System,
    independent_systems,
    is_english_utterance,
    loaded_systems,
    tried_by_all,
)
from asrlab.evaluation.runs.result import BenchResult

_MAX_MISSES_READ = 10_000
"""Largest number of missed entities read of each system. Each holds two short texts."""
_MAX_MISSES_KEPT = 20


class HasHypotheses(Protocol):
    """A system with hypotheses, such as `System`."""

    @property
    def name(self) -> str:
        """The system's name."""

    @property
    def utterances(self) -> Sequence[HasMetadata]:
        """The utterances, in the order that all systems share."""

    def pairs(self) -> tuple[TextPair, ...]:
        """Return references and hypotheses."""


@attrs.frozen(kw_only=True)
class NormalizerScores:
    """The errors of every system under one normalizer.

    Attributes:
        normalizer: The normalizer's name.
        normalizer_version: The normalizer's version.
        scores: The score of each system.
        order: The systems by WER, the lowest first; systems with equal WER in one group.
        order_changes: True if *order* differs from the order under the main normalizer.
    """

    normalizer: str
    normalizer_version: str
    scores: tuple[tuple[str, Score], ...]
    order: tuple[tuple[str, ...], ...]
    order_changes: bool


@attrs.frozen(kw_only=True)
class MissedEntity:
    """An entity of a reference that a system missed or got wrong.

    Attributes:
        id: The utterance's id.
        kind: ``number``, ``date``, ``money`` or ``name``.
        reference: The entity in the reference.
        instead: The text in its place, empty if there is none, for each system that missed the entity.
    """

    id: str
    kind: str
    reference: str
    instead: tuple[tuple[str, str], ...]


@attrs.frozen(kw_only=True)
class RunMetrics:
    """Metrics of texts beyond their error rate.

    Attributes:
        systems: The systems' names.
        normalizer: The main normalizer.
        normalizers: The scores under several normalizers, the main one first; empty if none were requested.
        entities: The entity errors of each system, over the utterances marked as English; empty without any.
        missed: At most 20 missed entities: those that most systems missed first, then in the utterances' order.
        suspects: References that two or more independent systems contradict alike; None without two such systems.
        notes: The metrics that are missing, and why, a sentence each.
    """

    systems: tuple[str, ...]
    normalizer: str
    normalizers: tuple[NormalizerScores, ...] = ()
    entities: tuple[tuple[str, EntityScore], ...] = ()
    missed: tuple[MissedEntity, ...] = ()
    suspects: SuspectReport | None = None
    notes: tuple[str, ...] = ()

    def to_plain(self) -> dict[str, Any]:
        """Return JSON values, with rates beside the counts."""
        return {
            "normalizer": self.normalizer,
            "normalizers": [_plain_scores(scores) for scores in self.normalizers],
            "entities": {name: _plain_entities(entities) for name, entities in self.entities},
            "missed_entities": [attrs.asdict(missed) | {"instead": dict(missed.instead)} for missed in self.missed],
            "suspect_references": _plain_suspects(self.suspects) if self.suspects else None,
            "notes": list(self.notes),
        }


def run_metrics(result: BenchResult, *, normalizers: Sequence[str]) -> RunMetrics:
    """Return the metrics of one run, complete or not, over the utterances that every model has tried.

    Args:
        result: The run.
        normalizers: Profiles (see `asrlab.evaluation.metrics.get_profile`) to score the same texts under.

    Raises:
        OptionError: If a profile is unknown.
    """
    systems = tried_by_all([system for system in loaded_systems([result]) if system.utterances])
    profile = get_profile(result.manifest.normalizer)
    prepared = prepare_all(profile, systems)
    return system_metrics(systems, profile=profile, prepared=prepared, normalizers=normalizers)


def system_metrics(
    systems: Sequence[System],
    *,
    profile: Profile,
    prepared: Mapping[str, Sequence[TextPair]],
    normalizers: Sequence[str],
) -> RunMetrics:
    """Return the metrics of one or more systems over the same utterances.

    Args:
        systems: The systems.
        profile: The main normalizer.
        prepared: The pairs of each system as *profile* prepares them.
        normalizers: See `run_metrics`.

    Raises:
        OptionError: If a profile is unknown.
    """
    metrics = hypothesis_metrics(systems, profile=profile, prepared=prepared, normalizers=normalizers)
    suspects, note = _suspects(systems, profile, prepared)
    return attrs.evolve(metrics, suspects=suspects, notes=(*metrics.notes, *([note] if note else [])))


def hypothesis_metrics(
    systems: Sequence[HasHypotheses],
    *,
    profile: Profile,
    prepared: Mapping[str, Sequence[TextPair]],
    normalizers: Sequence[str],
) -> RunMetrics:
    """Return the metrics of texts from unknown weights, so without suspect references; see `system_metrics`."""
    entities, missed, note = _entities(systems)
    return RunMetrics(
        systems=tuple(prepared),
        normalizer=profile.name,
        normalizers=_score_normalizers(systems, profile, prepared, normalizers),
        entities=entities,
        missed=missed,
        notes=(note,) if note else (),
    )


def prepare_all(profile: Profile, systems: Sequence[HasHypotheses]) -> dict[str, tuple[TextPair, ...]]:
    """Prepare the pairs of every system with *profile*.

    The systems have the same utterances in the same order, and are prepared side by side so that *profile* caches what
    they share.
    """
    rows = zip(*(profile.prepare(system.pairs()) for system in systems), strict=True)
    columns = tuple(zip(*rows, strict=True)) or ((),) * len(systems)
    return {system.name: tuple(column) for system, column in zip(systems, columns, strict=True)}


def _rank_systems(errors: Mapping[str, int]) -> tuple[tuple[str, ...], ...]:
    """Group systems with equal errors, the fewest errors first."""
    groups: dict[int, list[str]] = defaultdict(list)
    for name, number in errors.items():
        groups[number].append(name)
    return tuple(tuple(groups[number]) for number in sorted(groups))


def _score_normalizers(
    systems: Sequence[HasHypotheses], profile: Profile, prepared: Mapping[str, Sequence[TextPair]], names: Sequence[str]
) -> tuple[NormalizerScores, ...]:
    if not names:
        return ()
    profiles = [profile, *(get_profile(name) for name in dict.fromkeys(names) if name != profile.name)]
    rows: list[NormalizerScores] = []
    for each in profiles:
        pairs = prepared if each is profile else prepare_all(each, systems)
        scores = {
            name: attrs.evolve(score(texts, normalizer=each.normalizer), normalizers=each.normalizers(texts))
            for name, texts in pairs.items()
        }
        order = _rank_systems({name: result.words.errors for name, result in scores.items()})
        rows.append(
            NormalizerScores(
                normalizer=each.name,
                normalizer_version=each.version,
                scores=tuple(scores.items()),
                order=order,
                order_changes=bool(rows) and order != rows[0].order,
            )
        )
    return tuple(rows)


def _entities(
    systems: Sequence[HasHypotheses],
) -> tuple[tuple[tuple[str, EntityScore], ...], tuple[MissedEntity, ...], str]:
    """Return each system's entity errors, the most missed entities, and a note on utterances that were left out."""
    if not systems:
        return (), (), ""
    ids = [utterance.id for utterance in systems[0].utterances]
    english = {utterance.id for utterance in systems[0].utterances if is_english_utterance(utterance)}
    n_others = len(ids) - len(english)
    if not english:
        note = "entities were not counted: the rules are for English, and no utterance is marked as English (language)"
        return (), (), note
    scores = {
        system.name: entity_errors((pair for pair in system.pairs() if pair.id in english), misses=_MAX_MISSES_READ)
        for system in systems
    }
    note = (
        f"entities: over the {len(english)} utterances marked as English; {n_others} others were left out"
        if n_others
        else ""
    )
    kept = {name: attrs.evolve(each, misses=each.misses[:_MAX_MISSES_KEPT]) for name, each in scores.items()}
    return tuple(kept.items()), _most_missed(scores, ids), note


def _most_missed(scores: Mapping[str, EntityScore], ids: Sequence[str]) -> tuple[MissedEntity, ...]:
    instead: dict[tuple[str, str, str], dict[str, str]] = defaultdict(dict)
    for name, entities in scores.items():
        for miss in entities.misses:
            instead[miss.id, miss.kind, miss.reference][name] = miss.hypothesis
    index = {key: number for number, key in enumerate(ids)}
    ordered = sorted(instead.items(), key=lambda item: (-len(item[1]), index[item[0][0]]))
    return tuple(
        MissedEntity(id=key, kind=kind, reference=reference, instead=tuple(texts.items()))
        for (key, kind, reference), texts in ordered[:_MAX_MISSES_KEPT]
    )


def _suspects(
    systems: Sequence[System], profile: Profile, prepared: Mapping[str, Sequence[TextPair]]
) -> tuple[SuspectReport | None, str]:
    if len(systems) < 2:  # a single system needs no note
        return None, ""
    keys = independent_systems(system for system in systems if not system.has_random_weights)
    if len(set(keys.values())) < 2:
        return None, "no search for suspect references: it needs two models of different weights that are not random"
    pairs = {name: prepared[name] for name in keys}
    return suspect_references(pairs, normalizer=profile.normalizer, shared=keys), ""


def _plain_scores(scores: NormalizerScores) -> dict[str, Any]:
    systems = {name: {"wer": result.wer, "cer": result.cer, **attrs.asdict(result)} for name, result in scores.scores}
    return attrs.asdict(scores, recurse=False) | {"scores": systems}


def _plain_entities(entities: EntityScore) -> dict[str, Any]:
    return {"rate": entities.rate, "total": attrs.asdict(entities.total), **attrs.asdict(entities)}


def _plain_suspects(report: SuspectReport) -> dict[str, Any]:
    systems = [
        {
            "system": each.system,
            "wer": each.words.rate,
            "wer_without": each.without.rate,
            "words": attrs.asdict(each.words),
            "without": attrs.asdict(each.without),
        }
        for each in report.systems
    ]
    return attrs.asdict(report) | {"systems": systems}
