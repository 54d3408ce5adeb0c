"""The further figures of a run: other normalizers, entities, and references that engines doubt."""

from __future__ import annotations

from collections import Counter, defaultdict
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
)
from asrlab.evaluation.runs.result import BenchResult

_MISSES_READ = 10_000  # of one system; each holds two short texts
_MISSES_KEPT = 20


class HasHypotheses(Protocol):
    """What a system wrote; `System` is one."""

    @property
    def name(self) -> str:
        """What it is called."""

    @property
    def utterances(self) -> Sequence[HasMetadata]:
        """The utterances, in the order that all systems share."""

    def pairs(self) -> tuple[TextPair, ...]:
        """References and hypotheses."""


@attrs.frozen(kw_only=True)
class NormalizerScores:
    """Every system's errors under one normalizer.

    Attributes:
        normalizer: Its name.
        normalizer_version: What it was, with its version.
        scores: By system.
        order: The systems by their WER, the lowest first; those with the same one together.
        order_changes: Whether *order* is another one than under the figures' own normalizer.
    """

    normalizer: str
    normalizer_version: str
    scores: tuple[tuple[str, Score], ...]
    order: tuple[tuple[str, ...], ...]
    order_changes: bool


@attrs.frozen(kw_only=True)
class MissedEntity:
    """An entity of a reference that was not written as said.

    Attributes:
        id: The utterance's id.
        kind: ``number``, ``date``, ``money`` or ``name``.
        reference: The entity as the reference writes it.
        instead: By system what stands in its place, empty if nothing does; only those that missed it.
    """

    id: str
    kind: str
    reference: str
    instead: tuple[tuple[str, str], ...]


@attrs.frozen(kw_only=True)
class RunMetrics:
    """What can be said of texts beyond their error rate.

    Attributes:
        systems: Their names.
        normalizer: The figures' own normalizer.
        normalizers: The same texts under several, the figures' own first; empty where none were asked for.
        entities: By system, over the utterances that are said to be English; empty where none are.
        missed: Those that most systems missed first, then in the order of the utterances; at most 20.
        suspects: References that two witnesses or more contradict alike; None where there are not two.
        notes: What is not there and why, a sentence each.
    """

    systems: tuple[str, ...]
    normalizer: str
    normalizers: tuple[NormalizerScores, ...] = ()
    entities: tuple[tuple[str, EntityScore], ...] = ()
    missed: tuple[MissedEntity, ...] = ()
    suspects: SuspectReport | None = None
    notes: tuple[str, ...] = ()

    def to_plain(self) -> dict[str, Any]:
        """As JSON values, the rates beside the counts."""
        return {
            "normalizer": self.normalizer,
            "normalizers": [_plain_scores(each) for each in self.normalizers],
            "entities": {name: _plain_entities(each) for name, each in self.entities},
            "missed_entities": [attrs.asdict(missed) | {"instead": dict(missed.instead)} for missed in self.missed],
            "suspect_references": _plain_suspects(self.suspects) if self.suspects else None,
            "notes": list(self.notes),
        }


def run_metrics(result: BenchResult, *, normalizers: Sequence[str]) -> RunMetrics:
    """The figures of one run, over the utterances that every model has tried.

    Args:
        result: Complete or not.
        normalizers: Names of profiles (see `asrlab.evaluation.metrics.get_profile`) to score the same texts under.

    Raises:
        OptionError: There is no profile of such a name.
    """
    systems = [system for system in loaded_systems([result]) if system.utterances]
    tried = Counter(utterance.id for system in systems for utterance in system.utterances)
    same = [
        attrs.evolve(system, utterances=tuple(each for each in system.utterances if tried[each.id] == len(systems)))
        for system in systems
    ]
    profile = get_profile(result.manifest.normalizer)
    prepared = prepare_all(profile, same)
    return system_metrics(same, profile=profile, prepared=prepared, normalizers=normalizers)


def system_metrics(
    systems: Sequence[System],
    *,
    profile: Profile,
    prepared: Mapping[str, Sequence[TextPair]],
    normalizers: Sequence[str],
) -> RunMetrics:
    """The figures of systems over the same utterances.

    Args:
        systems: One or more.
        profile: The figures' own normalizer.
        prepared: By system the pairs that came out of *profile*.
        normalizers: See `run_metrics`.

    Raises:
        OptionError: There is no profile of such a name.
    """
    entities, missed, entities_note = _entities(systems)
    suspects, suspects_note = _suspects(systems, profile, prepared)
    return RunMetrics(
        systems=tuple(prepared),
        normalizer=profile.name,
        normalizers=_normalizers(systems, profile, prepared, normalizers),
        entities=entities,
        missed=missed,
        suspects=suspects,
        notes=tuple(filter(None, (entities_note, suspects_note))),
    )


