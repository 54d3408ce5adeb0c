"""Loading of a run's records from its folder or from an exported file, and the results they imply."""

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
from asrlab.evaluation.runs.fingerprint import UtteranceFacts, spoken_language
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
"""Full name of the model, id of the utterance, number of the repeat."""


@attrs.define(kw_only=True)
class RunRecords:
    """All records of a run, indexed.

    Attributes:
        path: The run's folder or exported file.
        manifest: Facts from before the run began.
        utterances: Facts of the data set's utterances, in order.
        outcomes: Outcomes by model, utterance and repeat.
        losses: Number of attempts that each lost with its worker.
        last_losses: The last of these attempts.
        loaded: Loaded models by number.
        not_loaded: Models that did not load, unless they loaded later.
        passes: Passes of models through the data set, in the order in which they ended.
        sessions: Starts of the sessions that wrote the run.
        ends: Ends of the sessions by number; a session without one was killed.
        unattributed: Number of outcomes that were skipped because the record of their loaded model is missing, as after
            the removal of a damaged line. A resumed run repeats them.
    """

    path: Path
    manifest: RunManifest
    utterances: tuple[UtteranceFacts, ...]
    outcomes: dict[OutcomeKey, UtteranceOutcome] = attrs.field(factory=dict)
    losses: Counter[OutcomeKey] = attrs.field(factory=Counter)
    last_losses: dict[OutcomeKey, LostAttempt] = attrs.field(factory=dict)
    loaded: dict[int, ModelLoaded] = attrs.field(factory=dict)
    not_loaded: dict[str, ModelNotLoaded] = attrs.field(factory=dict)
    passes: list[ModelPass] = attrs.field(factory=list)
    sessions: list[SessionStart] = attrs.field(factory=list)
    ends: dict[int, SessionEnd] = attrs.field(factory=dict)
    unattributed: int = 0

    def add(self, record: Record) -> None:
        """Add the next record.

        Raises:
            DatasetError: If the record is a second outcome of an utterance, or belongs to another run.
        """
        match record:
            case UtteranceOutcome():
                self._add_outcome(record)
            case LostAttempt():
                for utterance in record.ids:
                    key = (record.model, utterance, record.repeat)
                    self.losses[key] += 1
                    self.last_losses[key] = record
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
                f"utterance {record.id!r} has two outcomes with {record.model}; the ledger was edited, or two machines "
                "wrote it at once: delete one of the lines"
            )
        self.outcomes[key] = record

    def _check_outcome(self, record: UtteranceOutcome) -> None:
        """Check that this run can have written *record*.

        Raises:
            DatasetError: If its utterance, model or repeat is not in the run, or it has neither a text nor a failure.
        """
        fault = (
            f"of utterance {record.id!r}, which is not in the run's data set"
            if record.id not in self._ids
            else f"of {record.model}, which is not a model of the run"
            if record.model not in self._models
            else f"of repeat {record.repeat}, but the run has {self.manifest.request.repeat}, counted from 0"
            if not 0 <= record.repeat < self.manifest.request.repeat
            else "with neither a text nor a failure"
            if record.failure is None and None in (record.hypothesis, record.recognized, record.loaded)
            else ""
        )
        if fault:
            raise DatasetError(f"outcome {fault}; the ledger was edited: delete the line")

    @cached_property
    def _ids(self) -> frozenset[str]:
        return frozenset(facts.id for facts in self.utterances)

    @cached_property
    def _models(self) -> frozenset[str]:
        return frozenset(model.info.name for model in self.manifest.models)

    @property
    def expected(self) -> int:
        """Number of outcomes of the complete run, over all models and repeats."""
        return len(self.manifest.models) * len(self.utterances) * self.manifest.request.repeat

    @property
    def is_complete(self) -> bool:
        """True if every utterance has its outcomes with every model that ever loaded."""
        n_outcomes = Counter(model for model, _, _ in self.outcomes)
        n_expected = len(self.utterances) * self.manifest.request.repeat
        return all(
            n_outcomes[name] == n_expected or (name in self.not_loaded and not n_outcomes[name])
            for name in self._models
        )

    @property
    def seconds(self) -> float:
        """Duration of all sessions that were not killed."""
        return sum(
            self.ends[session.session].monotonic - session.monotonic
            for session in self.sessions
            if session.session in self.ends
        )

    def result(self) -> BenchResult:
        """Return the result that the records imply."""
        outcomes: dict[str, list[UtteranceOutcome]] = defaultdict(list)
        for outcome in self.outcomes.values():
            outcomes[outcome.model].append(outcome)
        return BenchResult(
            dataset=self.manifest.dataset.name,
            models=tuple(
                self._model_result(model.info.name, outcomes[model.info.name]) for model in self.manifest.models
            ),
            seconds=self.seconds,
            run=self.path,
            manifest=self.manifest,
            load_averages=tuple(session.load_average for session in self.sessions if session.load_average),
            complete=self.is_complete,
            passes=tuple(self.passes),
        )

    def _model_result(self, name: str, outcomes: list[UtteranceOutcome]) -> ModelResult:
        peaks = [outcome.peak_resident_bytes for outcome in outcomes if outcome.peak_resident_bytes]
        result = ModelResult(
            model=name,
            failure=self.not_loaded[name].failure if name in self.not_loaded else None,
            utterances=tuple(self._utterance_results(outcomes)),
            normalizer=self.manifest.normalizer,
            peak_resident_bytes=max(peaks, default=None),
        )
        first = next((loaded for loaded in self.loaded.values() if loaded.model == name), None)
        if first is None:
            return result
        return attrs.evolve(
            result,
            info=first.info,
            load_time=first.load_time,
            patches=first.patches,
            backend=first.backend,
            batching=first.batching,
        )

    def _utterance_results(self, outcomes: list[UtteranceOutcome]) -> Iterator[UtteranceResult]:
        by_id: dict[str, dict[int, UtteranceOutcome]] = defaultdict(dict)
        for outcome in outcomes:
            by_id[outcome.id][outcome.repeat] = outcome
        for facts in self.utterances:
            if 0 in (repeats := by_id.get(facts.id, {})):
                yield self._utterance_result(facts, repeats)

    def _utterance_result(self, facts: UtteranceFacts, repeats: dict[int, UtteranceOutcome]) -> UtteranceResult:
        first, options = repeats[0], self.manifest.request.options
        transcript = None
        if first.recognized is not None and first.hypothesis is not None and first.loaded is not None:
            transcript = first.recognized.to_transcript(first.hypothesis, self.loaded[first.loaded], options)
        later = (repeats[number] for number in sorted(repeats) if number)
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
                RepeatResult(
                    text=outcome.hypothesis, seconds=outcome.recognized.timings.total if outcome.recognized else None
                )
                for outcome in later
            ),
        )


