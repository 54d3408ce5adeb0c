"""Runs as their records tell them, from a folder or from an exported file."""

from __future__ import annotations

import logging
from collections import Counter, defaultdict
from collections.abc import Iterator
from functools import cached_property
from os import PathLike
from pathlib import Path

import attrs

from asrlab.bounded_json import parse_json
from asrlab.errors import DatasetError
from asrlab.evaluation.runs.fingerprint import UtteranceFacts
from asrlab.evaluation.runs.languages import spoken_language
from asrlab.evaluation.runs.manifest import RunManifest
from asrlab.evaluation.runs.records import (
    LostAttempt,
    ModelLoaded,
    ModelNotLoaded,
    ModelPass,
    Record,
    SessionEnd,
    SessionStart,
    UtteranceOutcome,
    parse_record,
)
from asrlab.evaluation.runs.result import BenchResult, ModelResult, RepeatResult, UtteranceResult
from asrlab.evaluation.runs.storage import RunFolder, at_location, find_run, read_json_lines, read_records

_log = logging.getLogger("asrlab.evaluation.runs")

type OutcomeKey = tuple[str, str, int]
"""Full name of the model, the utterance's id, the repeat."""


@attrs.define(kw_only=True)
class RunRecords:
    """Everything a run has written, in a form to look things up in.

    Attributes:
        path: The folder or file.
        manifest: The facts from before it began.
        utterances: The data set's facts, in order.
        outcomes: By model, utterance and repeat.
        lost: How often each was lost with its worker.
        losses: Why, the last time.
        loaded: By their numbers.
        not_loaded: By model, unless it was loaded later.
        passes: Each model's passes through the data set, in the order in which they ended.
        sessions: The processes that wrote it.
        ends: How they ended, by session; one without was killed.
        unattributed: How many outcomes were left out because the record of the loaded model that they name is missing,
            as where a damaged line was taken out of the ledger. A resumed run does them again.
    """

    path: Path
    manifest: RunManifest
    utterances: tuple[UtteranceFacts, ...]
    outcomes: dict[OutcomeKey, UtteranceOutcome] = attrs.field(factory=dict)
    lost: Counter[OutcomeKey] = attrs.field(factory=Counter)
    losses: dict[OutcomeKey, LostAttempt] = attrs.field(factory=dict)
    loaded: dict[int, ModelLoaded] = attrs.field(factory=dict)
    not_loaded: dict[str, ModelNotLoaded] = attrs.field(factory=dict)
    passes: list[ModelPass] = attrs.field(factory=list)
    sessions: list[SessionStart] = attrs.field(factory=list)
    ends: dict[int, SessionEnd] = attrs.field(factory=dict)
    unattributed: int = 0

    def add(self, record: Record) -> None:
        """Take in the next record.

        Raises:
            DatasetError: An outcome is there a second time, or is none of this run's.
        """
        match record:
            case UtteranceOutcome():
                self._add_outcome(record)
            case LostAttempt():
                for utterance in record.ids:
                    key = (record.model, utterance, record.repeat)
                    self.lost[key] += 1
                    self.losses[key] = record
            case ModelLoaded():
                self.loaded[record.number] = record
                self.not_loaded.pop(record.model, None)
            case ModelNotLoaded():
                self.not_loaded[record.model] = record
            case ModelPass():
                self.passes.append(record)
            case SessionStart():
                self.sessions.append(record)
            case SessionEnd():
                self.ends[record.session] = record

    def _add_outcome(self, record: UtteranceOutcome) -> None:
        self._check_outcome(record)
        if record.loaded is not None and record.loaded not in self.loaded:
            self.unattributed += 1
            return
        key = (record.model, record.id, record.repeat)
        if key in self.outcomes:
            raise DatasetError(
                f"utterance {record.id!r} has two outcomes with {record.model}; the ledger was changed by hand, or two "
                "machines wrote it at once: take out one of the lines",
            )
        self.outcomes[key] = record

    def _check_outcome(self, record: UtteranceOutcome) -> None:
        """Refuse an outcome that this run cannot have written.

        Raises:
            DatasetError: Its utterance, model or repeat is none of this run's, or it has neither a text nor a failure.
        """
        foreign = (
            f"of utterance {record.id!r}, which the run's data set does not hold"
            if record.id not in self._ids
            else f"of {record.model}, which is no model of the run"
            if record.model not in self._models
            else f"of repeat {record.repeat}, but the run has {self.manifest.request.repeat}, counted from 0"
            if not 0 <= record.repeat < self.manifest.request.repeat
            else "with neither a text nor a failure"
            if record.failure is None and None in (record.hypothesis, record.recognized, record.loaded)
            else ""
        )
        if foreign:
            raise DatasetError(f"an outcome {foreign}; the ledger was changed by hand: take the line out")

    @cached_property
    def _ids(self) -> frozenset[str]:
        return frozenset(facts.id for facts in self.utterances)

    @cached_property
    def _models(self) -> frozenset[str]:
        return frozenset(model.info.name for model in self.manifest.models)

    @property
    def expected(self) -> int:
        """How many outcomes the run is to have, over all models and repeats."""
        request = self.manifest.request
        return len(self.manifest.models) * len(self.utterances) * request.repeat

    @property
    def complete(self) -> bool:
        """Whether every utterance has its outcome with every model that ever loaded."""
        done = Counter(model for model, _, _ in self.outcomes)
        whole = len(self.utterances) * self.manifest.request.repeat
        return all(done[name] == whole or (name in self.not_loaded and not done[name]) for name in self._models)

    @property
    def seconds(self) -> float:
        """Over all sessions that came to an end."""
        return sum(
            self.ends[session.session].monotonic - session.monotonic
            for session in self.sessions
            if session.session in self.ends
        )

    def result(self) -> BenchResult:
        """What they say."""
        per_model: dict[str, list[UtteranceOutcome]] = defaultdict(list)
        for outcome in self.outcomes.values():
            per_model[outcome.model].append(outcome)
        names = [model.info.name for model in self.manifest.models]
        return BenchResult(
            dataset=self.manifest.dataset.name,
            models=tuple(self._model(name, per_model[name]) for name in names),
            seconds=self.seconds,
            run=self.path,
            manifest=self.manifest,
            load_averages=tuple(session.load_average for session in self.sessions if session.load_average),
            complete=self.complete,
            passes=tuple(self.passes),
        )

    def _model(self, name: str, outcomes: list[UtteranceOutcome]) -> ModelResult:
        peaks = [outcome.peak_resident_bytes for outcome in outcomes if outcome.peak_resident_bytes]
        loads = [loaded for loaded in self.loaded.values() if loaded.model == name]
        result = ModelResult(
            model=name,
            failure=self.not_loaded[name].failure if name in self.not_loaded else None,
            utterances=tuple(self._utterances(outcomes)),
            normalizer=self.manifest.normalizer,
            peak_resident_bytes=max(peaks, default=None),
        )
        if not loads:
            return result
        first = loads[0]
        return attrs.evolve(
            result,
            info=first.info,
            load_time=first.load_time,
            patches=first.patches,
            backend=first.backend,
            batching=first.batching,
        )

    def _utterances(self, outcomes: list[UtteranceOutcome]) -> Iterator[UtteranceResult]:
        by_id: dict[str, dict[int, UtteranceOutcome]] = defaultdict(dict)
        for outcome in outcomes:
            by_id[outcome.id][outcome.repeat] = outcome
        for facts in self.utterances:
            if 0 in (rounds := by_id.get(facts.id, {})):
                yield self._utterance(facts, rounds)

    def _utterance(self, facts: UtteranceFacts, rounds: dict[int, UtteranceOutcome]) -> UtteranceResult:
        first, options = rounds[0], self.manifest.request.options
        transcript = None
        if first.recognized is not None and first.hypothesis is not None and first.loaded is not None:
            transcript = first.recognized.transcript(first.hypothesis, self.loaded[first.loaded], options)
        again = (rounds[number] for number in sorted(rounds) if number)
        return UtteranceResult(
            id=facts.id,
            reference=facts.reference,
            transcript=transcript,
            failure=first.failure,
            language=spoken_language(facts.language, options),
            translated=options.task == "translate",
            speaker=facts.speaker,
            recording=facts.recording,
            gates=first.gates,
            attempts=first.attempts,
            repeats=tuple(
                RepeatResult(text=each.hypothesis, seconds=each.recognized.timings.total if each.recognized else None)
                for each in again
            ),
        )


