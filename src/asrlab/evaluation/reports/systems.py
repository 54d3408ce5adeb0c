"""The systems of runs: each model that loaded in each run, and the options and units of their comparison."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property
from typing import Literal, Protocol

import attrs

from asrlab.engine.contract import TranscriberInfo
from asrlab.errors import OptionError
from asrlab.evaluation.metrics import Resampling, TextPair, profile_for
from asrlab.evaluation.runs.languages import UnsupportedLanguages, unsupported_languages
from asrlab.evaluation.runs.result import BenchResult, ModelResult, UtteranceResult
from asrlab.languages import is_english

BootstrapUnit = Literal["auto", "speaker", "recording", "utterance"]

_CHOICES = ("auto", "speaker", "recording", "utterance")


@attrs.frozen(kw_only=True)
class ComparisonOptions:
    """Options of a comparison or report.

    Attributes:
        normalizer: A profile's name (see `asrlab.evaluation.metrics.get_profile`). None uses the runs' own profile if
            they agree, and else gives each utterance the profile of its language, ``english`` or ``basic``.
        normalizers: Profiles to score the same texts under, side by side.
        bootstrap_unit: The unit that is resampled. ``auto`` uses speakers if every utterance has a speaker, else
            recordings if every utterance has one, else utterances.
        resampling: Resampling of the bootstrap. None uses 10,000 resamples, seed 0 and 95 % confidence.
        only_shared: Compare only the utterances that all runs share.
        top_words: Number of word errors kept for each system.
        worst_n: Number of utterances with the most errors kept.
    """

    normalizer: str | None = None
    normalizers: Sequence[str] = ()
    bootstrap_unit: BootstrapUnit = "auto"
    resampling: Resampling | None = None
    only_shared: bool = False
    top_words: int = 20
    worst_n: int = 20


class HasMetadata(Protocol):
    """An utterance with its metadata."""

    @property
    def id(self) -> str:
        """The utterance's id."""

    @property
    def language(self) -> str | None:
        """The language tag; None if unknown."""

    @property
    def speaker(self) -> str | None:
        """The speaker; None if unknown."""

    @property
    def recording(self) -> str | None:
        """The recording that the utterance was cut from; None if unknown."""


@attrs.frozen(kw_only=True)
class System:
    """A model in a run.

    Attributes:
        name: The model's full name, with the run's name if several systems have the same model.
        result: The run.
        model: The model's result in the run.
        info: The facts of the loaded model.
        utterances: The utterances to report on.
    """

    name: str
    result: BenchResult = attrs.field(repr=False)
    model: ModelResult = attrs.field(repr=False)
    info: TranscriberInfo
    utterances: tuple[UtteranceResult, ...] = attrs.field(repr=False)

    @property
    def run(self) -> str:
        """The run's name."""
        return self.result.manifest.run

    @cached_property
    def unsupported(self) -> UnsupportedLanguages | None:
        """The utterances in languages that the model does not support; None if there are none or this is unknown."""
        languages = [utterance.language for utterance in self.utterances]
        return unsupported_languages(self.info.capabilities.languages, languages)

    @property
    def has_random_weights(self) -> bool:
        """True if the weights are random, so that the texts mean nothing."""
        return self.info.model.weights_random

    @property
    def is_simulated(self) -> bool:
        """True if the device was simulated."""
        return self.info.device.simulated

    def pairs(self) -> tuple[TextPair, ...]:
        """Return references and hypotheses: empty for a failed utterance; utterances without reference are left out."""
        return tuple(utterance.pair for utterance in self.utterances if utterance.reference is not None)


def loaded_systems(results: Iterable[BenchResult]) -> tuple[System, ...]:
    """Return every model that loaded, in order.

    Raises:
        OptionError: If a run was given twice.
    """
    loaded = [
        (result, model, model.info)
        for result in results
        for model in result.models
        if model.info is not None and model.failure is None
    ]
    names = _unique_names([(result, model) for result, model, _ in loaded])
    return tuple(
        System(name=name, result=result, model=model, info=info, utterances=model.utterances)
        for name, (result, model, info) in zip(names, loaded, strict=True)
    )


def tried_by_all(systems: Sequence[System]) -> tuple[System, ...]:
    """Return the systems of one run with the utterances that every one of them has tried."""
    tried = Counter(utterance.id for system in systems for utterance in system.utterances)
    return tuple(
        attrs.evolve(system, utterances=tuple(each for each in system.utterances if tried[each.id] == len(systems)))
        for system in systems
    )


def _unique_names(loaded: Sequence[tuple[BenchResult, ModelResult]]) -> list[str]:
    candidates = [
        (model.model, f"{model.model} @ {result.manifest.run}", f"{model.model} @ {result.run}")
        for result, model in loaded
    ]
    taken = Counter(name for names in candidates for name in set(names))
    chosen = [next((name for name in names if taken[name] == 1), names[-1]) for names in candidates]
    for (result, _), name in zip(loaded, chosen, strict=True):
        if chosen.count(name) > 1:
            raise OptionError(f"the run {result.run} was given twice; give each run once", option="runs")
    return chosen


def is_english_utterance(utterance: HasMetadata) -> bool:
    """Return whether the data set marks the utterance as English."""
    return is_english(utterance.language)


def common_normalizer(results: Sequence[BenchResult], utterances: Sequence[UtteranceResult]) -> str:
    """Return the profile that the runs have in common, else the profile for the languages of *utterances*."""
    names = {result.manifest.normalizer for result in results}
    if len(names) == 1:
        return names.pop()
    return profile_for(utterance.pair.language for utterance in utterances)


def independent_systems(systems: Iterable[System]) -> dict[str, str]:
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


@attrs.frozen(kw_only=True)
class BootstrapUnits:
    """The units that a comparison resamples.

    Attributes:
        unit: ``speaker``, ``recording`` or ``utterance``.
        by_id: The unit's label by utterance id; None if each utterance is a unit.
        n_single: Number of utterances without a label, which are units of their own.
    """

    unit: str
    by_id: Mapping[str, str | None] | None = attrs.field(default=None, repr=False)
    n_single: int = 0


def bootstrap_units(utterances: Sequence[HasMetadata], unit: BootstrapUnit) -> BootstrapUnits:
    """Return the bootstrap units of *utterances*; see `ComparisonOptions.bootstrap_unit`.

    Raises:
        OptionError: If *unit* is unknown, or no utterance has it.
    """
    if unit not in _CHOICES:
        raise OptionError(
            f"bootstrap_unit is {unit!r}; choose one of {', '.join(_CHOICES)}",
            option="bootstrap_unit",
            supported=_CHOICES,
        )
    labels = {
        "speaker": {utterance.id: utterance.speaker or None for utterance in utterances},
        "recording": {utterance.id: utterance.recording or None for utterance in utterances},
    }
    complete = (name for name, by_id in labels.items() if all(by_id.values()))
    chosen = next(complete, "utterance") if unit == "auto" else unit
    if chosen == "utterance":
        return BootstrapUnits(unit="utterance")
    n_single = sum(label is None for label in labels[chosen].values())
    if n_single == len(utterances):
        raise OptionError(
            f"no utterance has a {chosen}; choose --bootstrap-unit utterance, or add it to the data set",
            option="bootstrap_unit",
        )
    return BootstrapUnits(unit=chosen, by_id=labels[chosen], n_single=n_single)
