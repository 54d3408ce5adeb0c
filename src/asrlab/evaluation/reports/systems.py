"""The systems of runs: each model that loaded in each run, with the utterances that all systems share."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property
from typing import Literal, get_args

import attrs

from asrlab.engine.contract import TranscriberInfo
from asrlab.errors import DatasetError, OptionError
from asrlab.evaluation.datasets.dataset import Reference
from asrlab.evaluation.metrics import Profile, Resampling, TextPair, get_profile, profile_for
from asrlab.evaluation.runs.fingerprint import UnsupportedLanguages, unsupported_languages
from asrlab.evaluation.runs.load import load_run_records
from asrlab.evaluation.runs.result import BenchResult, ModelResult, UtteranceResult

BootstrapUnit = Literal["auto", "speaker", "recording", "utterance"]
type Utterance = UtteranceResult | Reference
# By utterance id, the checksums of the audio in two runs; None if both runs are known to have the same audio.
type _Checksums = Mapping[str, tuple[str, str]] | None

# Engines may round durations by less than one block of samples.
_DURATION_TOLERANCE_S = 0.1
_MAX_QUOTED = 60


@attrs.frozen(kw_only=True)
class ComparisonOptions:
    """Options of a comparison or report; see `asrlab.evaluation.compare` and `asrlab.evaluation.report`."""

    normalizer: str | None = None
    normalizers: Sequence[str] = ()
    bootstrap_unit: BootstrapUnit = "auto"
    resampling: Resampling | None = None
    only_shared: bool = False
    top_words: int = 20
    worst_n: int = 20


@attrs.frozen(kw_only=True)
class System:
    """A model in a run, with the utterances to report on.

    The name is the model's full name, with the run's name if several systems have the same model.
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


@attrs.frozen(kw_only=True)
class PreparedSystems:
    """Systems over the same utterances, ready to be scored. The profile has prepared their *texts*."""

    systems: tuple[System, ...]
    profile: Profile
    texts: Mapping[str, tuple[TextPair, ...]] = attrs.field(repr=False)
    units: BootstrapUnits
    resampling: Resampling | None

    @property
    def utterances(self) -> tuple[UtteranceResult, ...]:
        """The utterances of the first system."""
        return self.systems[0].utterances if self.systems else ()


def prepare_systems(
    results: Sequence[BenchResult], systems: tuple[System, ...], options: ComparisonOptions
) -> PreparedSystems:
    """Choose the normalizer and the bootstrap units for *systems* of the runs *results*, and prepare their texts."""
    utterances = systems[0].utterances if systems else ()
    names = {result.manifest.normalizer for result in results}
    common = names.pop() if len(names) == 1 else profile_for(utterance.pair.language for utterance in utterances)
    profile = get_profile(options.normalizer or common)
    return PreparedSystems(
        systems=systems,
        profile=profile,
        texts=prepare_all(profile, {system.name: system.pairs() for system in systems}),
        units=bootstrap_units(utterances, options.bootstrap_unit if utterances else "utterance"),
        resampling=options.resampling,
    )


def prepare_all(profile: Profile, texts: Mapping[str, Sequence[TextPair]]) -> dict[str, tuple[TextPair, ...]]:
    """Prepare the pairs of every system, of the same utterances, side by side so that *profile* caches references."""
    rows = zip(*map(profile.prepare, texts.values()), strict=True)
    columns = tuple(zip(*rows, strict=True)) or ((),) * len(texts)
    return dict(zip(texts, columns, strict=True))


