"""Loading of a run's records from its folder or from an exported file, and the results they imply."""

from __future__ import annotations

import logging
from collections import Counter, defaultdict
from collections.abc import Iterable
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
        losses: Number of attempts that each outcome lost with its worker.
        last_losses: The last of these attempts.
        loaded: Loaded models by number.
        not_loaded: Models that did not load, unless they loaded later.
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
        if fault := self._outcome_fault(record):
            raise DatasetError(f"outcome {fault}; the ledger was edited: delete the line")
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

    def _outcome_fault(self, record: UtteranceOutcome) -> str:
        """Return why this run cannot have written *record*; empty if there is no such reason."""
        if record.id not in self._ids:
            return f"of utterance {record.id!r}, which is not in the run's data set"
        if record.model not in self._models:
            return f"of {record.model}, which is not a model of the run"
        if not 0 <= record.repeat < self.manifest.request.repeat:
            return f"of repeat {record.repeat}, but the run has {self.manifest.request.repeat}, counted from 0"
        has_text = None not in (record.hypothesis, record.recognized, record.loaded)
        return "" if record.failure or has_text else "with neither a text nor a failure"

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
        names = [model.info.name for model in self.manifest.models]
        return BenchResult(
            dataset=self.manifest.dataset.name,
            models=tuple(self._model_result(name, outcomes[name]) for name in names),
            seconds=self.seconds,
            run=self.path,
            manifest=self.manifest,
            load_averages=tuple(session.load_average for session in self.sessions if session.load_average),
            complete=self.is_complete,
            passes=tuple(self.passes),
        )

    def _model_result(self, name: str, outcomes: list[UtteranceOutcome]) -> ModelResult:
        peaks = [outcome.peak_resident_bytes for outcome in outcomes if outcome.peak_resident_bytes]
        first = next((loaded for loaded in self.loaded.values() if loaded.model == name), None)
        by_id: dict[str, dict[int, UtteranceOutcome]] = defaultdict(dict)
        for outcome in outcomes:
            by_id[outcome.id][outcome.repeat] = outcome
        fields = ("info", "load_time", "patches", "backend", "batching")
        return ModelResult(
            model=name,
            failure=self.not_loaded[name].failure if name in self.not_loaded else None,
            utterances=tuple(
                self._utterance_result(facts, by_id[facts.id]) for facts in self.utterances if 0 in by_id[facts.id]
            ),
            normalizer=self.manifest.normalizer,
            peak_resident_bytes=max(peaks, default=None),
            **({field: getattr(first, field) for field in fields} if first else {}),
        )

    def _utterance_result(self, facts: UtteranceFacts, repeats: dict[int, UtteranceOutcome]) -> UtteranceResult:
        first, options = repeats[0], self.manifest.request.options
        transcript = None
        if first.recognized is not None and first.hypothesis is not None and first.loaded is not None:
            transcript = first.recognized.to_transcript(first.hypothesis, self.loaded[first.loaded], options)
        later = [repeats[number] for number in sorted(repeats) if number]
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
    folder = RunFolder(path)
    ledger = path if path.is_file() else folder.ledger
    manifest, utterances, numbered = _read_exported(path) if path.is_file() else _read_folder(folder)
    records = RunRecords(path=path, manifest=manifest, utterances=tuple(utterances))
    for number, record in numbered:
        with at_location(ledger, number):
            records.add(record)
    if records.unattributed and path.is_file():
        message = f"{path}: {records.unattributed} outcomes name a loaded model that is not in the file"
        raise DatasetError(f"{message}; export the run again", path=path)
    if records.unattributed:
        _log.warning(
            "%s: skipped %d outcomes, because the record of their loaded model is missing; repeat them with:"
            " asrlab resume %s",
            *(ledger, records.unattributed, path),
        )
    return records


type _RunFiles = tuple[RunManifest, list[UtteranceFacts], Iterable[tuple[int, Record]]]
"""Manifest, facts of the utterances, and the other records with the numbers of their lines."""


def _read_folder(folder: RunFolder) -> _RunFiles:
    try:
        plain = parse_json(folder.manifest.read_bytes())
    except (OSError, ValueError) as error:
        message = f"cannot read {folder.manifest} ({error}); restore the file, or start a new run"
        raise DatasetError(message, path=folder.manifest) from error
    with at_location(folder.manifest):
        manifest = RunManifest.from_plain(plain)
    utterances = []
    for number, plain in read_json_lines(folder.utterances):
        with at_location(folder.utterances, number):
            utterances.append(UtteranceFacts.from_plain(plain))
    return manifest, utterances, enumerate(read_records(folder.ledger) if folder.ledger.exists() else (), start=1)


def _read_exported(path: Path) -> _RunFiles:
    manifest: RunManifest | None = None
    utterances: list[UtteranceFacts] = []
    numbered: list[tuple[int, Record]] = []
    for number, plain in read_json_lines(path):
        kind = plain.get("record") if isinstance(plain, dict) else None
        with at_location(path, number):
            match kind:
                case "manifest":
                    manifest = RunManifest.from_plain(plain)
                case "utterance":
                    del plain["record"]
                    utterances.append(UtteranceFacts.from_plain(plain))
                case _:
                    numbered.append((number, parse_record(plain)))
    if manifest is None:
        raise DatasetError(
            f"{path} is not a run: it has no manifest; export a run with: asrlab runs RUN --export", path=path
        )
    return manifest, utterances, numbered
