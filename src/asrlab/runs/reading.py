"""Runs as their records tell them, from a folder or from an exported file."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from os import PathLike
from pathlib import Path
from typing import Any

import attrs

from asrlab.errors import DatasetError
from asrlab.runs.fingerprint import UtteranceFacts
from asrlab.runs.folder import RunFolder, find_run
from asrlab.runs.ledger import read_lines, read_records
from asrlab.runs.manifest import Manifest
from asrlab.runs.records import Attempt, Loaded, NotLoaded, Outcome, Record, SessionEnd, SessionStart, record_from
from asrlab.runs.result import BenchResult, ModelResult, Repeat, UtteranceResult

__all__ = ["RunRecords", "read_run", "records_of"]

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
        sessions: The processes that wrote it.
        ends: How they ended, by session; one without was killed.
    """

    path: Path
    manifest: Manifest
    utterances: tuple[UtteranceFacts, ...]
    outcomes: dict[OutcomeKey, Outcome] = attrs.field(factory=dict)
    lost: Counter[OutcomeKey] = attrs.field(factory=Counter)
    losses: dict[OutcomeKey, Attempt] = attrs.field(factory=dict)
    loaded: dict[int, Loaded] = attrs.field(factory=dict)
    not_loaded: dict[str, NotLoaded] = attrs.field(factory=dict)
    sessions: list[SessionStart] = attrs.field(factory=list)
    ends: dict[int, SessionEnd] = attrs.field(factory=dict)

    def add(self, record: Record) -> None:
        """Take in the next record.

        Raises:
            DatasetError: An outcome is there a second time.
        """
        match record:
            case Outcome():
                self._add_outcome(record)
            case Attempt():
                for utterance in record.ids:
                    key = (record.model, utterance, record.repeat)
                    self.lost[key] += 1
                    self.losses[key] = record
            case Loaded():
                self.loaded[record.number] = record
                self.not_loaded.pop(record.model, None)
            case NotLoaded():
                self.not_loaded[record.model] = record
            case SessionStart():
                self.sessions.append(record)
            case SessionEnd():
                self.ends[record.session] = record

    def _add_outcome(self, record: Outcome) -> None:
        key = (record.model, record.id, record.repeat)
        if key in self.outcomes:
            raise DatasetError(
                f"{self.path}: utterance {record.id!r} has two outcomes with {record.model}; the ledger was changed by "
                "hand, or two machines wrote it at once",
                path=self.path,
            )
        self.outcomes[key] = record

    @property
    def expected(self) -> int:
        """How many outcomes the run is to have, over all models and repeats."""
        request = self.manifest.request
        return len(self.manifest.models) * len(self.utterances) * request.repeat

    @property
    def complete(self) -> bool:
        """Whether every utterance has its outcome with every model that loaded."""
        tried = len(self.manifest.models) - len(self.not_loaded)
        return len(self.outcomes) == tried * len(self.utterances) * self.manifest.request.repeat

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
        per_model: dict[str, list[Outcome]] = defaultdict(list)
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
        )

    def _model(self, name: str, outcomes: list[Outcome]) -> ModelResult:
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

    def _utterances(self, outcomes: list[Outcome]) -> Iterator[UtteranceResult]:
        by_id: dict[str, dict[int, Outcome]] = defaultdict(dict)
        for outcome in outcomes:
            by_id[outcome.id][outcome.repeat] = outcome
        for facts in self.utterances:
            if 0 in (rounds := by_id.get(facts.id, {})):
                yield self._utterance(facts, rounds)

    def _utterance(self, facts: UtteranceFacts, rounds: dict[int, Outcome]) -> UtteranceResult:
        first = rounds[0]
        transcript = None
        if first.recognized is not None and first.hypothesis is not None and first.loaded is not None:
            options = self.manifest.request.options
            transcript = first.recognized.transcript(first.hypothesis, self.loaded[first.loaded], options)
        again = (rounds[number] for number in sorted(rounds) if number)
        return UtteranceResult(
            id=facts.id,
            reference=facts.reference,
            transcript=transcript,
            failure=first.failure,
            language=facts.language,
            speaker=facts.speaker,
            recording=facts.recording,
            gates=first.gates,
            attempts=first.attempts,
            repeats=tuple(
                Repeat(text=each.hypothesis, seconds=each.recognized.timings.total if each.recognized else None)
                for each in again
            ),
        )


def read_run(run: str | PathLike[str]) -> BenchResult:
    """What the records of a run say.

    Args:
        run: Its folder, its name under ``asrlab.runs.folder.runs_root``, or an exported file.

    Raises:
        DatasetError: There is no such run, or its records are damaged; it names the file and line.
    """
    return records_of(find_run(run)).result()


def records_of(path: Path) -> RunRecords:
    """The records of the run in a folder or an exported file.

    Raises:
        DatasetError: They cannot be read, or are damaged.
    """
    return _from_file(path) if path.is_file() else _from_folder(RunFolder(path))


def _from_folder(folder: RunFolder) -> RunRecords:
    try:
        plain = json.loads(folder.manifest.read_bytes())
    except (OSError, ValueError) as error:
        raise DatasetError(f"{folder.manifest} cannot be read ({error})", path=folder.manifest) from error
    utterances = (
        _told(f"{folder.utterances}, line {number}", UtteranceFacts.from_plain, each)
        for number, each in read_lines(folder.utterances)
    )
    made = RunRecords(
        path=folder.path, manifest=_told(folder.manifest, Manifest.from_plain, plain), utterances=tuple(utterances)
    )
    if folder.ledger.exists():
        _add_all(made, read_records(folder.ledger))
    return made


def _from_file(path: Path) -> RunRecords:
    manifest: Manifest | None = None
    utterances: list[UtteranceFacts] = []
    records: list[Record] = []
    for number, plain in read_lines(path):
        kind = plain.pop("record", None) if isinstance(plain, dict) else None
        where = f"{path}, line {number}"
        if kind == "manifest":
            manifest = _told(where, Manifest.from_plain, plain)
        elif kind == "utterance":
            utterances.append(_told(where, UtteranceFacts.from_plain, plain))
        else:
            records.append(_told(where, record_from, {"record": kind, **plain} if isinstance(plain, dict) else plain))
    if manifest is None:
        raise DatasetError(
            f"{path} is no run: it has no manifest; export one with: asrlab runs RUN --export", path=path
        )
    made = RunRecords(path=path, manifest=manifest, utterances=tuple(utterances))
    _add_all(made, records)
    return made


def _add_all(made: RunRecords, records: Iterable[Record]) -> None:
    for record in records:
        made.add(record)


def _told(where: object, read: Any, plain: Any) -> Any:
    """What *read* makes of *plain*, with the place in its error."""
    try:
        return read(plain)
    except DatasetError as error:
        raise DatasetError(f"{where}: {error.message}") from error