def load_run(run: str | PathLike[str]) -> BenchResult:
    """What the records of a run say.

    Args:
        run: Its folder, its name under ``asrlab.evaluation.runs.storage.runs_root``, or an exported file.

    Raises:
        DatasetError: There is no such run, or its records are damaged; it names the file and line.
    """
    return load_run_records(find_run(run)).result()


def load_run_records(path: Path) -> RunRecords:
    """The records of the run in a folder or an exported file.

    Raises:
        DatasetError: They cannot be read, or are damaged.
    """
    return _from_file(path) if path.is_file() else _from_folder(RunFolder(path))


def _from_folder(folder: RunFolder) -> RunRecords:
    try:
        plain = parse_json(folder.manifest.read_bytes())
    except (OSError, ValueError) as error:
        message = f"{folder.manifest} cannot be read ({error}); restore the file, or start a new run"
        raise DatasetError(message, path=folder.manifest) from error
    with at_location(folder.manifest):
        manifest = RunManifest.from_plain(plain)
    result = RunRecords(path=folder.path, manifest=manifest, utterances=tuple(_utterances(folder.utterances)))
    if folder.ledger.exists():
        for number, record in enumerate(read_records(folder.ledger), start=1):
            with at_location(folder.ledger, number):
                result.add(record)
    if result.unattributed:
        _log.warning(
            "%s: %d outcomes name a loaded model whose record is missing from the ledger; they are left out, and"
            " transcribed again by: asrlab resume %s",
            *(folder.ledger, result.unattributed, folder.path),
        )
    return result


def _utterances(path: Path) -> Iterator[UtteranceFacts]:
    for number, plain in read_json_lines(path):
        with at_location(path, number):
            yield UtteranceFacts.from_plain(plain)


def _from_file(path: Path) -> RunRecords:
    manifest: RunManifest | None = None
    utterances: list[UtteranceFacts] = []
    records: list[tuple[int, Record]] = []
    for number, plain in read_json_lines(path):
        kind = plain.pop("record", None) if isinstance(plain, dict) else None
        with at_location(path, number):
            if kind == "manifest":
                manifest = RunManifest.from_plain(plain)
            elif kind == "utterance":
                utterances.append(UtteranceFacts.from_plain(plain))
            else:
                records.append((number, parse_record({"record": kind, **plain} if isinstance(plain, dict) else plain)))
    if manifest is None:
        raise DatasetError(
            f"{path} is no run: it has no manifest; export one with: asrlab runs RUN --export", path=path
        )
    result = RunRecords(path=path, manifest=manifest, utterances=tuple(utterances))
    for number, record in records:
        with at_location(path, number):
            result.add(record)
    if result.unattributed:
        message = f"{path}: {result.unattributed} outcomes name a loaded model that the file does not describe"
        raise DatasetError(f"{message}; export the run again", path=path)
    return result