def load_run(run: str | PathLike[str]) -> BenchResult:
    """Load the result of a run.

    Args:
        run: Path of its folder or of an exported file, or its name under ``ASRLAB_RUNS``.

    Raises:
        DatasetError: If there is no such run, or its records are damaged; the message names file and line.
    """
    return load_run_records(find_run(run)).result()


def load_run_records(path: Path) -> RunRecords:
    """Load the records of the run in a folder or an exported file.

    Raises:
        DatasetError: If the records cannot be read or are damaged.
    """
    return _load_exported(path) if path.is_file() else _load_folder(RunFolder(path))


def _load_folder(folder: RunFolder) -> RunRecords:
    try:
        plain = parse_json(folder.manifest.read_bytes())
    except (OSError, ValueError) as error:
        message = f"cannot read {folder.manifest} ({error}); restore the file, or start a new run"
        raise DatasetError(message, path=folder.manifest) from error
    with at_location(folder.manifest):
        manifest = RunManifest.from_plain(plain)
    records = RunRecords(path=folder.path, manifest=manifest, utterances=tuple(_load_utterances(folder.utterances)))
    if folder.ledger.exists():
        for number, record in enumerate(read_records(folder.ledger), start=1):
            with at_location(folder.ledger, number):
                records.add(record)
    if records.unattributed:
        _log.warning(
            "%s: skipped %d outcomes, because the record of their loaded model is missing; repeat them with:"
            " asrlab resume %s",
            *(folder.ledger, records.unattributed, folder.path),
        )
    return records


def _load_utterances(path: Path) -> Iterator[UtteranceFacts]:
    for number, plain in read_json_lines(path):
        with at_location(path, number):
            yield UtteranceFacts.from_plain(plain)


def _load_exported(path: Path) -> RunRecords:
    manifest: RunManifest | None = None
    utterances: list[UtteranceFacts] = []
    numbered: list[tuple[int, Record]] = []
    for number, plain in read_json_lines(path):
        kind = plain.pop("record", None) if isinstance(plain, dict) else None
        with at_location(path, number):
            if kind == "manifest":
                manifest = RunManifest.from_plain(plain)
            elif kind == "utterance":
                utterances.append(UtteranceFacts.from_plain(plain))
            else:
                numbered.append((number, parse_record({"record": kind, **plain} if isinstance(plain, dict) else plain)))
    if manifest is None:
        raise DatasetError(
            f"{path} is not a run: it has no manifest; export a run with: asrlab runs RUN --export", path=path
        )
    records = RunRecords(path=path, manifest=manifest, utterances=tuple(utterances))
    for number, record in numbered:
        with at_location(path, number):
            records.add(record)
    if records.unattributed:
        message = f"{path}: {records.unattributed} outcomes name a loaded model that is not in the file"
        raise DatasetError(f"{message}; export the run again", path=path)
    return records