def bootstrap_units(utterances: Sequence[Utterance], unit: BootstrapUnit) -> BootstrapUnits:
    """Return the bootstrap units of *utterances*; see `ComparisonOptions.bootstrap_unit`.

    Raises:
        OptionError: If *unit* is unknown, or no utterance has it.
    """
    choices = get_args(BootstrapUnit)
    if unit not in choices:
        raise OptionError(
            f"bootstrap_unit is {unit!r}; choose one of {', '.join(choices)}",
            option="bootstrap_unit",
            supported=choices,
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


def loaded_systems(results: Iterable[BenchResult]) -> tuple[System, ...]:
    """Return every model that loaded, in order.

    Raises:
        OptionError: If a run was given twice.
    """
    loaded = [
        (result, model, info)
        for result in results
        for model in result.models
        if (info := model.info) is not None and model.failure is None
    ]
    candidates = [
        (model.model, f"{model.model} @ {result.manifest.run}", f"{model.model} @ {result.run}")
        for result, model, _ in loaded
    ]
    taken = Counter(name for names in candidates for name in set(names))
    systems: dict[str, System] = {}
    for (result, model, info), names in zip(loaded, candidates, strict=True):
        name = next((name for name in names if taken[name] == 1), names[-1])
        if name in systems:
            raise OptionError(f"the run {result.run} was given twice; give each run once", option="runs")
        systems[name] = System(name=name, result=result, model=model, info=info, utterances=model.utterances)
    return tuple(systems.values())


def tried_by_all(systems: Sequence[System]) -> tuple[System, ...]:
    """Return the systems of one run with the utterances that every one of them has tried."""
    tried = Counter(utterance.id for system in systems for utterance in system.utterances)
    return tuple(
        attrs.evolve(system, utterances=tuple(each for each in system.utterances if tried[each.id] == len(systems)))
        for system in systems
    )


def share_utterances(systems: Sequence[System], *, only_shared: bool) -> tuple[tuple[System, ...], int]:
    """Return the systems with the same utterances in the same order, and the number of utterances left out.

    With *only_shared*, these are utterances that some system lacks, or has with another reference or audio.

    Raises:
        DatasetError: If utterances differ, with the first difference; with *only_shared*, if the systems share none.
    """
    first, *others = systems
    shared = {utterance.id: utterance for utterance in first.utterances}
    every = set(shared)
    for other in others:
        if not only_shared and (difference := _first_difference(first, other)):
            raise DatasetError(
                f"{first.name} ({first.run}) and {other.name} ({other.run}) do not have the same utterances: "
                f"{difference}. Bench both over the same data set, or compare what they share with --shared-only"
            )
        theirs = {utterance.id: utterance for utterance in other.utterances}
        every |= set(theirs)
        audio = _audio_checksums(first.result, other.result)
        shared = {
            key: mine for key, mine in shared.items() if key in theirs and _difference(mine, theirs[key], audio) is None
        }
    if only_shared and not shared:
        raise DatasetError(
            f"no utterance is in all {len(systems)} systems with the same reference and audio; "
            "bench them over the same data set"
        )
    by_ids = [{utterance.id: utterance for utterance in system.utterances} for system in systems]
    ordered = [
        attrs.evolve(system, utterances=tuple(by_id[key] for key in shared))
        for system, by_id in zip(systems, by_ids, strict=True)
    ]
    return tuple(ordered), len(every) - len(shared)


def _first_difference(first: System, other: System) -> str | None:
    """Return the first difference of two systems' utterances, or None.

    Fingerprints of data sets may differ without one: the order and the speakers' names do not matter here.
    """
    mine = {utterance.id: utterance for utterance in first.utterances}
    theirs = {utterance.id: utterance for utterance in other.utterances}
    for system, ids, others in ((first, mine, theirs), (other, theirs, mine)):
        missing = next((key for key in ids if key not in others), None)
        if missing is not None:
            return f"utterance {missing!r} is only in {system.run} ({len(mine)} and {len(theirs)} utterances)"
    audio = _audio_checksums(first.result, other.result)
    differences = (_difference(utterance, theirs[key], audio) for key, utterance in mine.items())
    unknown = None if audio is None or mine.keys() <= audio.keys() else "the fingerprints of their data sets differ"
    return next(filter(None, differences), unknown)


def _audio_checksums(first: BenchResult, other: BenchResult) -> _Checksums:
    """Compare the fingerprints, which cover the audio; load the checksums of the runs only if these differ."""
    if first.manifest.dataset.fingerprint == other.manifest.dataset.fingerprint:
        return None
    try:
        mine, theirs = (
            {facts.id: facts.audio_sha256 for facts in load_run_records(result.run).utterances}
            for result in (first, other)
        )
    except DatasetError:  # the files of a run no longer exist
        return {}
    return {key: (mine[key], theirs[key]) for key in mine.keys() & theirs.keys()}


def _difference(first: UtteranceResult, other: UtteranceResult, audio: _Checksums) -> str | None:
    """Return the difference of two utterances with the same id, or None."""
    if first.reference != other.reference:
        references = f"{_quote(first.reference)} in one and {_quote(other.reference)} in the other"
        return f"the reference of {first.id!r} is {references}"
    if audio is None:
        return None
    if first.id in audio:
        mine, theirs = audio[first.id]
        return None if mine == theirs else f"the audio of {first.id!r} has sha256 {mine[:12]}… and {theirs[:12]}…"
    if first.transcript is None or other.transcript is None:
        return None
    lengths = first.transcript.duration, other.transcript.duration
    if abs(lengths[0] - lengths[1]) <= _DURATION_TOLERANCE_S:
        return None
    return f"the audio of {first.id!r} has {lengths[0]:.2f} s and {lengths[1]:.2f} s"


def _quote(text: str | None) -> str:
    return "missing" if text is None else repr(text if len(text) <= _MAX_QUOTED else f"{text[: _MAX_QUOTED - 1]}…")
