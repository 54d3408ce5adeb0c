"""Processes on this machine run units in order, tell the facts, and stop when they are told to."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

import attrs
import numpy as np
import pytest

import asrlab
from asrlab.audio import Audio
from asrlab.evaluation.runs.executor import (
    ItemFinished,
    ItemsStarted,
    ModelJob,
    WorkerMessage,
    WorkerReady,
    WorkItem,
    WorkUnit,
)
from asrlab.evaluation.runs.local import LocalExecutor
from asrlab.evaluation.runs.local.worker_pool import RetryQueue
from asrlab.evaluation.runs.records import Failure

if TYPE_CHECKING:
    from collections.abc import Iterable

ECHO = ModelJob(model="echo")
TONE = Audio(samples=(0.1 * np.sin(np.arange(1600) / 5)).astype(np.float32), sample_rate=16_000)
MINUTE = Audio(samples=np.full(16_000 * 60, 0.5, np.float32), sample_rate=16_000)
SILENCE = Audio(samples=np.zeros(1600, np.float32), sample_rate=16_000)


def _unit(*audio: Any, start: int = 0, listen: bool = False) -> WorkUnit:
    items = (WorkItem(key=(start + n, 0), audio=each, seconds=60, listen=listen) for n, each in enumerate(audio))
    return WorkUnit(items=tuple(items))


def _units(*audio: Any) -> list[WorkUnit]:
    return [_unit(each, start=number) for number, each in enumerate(audio)]


def _names(messages: Iterable[WorkerMessage]) -> list[str]:
    return [type(message).__name__ for message in messages]


def _done(messages: Iterable[WorkerMessage]) -> list[ItemFinished]:
    return [message for message in messages if isinstance(message, ItemFinished)]


@pytest.fixture(scope="module")
def mixed(tmp_path_factory: pytest.TempPathFactory) -> list[WorkerMessage]:
    """Three items, the second an open file; an open file; a broken one; silence to listen to; a minute; warm-ups."""
    broken = tmp_path_factory.mktemp("broken") / "broken.wav"
    broken.write_bytes(b"")
    with broken.open("rb") as file:
        units = [_unit(TONE, file, SILENCE), _unit(file, start=3), _unit(broken, start=4)]
        units += [_unit(SILENCE, start=5, listen=True), _unit(MINUTE, start=6)]
        warmups = [_unit(TONE, start=90), _unit(file, start=91)]
        return list(LocalExecutor().run(ECHO, units, warmups=warmups))


def test_one_worker_keeps_the_order(mixed: list[WorkerMessage]):
    """One worker begins units in their order, each after the outcomes of the one before; warm-ups are not told."""
    assert _names(mixed) == ["Hello", "Begun", *["Done"] * 3, *["Begun", "Done"] * 4]
    assert [message.keys for message in mixed if isinstance(message, ItemsStarted)] == [
        ((0, 0), (1, 0), (2, 0)), ((3, 0),), ((4, 0),), ((5, 0),), ((6, 0),)
    ]  # fmt: skip
    assert {done.key[0] for done in _done(mixed)} == set(range(7))


def test_a_worker_that_has_loaded_tells_the_facts(mixed: list[WorkerMessage]):
    """The first message has the model's facts, the time it took, the patches, the backend and the peak memory."""
    hello = mixed[0]
    assert isinstance(hello, WorkerReady)
    assert (hello.info.model.name, hello.patches, hello.backend) == ("echo/echo", (), "")
    assert hello.load_time > 0
    assert (hello.peak_resident_bytes or 0) > 2**20


def test_audio_that_cannot_be_sent_fails_alone(mixed: list[WorkerMessage]):
    """An open file cannot go to another process: it fails with what to give instead, in a batch too."""
    failures = {done.key[0]: done.failure for done in _done(mixed)}
    for index in (1, 3):
        failure = failures[index]
        assert failure is not None
        assert failure.kind == "AudioError"
        assert "give a path, bytes or an array" in failure.message
    assert failures[0] is failures[2] is None


