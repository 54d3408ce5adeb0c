"""That systems are compared on the same utterances, and on which."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Self

import attrs

from asrlab.errors import DatasetError, OptionError
from asrlab.evaluation.reports.systems import System
from asrlab.evaluation.runs.load import load_run_records
from asrlab.evaluation.runs.result import BenchResult, UtteranceResult

# engines may round what they were given, by less than one block of samples
_DURATION_TOLERANCE = 0.1


def require_comparable(results: Sequence[BenchResult], systems: Sequence[System]) -> None:
    """Refuse what has nothing to compare, or not all of it.

    Raises:
        DatasetError: A run has not come to its end.
        OptionError: There are fewer than two systems.
    """
    for result in results:
        if not result.complete:
            raise DatasetError(
                f"the run {result.manifest.run} is not complete, so its figures may change; go on with: "
                f"asrlab resume {result.run}"
            )
    if len(systems) < 2:
        broken = [f"{model.model} did not load" for result in results for model in result.models if model.failure]
        there = ", ".join([*(system.name for system in systems), *broken]) or "no model"
        raise OptionError(
            f"there is nothing to compare, only {there}; give a second run over the same data set, or a run of two "
            "models (asrlab bench DATASET -m MODEL -m MODEL)",
            option="runs",
        )


def require_same_utterances(systems: Sequence[System]) -> tuple[System, ...]:
    """The systems, all with the same utterances in the same order.

    Raises:
        DatasetError: They are not over the same utterances; it names the first difference.
    """
    first, *others = systems
    for other in others:
        difference = _first_difference(first, other)
        if difference:
            raise DatasetError(
                f"{first.name} ({first.run}) and {other.name} ({other.run}) are not of the same utterances: "
                f"{difference}. Bench both over the same data set, or compare what they share with --shared-only"
            )
    return _in_order(systems, [utterance.id for utterance in first.utterances])


def intersect_utterances(systems: Sequence[System]) -> tuple[tuple[System, ...], int]:
    """The systems with the utterances that all have (same id, reference and audio), and how many are left out.

    Raises:
        DatasetError: There are none.
    """
    first, *others = systems
    shared = {utterance.id: utterance for utterance in first.utterances}
    every = set(shared)
    for other in others:
        theirs = {utterance.id: utterance for utterance in other.utterances}
        every |= set(theirs)
        audio = _Audio.of(first.result, other.result)
        shared = {
            key: mine for key, mine in shared.items() if key in theirs and audio.difference(mine, theirs[key]) is None
        }
    if not shared:
        raise DatasetError(
            f"no utterance is in all {len(systems)} systems with the same reference and audio; "
            "bench them over the same data set"
        )
    return _in_order(systems, list(shared)), len(every) - len(shared)


def _in_order(systems: Sequence[System], ids: Sequence[str]) -> tuple[System, ...]:
    found = []
    for system in systems:
        by_id = {utterance.id: utterance for utterance in system.utterances}
        found.append(attrs.evolve(system, utterances=tuple(by_id[key] for key in ids)))
    return tuple(found)


def _first_difference(one: System, other: System) -> str | None:
    """What is not the same in two systems' utterances, in words; None if nothing is.

    Their order and the names of their speakers may differ, so the data sets' fingerprints can, too.
    """
    mine = {utterance.id: utterance for utterance in one.utterances}
    theirs = {utterance.id: utterance for utterance in other.utterances}
    for has, ids, lacks in ((one, mine, theirs), (other, theirs, mine)):
        missing = next((key for key in ids if key not in lacks), None)
        if missing is not None:
            return f"utterance {missing!r} is only in {has.run} ({len(mine)} and {len(theirs)} utterances)"
    audio = _Audio.of(one.result, other.result)
    differences = (audio.difference(utterance, theirs[key]) for key, utterance in mine.items())
    return next(filter(None, differences), None if audio.known(mine) else "the fingerprints of their data sets differ")


@attrs.frozen
class _Audio:
    """What is known of the audio of two runs.

    Attributes:
        one: Checksums by utterance; None where both are known to be of the same audio.
        other: Likewise.
    """

    one: Mapping[str, str] | None
    other: Mapping[str, str]

    @classmethod
    def of(cls, one: BenchResult, other: BenchResult) -> Self:
        """By the fingerprints, which are over the audio, too; where they differ, as the runs' files tell."""
        if one.manifest.dataset.fingerprint == other.manifest.dataset.fingerprint:
            return cls(None, {})
        return cls(_checksums(one), _checksums(other))

    def known(self, ids: Iterable[str]) -> bool:
        """Whether there are checksums for all of *ids*."""
        return self.one is None or all(key in self.one and key in self.other for key in ids)

    def difference(self, one: UtteranceResult, other: UtteranceResult) -> str | None:
        """What makes two utterances of the same id different ones, in words; None if nothing does."""
        if one.reference != other.reference:
            told = _quoted(one.reference), _quoted(other.reference)
            return f"the reference of {one.id!r} is {told[0]} in one and {told[1]} in the other"
        if self.one is None:
            return None
        if self.known([one.id]):
            sums = self.one[one.id], self.other[one.id]
            told = sums[0][:12], sums[1][:12]
            return None if sums[0] == sums[1] else f"the audio of {one.id!r} has sha256 {told[0]}… and {told[1]}…"
        if one.transcript is None or other.transcript is None:
            return None
        lengths = one.transcript.duration, other.transcript.duration
        alike = abs(lengths[0] - lengths[1]) <= _DURATION_TOLERANCE
        return None if alike else f"the audio of {one.id!r} has {lengths[0]:.2f} s and {lengths[1]:.2f} s"


def _checksums(result: BenchResult) -> dict[str, str]:
    """Of each utterance's audio, from the run's files; empty where they are not there any more."""
    try:
        return {facts.id: facts.audio_sha256 for facts in load_run_records(result.run).utterances}
    except DatasetError:
        return {}


def _quoted(text: str | None) -> str:
    return "missing" if text is None else repr(text if len(text) <= 60 else f"{text[:59]}…")
