"""The utterances that systems are compared on."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Self

import attrs

from asrlab.errors import DatasetError, OptionError
from asrlab.evaluation.reports.systems import System
from asrlab.evaluation.runs.load import load_run_records
from asrlab.evaluation.runs.result import BenchResult, UtteranceResult

# Engines may round durations by less than one block of samples.
_DURATION_TOLERANCE_S = 0.1
_MAX_QUOTED = 60


def require_comparable(results: Sequence[BenchResult], systems: Sequence[System]) -> None:
    """Refuse incomplete runs, and fewer than two systems.

    Raises:
        DatasetError: If a run is not complete.
        OptionError: If there are fewer than two systems.
    """
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


def require_same_utterances(systems: Sequence[System]) -> tuple[System, ...]:
    """Return the systems with the same utterances in the same order.

    Raises:
        DatasetError: If their utterances differ; the message names the first difference.
    """
    first, *others = systems
    for other in others:
        difference = _first_difference(first, other)
        if difference:
            raise DatasetError(
                f"{first.name} ({first.run}) and {other.name} ({other.run}) do not have the same utterances: "
                f"{difference}. Bench both over the same data set, or compare what they share with --shared-only"
            )
    return _reorder(systems, [utterance.id for utterance in first.utterances])


def intersect_utterances(systems: Sequence[System]) -> tuple[tuple[System, ...], int]:
    """Return the systems with the utterances that all share, and the number of utterances left out.

    Utterances are shared if id, reference and audio are the same.

    Raises:
        DatasetError: If they share none.
    """
    first, *others = systems
    shared = {utterance.id: utterance for utterance in first.utterances}
    every = set(shared)
    for other in others:
        theirs = {utterance.id: utterance for utterance in other.utterances}
        every |= set(theirs)
        audio = _AudioChecksums.load(first.result, other.result)
        shared = {
            key: mine for key, mine in shared.items() if key in theirs and audio.difference(mine, theirs[key]) is None
        }
    if not shared:
        raise DatasetError(
            f"no utterance is in all {len(systems)} systems with the same reference and audio; "
            "bench them over the same data set"
        )
    return _reorder(systems, list(shared)), len(every) - len(shared)


def _reorder(systems: Sequence[System], ids: Sequence[str]) -> tuple[System, ...]:
    reordered = []
    for system in systems:
        by_id = {utterance.id: utterance for utterance in system.utterances}
        reordered.append(attrs.evolve(system, utterances=tuple(by_id[key] for key in ids)))
    return tuple(reordered)


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
    audio = _AudioChecksums.load(first.result, other.result)
    differences = (audio.difference(utterance, theirs[key]) for key, utterance in mine.items())
    unknown = None if audio.has_all(mine) else "the fingerprints of their data sets differ"
    return next(filter(None, differences), unknown)


@attrs.frozen
class _AudioChecksums:
    """Checksums of the audio of two runs.

    Attributes:
        first: Checksums by utterance; None if both runs are known to have the same audio.
        other: Checksums by utterance of the other run.
    """

    first: Mapping[str, str] | None
    other: Mapping[str, str]

    @classmethod
    def load(cls, first: BenchResult, other: BenchResult) -> Self:
        """Compare the fingerprints, which cover the audio; load the checksums of the runs only if these differ."""
        if first.manifest.dataset.fingerprint == other.manifest.dataset.fingerprint:
            return cls(None, {})
        return cls(_load_checksums(first), _load_checksums(other))

    def has_all(self, ids: Iterable[str]) -> bool:
        """Return whether the checksums of all *ids* are known."""
        return self.first is None or all(key in self.first and key in self.other for key in ids)

    def difference(self, first: UtteranceResult, other: UtteranceResult) -> str | None:
        """Return the difference of two utterances with the same id, or None."""
        if first.reference != other.reference:
            references = f"{_quote(first.reference)} in one and {_quote(other.reference)} in the other"
            return f"the reference of {first.id!r} is {references}"
        if self.first is None:
            return None
        if self.has_all([first.id]):
            mine, theirs = self.first[first.id], self.other[first.id]
            return None if mine == theirs else f"the audio of {first.id!r} has sha256 {mine[:12]}… and {theirs[:12]}…"
        if first.transcript is None or other.transcript is None:
            return None
        lengths = first.transcript.duration, other.transcript.duration
        if abs(lengths[0] - lengths[1]) <= _DURATION_TOLERANCE_S:
            return None
        return f"the audio of {first.id!r} has {lengths[0]:.2f} s and {lengths[1]:.2f} s"


def _load_checksums(result: BenchResult) -> dict[str, str]:
    """Return the audio checksums of a run's utterances; empty if the run's files no longer exist."""
    try:
        return {facts.id: facts.audio_sha256 for facts in load_run_records(result.run).utterances}
    except DatasetError:
        return {}


def _quote(text: str | None) -> str:
    return "missing" if text is None else repr(text if len(text) <= _MAX_QUOTED else f"{text[: _MAX_QUOTED - 1]}…")