def test_an_error_of_an_utterance_is_its_outcome_at_once(mixed: list[WorkerMessage]):
    """A file without a byte is not tried again; the failure has the error's own word for it."""
    (failed,) = (done for done in _done(mixed) if done.key[0] == 4)
    assert failed.failure is not None
    assert (failed.failure.kind, failed.failure.reason) == ("AudioError", "empty")
    assert (failed.peak_resident_bytes or 0) > 2**20


def test_speech_is_looked_for_only_where_asked(mixed: list[WorkerMessage]):
    """An item to listen to has the seconds of speech in it, none in digital silence; one with a text does not."""
    assert {done.key[0]: done.voiced for done in _done(mixed)} == {n: 0.0 if n == 5 else None for n in range(7)}


def test_a_job_without_units_loads_the_model():
    """Without units the model is loaded all the same, and that is all."""
    assert _names(LocalExecutor(workers=3).run(ECHO, [])) == ["Hello"]


def test_an_option_that_the_model_lacks_is_a_failure_to_load():
    """Options are checked against what the loaded model can do."""
    job = attrs.evolve(ECHO, options=asrlab.TranscribeOptions(beam_size=5))
    (failure,) = LocalExecutor().run(job, _units(TONE))
    assert isinstance(failure, Failure)
    assert failure.kind == "OptionError"


def test_what_was_begun_is_waited_for_after_stop():
    """Told to stop after the second unit has begun, that unit is finished and no other is begun."""
    told: list[str] = []

    def enough() -> bool:
        return told.count("Begun") == 2

    for message in LocalExecutor().run(ECHO, _units(TONE, SILENCE, TONE), should_stop=enough):
        told += _names([message])
    assert told == ["Hello", "Begun", "Done", "Begun", "Done"]


def test_a_thread_that_ends_takes_no_worker_along():
    """A run that one thread begins and another ends goes on: the worker is bound to the process."""
    messages = LocalExecutor().run(ECHO, _units(TONE, TONE))
    told: list[WorkerMessage] = []
    thread = threading.Thread(target=lambda: told.extend(next(messages) for _ in range(3)))
    thread.start()
    thread.join()
    assert _names([*told, *messages]) == ["Hello", *["Begun", "Done"] * 2]


@pytest.mark.parametrize("given", [{"workers": 0}, {"load_seconds": 0}], ids=["workers", "load-seconds"])
def test_numbers_out_of_range_are_refused(given: dict[str, Any]):
    """No worker, or no time to load, is a mistake."""
    (name,) = given
    with pytest.raises(asrlab.OptionError, match=name):
        LocalExecutor(**given)


def test_an_array_larger_than_a_pipe_arrives(mixed: list[WorkerMessage]):
    """A minute of samples, which no pipe holds at once, arrives whole."""
    (last,) = (done for done in _done(mixed) if done.key[0] == 6)
    assert last.transcript is not None
    assert last.transcript.duration == 60


def test_what_was_lost_to_memory_waits_for_the_others_to_end():
    """What ran out of memory comes last, by itself, and only while nothing else is at work."""
    (first, second, third) = _units(TONE, TONE, TONE)
    backlog = RetryQueue([first, second, third])
    assert backlog.take(at_work=False) is first
    assert backlog.put_back(first.items[0], kind="oom", single=True)
    assert backlog.take(at_work=True) is second
    assert backlog.put_back(second.items[0], kind="crashed", single=True)
    assert [backlog.take(at_work=True) for _ in range(3)] == [third, WorkUnit(items=second.items), None]
    assert backlog.take(at_work=False) == WorkUnit(items=first.items)
    assert not backlog.put_back(first.items[0], kind="oom", single=True)


def test_an_item_lost_in_a_batch_has_its_try_alone():
    """Losses in an earlier session count, but the last one is always of the item by itself."""
    item = attrs.evolve(_unit(TONE).items[0], lost_before=1)
    backlog = RetryQueue([WorkUnit(items=(item,))])
    assert backlog.put_back(item, kind="crashed", single=False)
    assert not backlog.put_back(item, kind="crashed", single=True)