def hypothesis_metrics(
    systems: Sequence[HasHypotheses],
    *,
    profile: Profile,
    prepared: Mapping[str, Sequence[TextPair]],
    normalizers: Sequence[str],
) -> RunMetrics:
    """The figures of texts alone, of which nobody knows what weights they come from: no references are doubted.

    Args:
        systems: See `system_metrics`.
        profile: See `system_metrics`.
        prepared: See `system_metrics`.
        normalizers: See `run_metrics`.

    Raises:
        OptionError: There is no profile of such a name.
    """
    entities, missed, note = _entities(systems)
    return RunMetrics(
        systems=tuple(prepared),
        normalizer=profile.name,
        normalizers=_normalizers(systems, profile, prepared, normalizers),
        entities=entities,
        missed=missed,
        notes=(note,) if note else (),
    )


def prepare_all(profile: Profile, systems: Sequence[HasHypotheses]) -> dict[str, tuple[TextPair, ...]]:
    """By system the pairs that come out of *profile*, made side by side, so that it keeps what they share at hand.

    Args:
        profile: What brings the texts into one spelling.
        systems: Over the same utterances in the same order.
    """
    rows = zip(*(profile.prepare(system.pairs()) for system in systems), strict=True)
    columns = tuple(zip(*rows, strict=True)) or ((),) * len(systems)
    return {system.name: tuple(column) for system, column in zip(systems, columns, strict=True)}


def rank_systems(errors: Mapping[str, int]) -> tuple[tuple[str, ...], ...]:
    """Systems by their number of errors, the lowest first; those with the same number together."""
    together: dict[int, list[str]] = defaultdict(list)
    for name, number in errors.items():
        together[number].append(name)
    return tuple(tuple(together[number]) for number in sorted(together))


def _normalizers(
    systems: Sequence[HasHypotheses], profile: Profile, prepared: Mapping[str, Sequence[TextPair]], names: Sequence[str]
) -> tuple[NormalizerScores, ...]:
    if not names:
        return ()
    chosen = [profile, *(get_profile(name) for name in dict.fromkeys(names) if name != profile.name)]
    found: list[NormalizerScores] = []
    for each in chosen:
        ready = prepared if each is profile else prepare_all(each, systems)
        scores = {
            name: attrs.evolve(score(texts, normalizer=each.normalizer), normalizers=each.normalizers(texts))
            for name, texts in ready.items()
        }
        order = rank_systems({name: counted.words.errors for name, counted in scores.items()})
        found.append(
            NormalizerScores(
                normalizer=each.name,
                normalizer_version=each.version,
                scores=tuple(scores.items()),
                order=order,
                order_changes=bool(found) and order != found[0].order,
            )
        )
    return tuple(found)


def _entities(
    systems: Sequence[HasHypotheses],
) -> tuple[tuple[tuple[str, EntityScore], ...], tuple[MissedEntity, ...], str]:
    """Each system's entities, the worst misses, and a note on what was not read."""
    if not systems:
        return (), (), ""
    said = {utterance.id for utterance in systems[0].utterances if is_english_utterance(utterance)}
    others = len(systems[0].utterances) - len(said)
    if not said:
        note = "no entities were counted: the rules are English, and no utterance is said to be (language)"
        return (), (), note
    scores = {
        system.name: entity_errors((pair for pair in system.pairs() if pair.id in said), misses=_MISSES_READ)
        for system in systems
    }
    note = (
        f"entities: over the {len(said)} utterances that are English; {others} others were left out" if others else ""
    )
    kept = tuple((name, attrs.evolve(each, misses=each.misses[:_MISSES_KEPT])) for name, each in scores.items())
    return kept, _worst(scores, [utterance.id for utterance in systems[0].utterances]), note


def _worst(scores: Mapping[str, EntityScore], ids: Sequence[str]) -> tuple[MissedEntity, ...]:
    instead: dict[tuple[str, str, str], dict[str, str]] = defaultdict(dict)
    for name, counted in scores.items():
        for miss in counted.misses:
            instead[miss.id, miss.kind, miss.reference][name] = miss.hypothesis
    place = {key: number for number, key in enumerate(ids)}
    ordered = sorted(instead.items(), key=lambda item: (-len(item[1]), place[item[0][0]]))
    return tuple(
        MissedEntity(id=key, kind=kind, reference=reference, instead=tuple(texts.items()))
        for (key, kind, reference), texts in ordered[:_MISSES_KEPT]
    )


def _suspects(
    systems: Sequence[System], profile: Profile, prepared: Mapping[str, Sequence[TextPair]]
) -> tuple[SuspectReport | None, str]:
    if len(systems) < 2:  # nobody expects it of one
        return None, ""
    shared = independent_systems(system for system in systems if not system.random)
    if len(set(shared.values())) < 2:
        return (
            None,
            "suspect references were not looked for: it takes two models of different weights that are not random",
        )
    pairs = {name: prepared[name] for name in shared}
    return suspect_references(pairs, normalizer=profile.normalizer, shared=shared), ""


def _plain_scores(scores: NormalizerScores) -> dict[str, Any]:
    systems = {name: {"wer": each.wer, "cer": each.cer, **attrs.asdict(each)} for name, each in scores.scores}
    return attrs.asdict(scores, recurse=False) | {"scores": systems}


def _plain_entities(counted: EntityScore) -> dict[str, Any]:
    return {"rate": counted.rate, "total": attrs.asdict(counted.total), **attrs.asdict(counted)}


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
