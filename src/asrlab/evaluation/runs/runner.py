"""The loop of a run: units go to an executor, and its answers go into the ledger."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import closing
from itertools import batched, cycle, islice
from pathlib import Path
from typing import Literal

import attrs

from asrlab.environment import LoadMeter, load_average, utc_timestamp
from asrlab.evaluation.datasets import Utterance
from asrlab.evaluation.runs.executor import (
    MAX_ATTEMPTS,
    Executor,
    ItemFinished,
    ItemKey,
    ItemsLost,
    ItemsStarted,
    ModelJob,
    WorkerMessage,
    WorkItem,
    WorkUnit,
    known_timeout,
)
from asrlab.evaluation.runs.fingerprint import UtteranceFacts
from asrlab.evaluation.runs.gates import check_gates, has_words
from asrlab.evaluation.runs.load import OutcomeKey, RunRecords
from asrlab.evaluation.runs.manifest import BenchRequest
from asrlab.evaluation.runs.records import (
    Failure,
    LostAttempt,
    ModelLoaded,
    ModelNotLoaded,
    ModelPass,
    Recognized,
    Record,
    SessionEnd,
    SessionStart,
    UnitStarted,
    UtteranceOutcome,
)
from asrlab.evaluation.runs.storage import Ledger


@attrs.frozen(kw_only=True)
class RunProgress:
    """Progress of a run with one model.

    Attributes:
        model: Full name of the model at work.
        done: Number of its outcomes, those of earlier sessions included.
        total: Number of its outcomes in the complete run.
        failed: Number of failures among *done*.
        earlier: Number of outcomes from earlier sessions among *done*.
        run: Folder of the run.
    """

    model: str
    done: int
    total: int
    failed: int = 0
    earlier: int = 0
    run: Path


@attrs.define(kw_only=True)
class Runner:
    """A session of a run, which adds each record to the ledger and to *records*; *jobs* are by the models' names."""

    records: RunRecords
    ledger: Ledger
    utterances: list[Utterance]
    executor: Executor
    jobs: dict[str, ModelJob]
    progress: Callable[[RunProgress], object]
    should_stop: Callable[[], bool]

    def run(self) -> None:
        """Transcribe everything that has no outcome yet.

        Raises:
            OutputError: If the ledger cannot be written.
        """
        session = 1 + max((earlier.session for earlier in self.records.sessions), default=-1)
        clock = time.monotonic()
        self.write(SessionStart(session=session, date=utc_timestamp(), load_average=load_average(), monotonic=clock))
        why: Literal["finished", "drained", "stopped"] = "stopped"
        failed: set[str] = set()  # models that did not load, which are not tried again in this session
        try:
            # the models take turns, so that a slow phase of the machine slows all of them
            for repeat in range(self.records.manifest.request.repeat):
                for model, job in self.jobs.items():
                    if model not in failed and not self.should_stop():
                        model_pass = _PassRunner(runner=self, model=model, job=job, repeat=repeat, session=session)
                        model_pass.run()
                        failed |= {model} if model_pass.load_failed else set()
            why = "drained" if self.should_stop() else "finished"
        finally:
            self.write(SessionEnd(session=session, why=why, monotonic=time.monotonic()))

    def write(self, record: Record) -> None:
        """Append *record* to the ledger and to the records."""
        self.ledger.append(record)
        self.records.add(record)


