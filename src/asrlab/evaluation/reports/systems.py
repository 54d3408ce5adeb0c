"""The systems of runs: each model that loaded in each run, and what they can be held against each other on."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property
from typing import Literal, Protocol

import attrs

from asrlab.engine.contract import TranscriberInfo
from asrlab.errors import OptionError
from asrlab.evaluation.metrics import TextPair, profile_for
from asrlab.evaluation.runs.languages import UnsupportedLanguages, unsupported_languages
from asrlab.evaluation.runs.result import BenchResult, ModelResult, UtteranceResult
from asrlab.languages import is_english

BootstrapUnit = Literal["auto", "speaker", "recording", "utterance"]

_CHOICES = ("auto", "speaker", "recording", "utterance")


class HasMetadata(Protocol):
    """What a data set says of an utterance."""

    @property
    def id(self) -> str:
        """The utterance's id."""

    @property
    def language(self) -> str | None:
        """Its language's tag; None if not known."""

    @property
    def speaker(self) -> str | None:
        """Who speaks; None if not known."""

    @property
    def recording(self) -> str | None:
        """What it was cut from; None if not known."""


@attrs.frozen(kw_only=True)
class System:
    """A model as it ran in a run.

    Attributes:
        name: The model's full name; with the run's where several have it.
        result: The run.
        model: The model's part of it.
        info: The facts of the loaded model.
        utterances: Those that are looked at.
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
    def unfit(self) -> UnsupportedLanguages | None:
        """The utterances in languages that it was not made for; None if there are none, or nobody knows."""
        return unsupported_languages(self.info.capabilities.languages, [each.language for each in self.utterances])

    @property
    def random(self) -> bool:
        """Whether its weights are random numbers, so that its texts mean nothing."""
        return self.info.model.weights_random

    @property
    def simulated(self) -> bool:
        """Whether its device was only imitated."""
        return self.info.device.simulated

    def pairs(self) -> tuple[TextPair, ...]:
        """References and hypotheses; a failed utterance has an empty one, one without reference is left out."""
        return tuple(utterance.pair for utterance in self.utterances if utterance.reference is not None)


def loaded_systems(results: Iterable[BenchResult]) -> tuple[System, ...]:
    """Every model that loaded, in the order given.

    Raises:
        OptionError: A run is there twice.
    """
    loaded = [
        (result, model, model.info)
        for result in results
        for model in result.models
        if model.info is not None and model.failure is None
    ]
    names = _names([(result, model) for result, model, _ in loaded])
    return tuple(
        System(name=name, result=result, model=model, info=info, utterances=model.utterances)
        for name, (result, model, info) in zip(names, loaded, strict=True)
    )


def _names(loaded: Sequence[tuple[BenchResult, ModelResult]]) -> list[str]:
    """The shortest name of each that no other has."""
    choices = [
        (model.model, f"{model.model} @ {result.manifest.run}", f"{model.model} @ {result.run}")
        for result, model in loaded
    ]
    taken = Counter(name for each in choices for name in set(each))
    names = [next((name for name in each if taken[name] == 1), each[-1]) for each in choices]
    twice = next((result for (result, _), name in zip(loaded, names, strict=True) if names.count(name) > 1), None)
    if twice is not None:
        raise OptionError(f"the run {twice.run} was given twice; give each run once", option="runs")
    return names


def is_english_utterance(utterance: HasMetadata) -> bool:
    """Whether the data set says that it is English."""
    return is_english(utterance.language)


def common_normalizer(results: Sequence[BenchResult], utterances: Sequence[UtteranceResult]) -> str:
    """Return the profile that the runs have in common, else the one for the languages of *utterances*."""
    names = {result.manifest.normalizer for result in results}
    if len(names) == 1:
        return names.pop()
    return profile_for(utterance.pair.language for utterance in utterances)


def independent_systems(systems: Iterable[System]) -> dict[str, str]:
    """For each system what it shares with others, so that two on the same weights count as one witness.

    The same are two with the same checksum, and two models of the same name in different engines: an engine's own file
    of Whisper's base weights has another checksum than the next engine's, and makes the same mistakes.
    """
    shared: dict[str, str] = {}
    by_mark: dict[str, str] = {}
    for system in systems:
        model = system.info.model
        marks = [f"model {model.name.partition('/')[2]}", *([model.weights_sha256] if model.weights_sha256 else [])]
        key = next((by_mark[mark] for mark in marks if mark in by_mark), system.name)
        by_mark |= dict.fromkeys(marks, key)
        shared[system.name] = key
    return shared


@attrs.frozen(kw_only=True)
class BootstrapUnits:
    """What is drawn together when a comparison is resampled.

    Attributes:
        unit: ``speaker``, ``recording`` or ``utterance``.
        by_id: By the utterance's id; None for each by itself.
        n_single: How many utterances have no speaker, or recording, and are drawn by themselves.
    """

    unit: str
    by_id: Mapping[str, str | None] | None = attrs.field(default=None, repr=False)
    n_single: int = 0


def bootstrap_units(utterances: Sequence[HasMetadata], unit: BootstrapUnit) -> BootstrapUnits:
    """The blocks of *utterances*: for ``auto`` by speaker if every one has one, else by recording likewise.

    Raises:
        OptionError: No utterance has what was asked for, or there is no such choice.
    """
    if unit not in _CHOICES:
        raise OptionError(
            f"bootstrap_unit is {unit!r}; choose one of {', '.join(_CHOICES)}",
            option="bootstrap_unit",
            supported=_CHOICES,
        )
    fields = {
        "speaker": {utterance.id: utterance.speaker or None for utterance in utterances},
        "recording": {utterance.id: utterance.recording or None for utterance in utterances},
    }
    whole = (name for name, labels in fields.items() if all(labels.values()))
    chosen = next(whole, "utterance") if unit == "auto" else unit
    if chosen == "utterance":
        return BootstrapUnits(unit="utterance")
    alone = sum(label is None for label in fields[chosen].values())
    if alone == len(utterances):
        raise OptionError(
            f"no utterance has a {chosen}; choose --bootstrap-unit utterance, or add it to the data set",
            option="bootstrap_unit",
        )
    return BootstrapUnits(unit=chosen, by_id=fields[chosen], n_single=alone)
