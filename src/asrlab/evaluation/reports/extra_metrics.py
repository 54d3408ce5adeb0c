"""Metrics beyond the error rate: other normalizers, entities, and references that several systems contradict."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby
from typing import Any

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
    ComparisonOptions,
    PreparedSystems,
    System,
    Utterance,
    loaded_systems,
    prepare_all,
    prepare_systems,
    tried_by_all,
)
from asrlab.evaluation.runs.result import BenchResult
from asrlab.languages import is_english

_MAX_MISSES_READ = 10_000
"""Largest number of missed entities read of each system. Each holds two short texts."""
_MAX_MISSES_KEPT = 20


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
            "normalizers": [
                attrs.asdict(row, recurse=False)
                | {
                    "scores": {
                        name: {"wer": each.wer, "cer": each.cer, **attrs.asdict(each)} for name, each in row.scores
                    }
                }
                for row in self.normalizers
            ],
            "entities": {
                name: {"rate": score.rate, "total": attrs.asdict(score.total), **attrs.asdict(score)}
                for name, score in self.entities
            },
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
    return system_metrics(prepare_systems([result], systems, ComparisonOptions()), normalizers=normalizers)


def system_metrics(prepared: PreparedSystems, *, normalizers: Sequence[str]) -> RunMetrics:
    """Return the metrics of one or more systems over the same utterances; *normalizers* as for `run_metrics`."""
    metrics = hypothesis_metrics(
        {system.name: system.pairs() for system in prepared.systems},
        prepared.utterances,
        profile=prepared.profile,
        prepared=prepared.texts,
        normalizers=normalizers,
    )
    if len(prepared.systems) < 2:  # a single system needs no note
        return metrics
    keys = _independent_systems([system for system in prepared.systems if not system.has_random_weights])
    if len(set(keys.values())) < 2:
        note = "no search for suspect references: it needs two models of different weights that are not random"
        return attrs.evolve(metrics, notes=(*metrics.notes, note))
    texts = {name: prepared.texts[name] for name in keys}
    return attrs.evolve(
        metrics, suspects=suspect_references(texts, normalizer=prepared.profile.normalizer, shared=keys)
    )


def _independent_systems(systems: Sequence[System]) -> dict[str, str]:
    """Return a key by system that is equal for systems with the same weights, so that these count once.

    Weights are the same if their checksums are, or if two engines name the model alike: each engine's file of Whisper's
    base weights has its own checksum, but makes the same mistakes.
    """
    keys: dict[str, str] = {}
    key_by_mark: dict[str, str] = {}
    for system in systems:
        model = system.info.model
        marks = [f"model {model.name.partition('/')[2]}", *([model.weights_sha256] if model.weights_sha256 else [])]
        key = next((key_by_mark[mark] for mark in marks if mark in key_by_mark), system.name)
        key_by_mark |= dict.fromkeys(marks, key)
        keys[system.name] = key
    return keys


def hypothesis_metrics(
    texts: Mapping[str, Sequence[TextPair]],
    utterances: Sequence[Utterance],
    *,
    profile: Profile,
    prepared: Mapping[str, Sequence[TextPair]],
    normalizers: Sequence[str],
) -> RunMetrics:
    """Return the metrics of texts from unknown weights, so without suspect references.

    Args:
        texts: The pairs of each system.
        utterances: The utterances, in the order that all systems share.
        profile: The main normalizer, which made *prepared* of *texts*.
        prepared: The prepared pairs of each system.
        normalizers: See `run_metrics`.
    """
    metrics = RunMetrics(
        systems=tuple(prepared),
        normalizer=profile.name,
        normalizers=tuple(_score_normalizers(texts, profile, prepared, normalizers)),
    )
    english = {utterance.id for utterance in utterances if is_english(utterance.language)}
    if not texts:
        return metrics
    if not english:
        note = "entities were not counted: the rules are for English, and no utterance is marked as English (language)"
        return attrs.evolve(metrics, notes=(note,))
    scores = {
        name: entity_errors((pair for pair in pairs if pair.id in english), misses=_MAX_MISSES_READ)
        for name, pairs in texts.items()
    }
    n_others = len(utterances) - len(english)
    note = f"entities: over the {len(english)} utterances marked as English; {n_others} others were left out"
    return attrs.evolve(
        metrics,
        entities=tuple(
            (name, attrs.evolve(score, misses=score.misses[:_MAX_MISSES_KEPT])) for name, score in scores.items()
        ),
        missed=_most_missed(scores, [utterance.id for utterance in utterances]),
        notes=(note,) if n_others else (),
    )


def _score_normalizers(
    texts: Mapping[str, Sequence[TextPair]],
    profile: Profile,
    prepared: Mapping[str, Sequence[TextPair]],
    names: Sequence[str],
) -> Iterator[NormalizerScores]:
    main_order = None
    profiles = [profile, *(get_profile(name) for name in dict.fromkeys(names) if name != profile.name)] if names else []
    for each in profiles:
        scores = {
            name: attrs.evolve(score(pairs, normalizer=each.normalizer), normalizers=each.normalizers(pairs))
            for name, pairs in (prepared if each is profile else prepare_all(each, texts)).items()
        }
        ranked = sorted(scores, key=lambda name: scores[name].words.errors)
        order = tuple(tuple(group) for _, group in groupby(ranked, key=lambda name: scores[name].words.errors))
        main_order = main_order or order
        yield NormalizerScores(
            normalizer=each.name,
            normalizer_version=each.version,
            scores=tuple(scores.items()),
            order=order,
            order_changes=order != main_order,
        )


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


def _plain_suspects(report: SuspectReport) -> dict[str, Any]:
    systems = [
        {"system": each.system, "wer": each.words.rate, "wer_without": each.without.rate, **attrs.asdict(each)}
        for each in report.systems
    ]
    return attrs.asdict(report) | {"systems": systems}
