"""Drives a run: units to an executor, its answers into the ledger."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import closing
from itertools import batched, cycle, islice
from pathlib import Path
from typing import Literal

import attrs

from asrlab.environment import load_average, utc_timestamp
from asrlab.evaluation.datasets import Utterance
from asrlab.evaluation.runs.executor import (
    MAX_ATTEMPTS,
    Executor,
    ItemFinished,
    ItemKey,
    ItemsLost,
    ItemsStarted,
    ModelJob,
    WorkerReady,
    WorkItem,
    WorkUnit,
    known_timeout,
)
from asrlab.evaluation.runs.fingerprint import UtteranceFacts
from asrlab.evaluation.runs.gates import check_gates
from asrlab.evaluation.runs.load import RunRecords
from asrlab.evaluation.runs.machine_load import LoadMeter
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
from asrlab.evaluation.runs.words import has_words


@attrs.frozen(kw_only=True)
class RunProgress:
    """How far a run is.

    Attributes:
        model: The model at work; its name in full.
        done: Its outcomes, those of earlier sessions among them.
        total: Those it is to have.
        failed: How many of *done* are failures.
        earlier: How many of *done* come from earlier sessions.
        run: The folder of the run.
    """

    model: str
    done: int
    total: int
    failed: int = 0
    earlier: int = 0
    run: Path


@attrs.define(kw_only=True)
class Runner:
    """Brings a run to its end, or as far as it is let.

    Attributes:
        records: What is known of the run; every record written is added.
        ledger: Where records go.
        utterances: In the order of the facts in *records*.
        executor: Runs the units.
        jobs: Per model, in order.
        progress: Told how far it is.
        stop: Asked before anything new is begun.
    """

    records: RunRecords
    ledger: Ledger
    utterances: list[Utterance]
    executor: Executor
    jobs: dict[str, ModelJob]
    progress: Callable[[RunProgress], object]
    stop: Callable[[], bool]

    def run(self) -> None:
        """Do what is left to do, as one session.

        Raises:
            DatasetError: The ledger cannot be written.
        """
        session = 1 + max((earlier.session for earlier in self.records.sessions), default=-1)
        start = SessionStart(
            session=session, date=utc_timestamp(), load_average=load_average(), monotonic=time.monotonic()
        )
        self.write(start)
        why: Literal["finished", "drained", "stopped"] = "stopped"
        try:
            self._run_passes(session)
            why = "drained" if self.stop() else "finished"
        finally:
            self.write(SessionEnd(session=session, why=why, monotonic=time.monotonic()))

    def _run_passes(self, session: int) -> None:
        """Take the models in turn, once through the data set each, as often as the run repeats it.

        Models in turn, and not each with all its repeats: what slows the machine down for a while slows all of them.
        A model that does not load is not tried again in this session.
        """
        failed: set[str] = set()
        for repeat in range(self.records.manifest.request.repeat):
            for model, job in self.jobs.items():
                if model not in failed and not self.stop():
                    one_pass = _ModelPass(runner=self, model=model, job=job, repeat=repeat, session=session)
                    one_pass.run()
                    if one_pass.failed_to_load:
                        failed.add(model)

    def write(self, record: Record) -> None:
        """Make *record* count."""
        self.ledger.append(record)
        self.records.add(record)


@attrs.define(kw_only=True)
class _ModelPass:
    """What is still to be done of one model's pass through the data set."""

    runner: Runner
    model: str
    job: ModelJob
    repeat: int
    session: int
    loaded: ModelLoaded | None = None
    failed_to_load: bool = False
    done: int = 0
    failed: int = 0

    def run(self) -> None:
        """Transcribe what has no outcome yet, and record what the machine did meanwhile."""
        outcomes = [outcome for outcome in self.runner.records.outcomes.values() if outcome.model == self.model]
        keys = [(index, self.repeat) for index in range(len(self.runner.utterances))]
        left = [key for key in keys if self._ledger_key(key) not in self.runner.records.outcomes]
        total = len(keys) * self._request.repeat
        self.done = earlier = len(outcomes)
        self.failed = sum(outcome.failure is not None for outcome in outcomes)
        self._tell(total, earlier)
        left = [key for key in left if not self._give_up(key)]
        self._tell(total, earlier)
        if not left:
            return
        meter = LoadMeter()
        units = [WorkUnit(items=tuple(map(self._item, keys))) for keys in self._units(left)]
        warmups = [WorkUnit(items=(self._item(key),)) for key in self._warmups()]
        answers = self.runner.executor.run(self.job, units, warmups=warmups, stop=self.runner.stop)
        with closing(answers):  # an interrupt ends the workers now, not when it is collected
            for message in answers:
                self._take(message)
                if isinstance(message, ItemFinished):
                    self._tell(total, earlier)
        record = ModelPass(model=self.model, repeat=self.repeat, session=self.session, load=meter.read())
        self.runner.write(record)

    @property
    def _request(self) -> BenchRequest:
        return self.runner.records.manifest.request

    def _units(self, keys: list[ItemKey]) -> Iterator[tuple[ItemKey, ...]]:
        """Yield *keys* as they are handed over; what was lost before, by itself."""
        lost = self.runner.records.lost
        yield from batched((key for key in keys if not lost[self._ledger_key(key)]), self.job.unit_size)
        yield from ((key,) for key in keys if lost[self._ledger_key(key)])

    def _warmups(self) -> Iterator[ItemKey]:
        """The first utterances, again and again if there are fewer."""
        return ((index, -1) for index in islice(cycle(range(len(self.runner.utterances))), self._request.warmup))

    def _facts(self, key: ItemKey) -> UtteranceFacts:
        return self.runner.records.utterances[key[0]]

    def _ledger_key(self, key: ItemKey) -> tuple[str, str, int]:
        return self.model, self._facts(key).id, key[1]

    def _item(self, key: ItemKey) -> WorkItem:
        audio = self.runner.utterances[key[0]].audio
        return WorkItem(
            key=key,
            audio=audio,
            seconds=known_timeout(audio, self._request.timeout),
            listen=not has_words(self._facts(key).reference),
            lost_before=self.runner.records.lost[self._ledger_key(key)],
        )

    def _give_up(self, key: ItemKey) -> bool:
        """Set aside what an earlier session lost for the last time and was killed before it could say so."""
        lost = self._ledger_key(key)
        if self.runner.records.lost[lost] < MAX_ATTEMPTS:
            return False
        self._take(ItemFinished(key=key, failure=self.runner.records.losses[lost].failure))
        return True

    def _take(self, message: object) -> None:
        """Write down what the executor says."""
        match message:
            case WorkerReady():
                self.loaded = self._loaded(message)
                self.runner.write(self.loaded)
            case ItemsStarted(keys=keys):
                self.runner.write(UnitStarted(model=self.model, repeat=keys[0][1], ids=self._ids(keys)))
            case ItemsLost(keys=keys, failure=failure):
                self.runner.write(
                    LostAttempt(model=self.model, repeat=keys[0][1], ids=self._ids(keys), failure=failure)
                )
            case ItemFinished():
                self.runner.write(self._outcome(message))
                self.done += 1
                self.failed += message.failure is not None
            case Failure() if self.loaded is None:
                self.failed_to_load = True
                self.runner.write(ModelNotLoaded(model=self.model, failure=message))

    def _ids(self, keys: tuple[ItemKey, ...]) -> tuple[str, ...]:
        return tuple(self._facts(key).id for key in keys)

    def _loaded(self, hello: WorkerReady) -> ModelLoaded:
        return ModelLoaded(
            model=self.model,
            number=1 + max(self.runner.records.loaded, default=-1),
            info=hello.info,
            load_time=hello.load_time,
            patches=hello.patches,
            backend=hello.backend,
            batching=hello.batching,
        )

    def _outcome(self, done: ItemFinished) -> UtteranceOutcome:
        facts, transcript = self._facts(done.key), done.transcript
        lost = self.runner.records.lost[self._ledger_key(done.key)]
        return UtteranceOutcome(
            model=self.model,
            id=facts.id,
            repeat=done.key[1],
            reference=facts.reference,
            hypothesis=transcript.text if transcript else None,
            failure=done.failure,
            recognized=Recognized.of(transcript) if transcript else None,
            gates=check_gates(
                done, facts=facts, asked_device=self.job.device, info=self.loaded.info if self.loaded else None
            ),
            attempts=lost + (transcript is not None or not lost),
            loaded=self.loaded.number if self.loaded and transcript else None,
            peak_resident_bytes=done.peak_resident_bytes,
        )

    def _tell(self, total: int, earlier: int) -> None:
        self.runner.progress(
            RunProgress(
                model=self.model,
                done=self.done,
                total=total,
                failed=self.failed,
                earlier=earlier,
                run=self.runner.records.path,
            )
        )