@attrs.define(kw_only=True)
class _PassRunner:
    """One model's pass through the utterances that have no outcome yet."""

    runner: Runner
    model: str
    job: ModelJob
    repeat: int
    session: int
    loaded: ModelLoaded | None = None
    load_failed: bool = False
    done: int = 0
    earlier: int = 0
    failed: int = 0

    def run(self) -> None:
        """Transcribe the utterances, and record the load of the machine meanwhile."""
        records = self.runner.records
        outcomes = [outcome for outcome in records.outcomes.values() if outcome.model == self.model]
        self.done = self.earlier = len(outcomes)
        self.failed = sum(outcome.failure is not None for outcome in outcomes)
        self._report_progress()
        pending = []
        for key in ((index, self.repeat) for index in range(len(self.runner.utterances))):
            outcome_key = self._outcome_key(key)
            if outcome_key in records.outcomes:
                continue
            if records.losses[outcome_key] < MAX_ATTEMPTS:
                pending.append(key)
            else:  # the last attempt was lost in a session that was killed right after
                self._record(ItemFinished(key=key, failure=records.last_losses[outcome_key].failure))
        self._report_progress()
        if not pending:
            return
        meter = LoadMeter()
        units = [WorkUnit(items=tuple(map(self._item, keys))) for keys in self._units(pending)]
        # the first utterances, repeated if there are fewer than warm-ups
        first = islice(cycle(range(len(self.runner.utterances))), self._request.warmup)
        warmups = [WorkUnit(items=(self._item((index, -1)),)) for index in first]
        messages = self.runner.executor.run(self.job, units, warmups=warmups, should_stop=self.runner.should_stop)
        with closing(messages):  # an interrupt ends the workers now, not at garbage collection
            for message in messages:
                self._record(message)
                if isinstance(message, ItemFinished):
                    self._report_progress()
        self.runner.write(ModelPass(model=self.model, repeat=self.repeat, session=self.session, load=meter.read()))

    @property
    def _request(self) -> BenchRequest:
        return self.runner.records.manifest.request

    def _units(self, keys: list[ItemKey]) -> Iterator[tuple[ItemKey, ...]]:
        """Yield *keys* in units; each one that was lost before is a unit of its own, at the end."""
        losses = self.runner.records.losses
        yield from batched((key for key in keys if not losses[self._outcome_key(key)]), self.job.unit_size)
        yield from ((key,) for key in keys if losses[self._outcome_key(key)])

    def _facts(self, key: ItemKey) -> UtteranceFacts:
        return self.runner.records.utterances[key[0]]

    def _outcome_key(self, key: ItemKey) -> OutcomeKey:
        return self.model, self._facts(key).id, key[1]

    def _item(self, key: ItemKey) -> WorkItem:
        audio = self.runner.utterances[key[0]].audio
        return WorkItem(
            key=key,
            audio=audio,
            timeout_s=known_timeout(audio, self._request.timeout),
            detect_speech=not has_words(self._facts(key).reference),
            previous_losses=self.runner.records.losses[self._outcome_key(key)],
        )

    def _record(self, message: WorkerMessage) -> None:
        match message:
            case ModelLoaded():
                number = 1 + max(self.runner.records.loaded, default=-1)
                self.loaded = attrs.evolve(message, model=self.model, number=number)
                self.runner.write(self.loaded)
            case ItemsStarted(keys=keys):
                self.runner.write(UnitStarted(model=self.model, repeat=keys[0][1], ids=self._ids(keys)))
            case ItemsLost(keys=keys, failure=failure):
                ids = self._ids(keys)
                self.runner.write(LostAttempt(model=self.model, repeat=keys[0][1], ids=ids, failure=failure))
            case ItemFinished():
                self.runner.write(self._outcome(message))
                self.done += 1
                self.failed += message.failure is not None
            case Failure() if self.loaded is None:
                self.load_failed = True
                self.runner.write(ModelNotLoaded(model=self.model, failure=message))

    def _ids(self, keys: tuple[ItemKey, ...]) -> tuple[str, ...]:
        return tuple(self._facts(key).id for key in keys)

    def _outcome(self, finished: ItemFinished) -> UtteranceOutcome:
        facts, transcript = self._facts(finished.key), finished.transcript
        losses = self.runner.records.losses[self._outcome_key(finished.key)]
        info = self.loaded.info if self.loaded else None
        return UtteranceOutcome(
            model=self.model,
            id=facts.id,
            repeat=finished.key[1],
            reference=facts.reference,
            hypothesis=transcript.text if transcript else None,
            failure=finished.failure,
            recognized=Recognized.from_transcript(transcript) if transcript else None,
            gates=check_gates(finished, facts=facts, requested_device=self.job.request.device, info=info),
            attempts=losses + (transcript is not None or not losses),
            loaded=self.loaded.number if self.loaded and transcript else None,
            peak_resident_bytes=finished.peak_resident_bytes,
        )

    def _report_progress(self) -> None:
        self.runner.progress(
            RunProgress(
                model=self.model,
                done=self.done,
                total=len(self.runner.utterances) * self._request.repeat,
                failed=self.failed,
                earlier=self.earlier,
                run=self.runner.records.path,
            )
        )
