"""Processes on this machine run units in order, report the facts, and stop on request."""

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
    WorkItem,
    WorkUnit,
)
from asrlab.evaluation.runs.manifest import BenchRequest
from asrlab.evaluation.runs.records import Failure, ModelLoaded
from asrlab.evaluation.runs.worker_pool import LocalExecutor, RetryQueue

if TYPE_CHECKING:
    from collections.abc import Iterable

ECHO = ModelJob(model="echo")
TONE = Audio(samples=(0.1 * np.sin(np.arange(1600) / 5)).astype(np.float32), sample_rate=16_000)
MINUTE = Audio(samples=np.full(16_000 * 60, 0.5, np.float32), sample_rate=16_000)
SILENCE = Audio(samples=np.zeros(1600, np.float32), sample_rate=16_000)


def _unit(*audio: Any, start: int = 0, detect_speech: bool = False) -> WorkUnit:
    items = (
        WorkItem(key=(start + n, 0), audio=each, timeout_s=60, detect_speech=detect_speech)
        for n, each in enumerate(audio)
    )
    return WorkUnit(items=tuple(items))


def _units(*audio: Any) -> list[WorkUnit]:
    return [_unit(each, start=number) for number, each in enumerate(audio)]


def _names(messages: Iterable[WorkerMessage]) -> list[str]:
    return [type(message).__name__ for message in messages]


def _done(messages: Iterable[WorkerMessage]) -> list[ItemFinished]:
    return [message for message in messages if isinstance(message, ItemFinished)]


@pytest.fixture(scope="module")
def mixed(tmp_path_factory: pytest.TempPathFactory) -> list[WorkerMessage]:
    """Messages for a batch with an open file, an open file, a broken file, silence, a minute of audio, and warm-ups."""
    broken = tmp_path_factory.mktemp("broken") / "broken.wav"
    broken.write_bytes(b"")
    with broken.open("rb") as file:
        units = [_unit(TONE, file, SILENCE), _unit(file, start=3), _unit(broken, start=4)]
        units += [_unit(SILENCE, start=5, detect_speech=True), _unit(MINUTE, start=6)]
        warmups = [_unit(TONE, start=90), _unit(file, start=91)]
        return list(LocalExecutor().run(ECHO, units, warmups=warmups))


def test_one_worker_keeps_the_order(mixed: list[WorkerMessage]):
    """One worker starts units in order, each after the outcomes of the last; warm-ups are not reported."""
    assert _names(mixed) == [
        "ModelLoaded",
        "ItemsStarted",
        *["ItemFinished"] * 3,
        *["ItemsStarted", "ItemFinished"] * 4,
    ]
    assert [message.keys for message in mixed if isinstance(message, ItemsStarted)] == [
        ((0, 0), (1, 0), (2, 0)), ((3, 0),), ((4, 0),), ((5, 0),), ((6, 0),)
    ]  # fmt: skip
    assert {done.key[0] for done in _done(mixed)} == set(range(7))


def test_a_loaded_worker_reports_the_facts(mixed: list[WorkerMessage]):
    """The first message has model facts, load time, patches and backend."""
    hello = mixed[0]
    assert isinstance(hello, ModelLoaded)
    assert (hello.info.model.name, hello.patches, hello.backend) == ("echo/echo", (), "")
    assert hello.load_time > 0


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
    """An empty file is not tried again; the failure has the error's reason."""
    (failed,) = (done for done in _done(mixed) if done.key[0] == 4)
    assert failed.failure is not None
    assert (failed.failure.kind, failed.failure.reason) == ("AudioError", "empty")
    assert (failed.peak_resident_bytes or 0) > 2**20


def test_speech_is_measured_only_on_request(mixed: list[WorkerMessage]):
    """Digital silence has no speech, and an item with a text is not measured."""
    assert {done.key[0]: done.speech_s for done in _done(mixed)} == {n: 0.0 if n == 5 else None for n in range(7)}


def test_a_job_without_units_loads_the_model():
    """Without units the model is loaded, and nothing else happens."""
    assert _names(LocalExecutor(workers=3).run(ECHO, [])) == ["ModelLoaded"]


def test_an_option_that_the_model_lacks_is_a_failure_to_load():
    """Options are checked against the capabilities of the loaded model."""
    job = attrs.evolve(ECHO, request=BenchRequest(options=asrlab.TranscribeOptions(beam_size=5)))
    (failure,) = LocalExecutor().run(job, _units(TONE))
    assert isinstance(failure, Failure)
    assert failure.kind == "OptionError"


def test_a_started_unit_is_awaited_after_a_stop():
    """After a stop during the second unit, that unit finishes and no other starts."""
    received: list[str] = []

    def enough() -> bool:
        return received.count("ItemsStarted") == 2

    for message in LocalExecutor().run(ECHO, _units(TONE, SILENCE, TONE), should_stop=enough):
        received += _names([message])
    assert received == ["ModelLoaded", "ItemsStarted", "ItemFinished", "ItemsStarted", "ItemFinished"]


def test_a_worker_survives_the_thread_that_started_it():
    """A run that one thread starts and another finishes continues: the worker is bound to the process."""
    messages = LocalExecutor().run(ECHO, _units(TONE, TONE))
    received: list[WorkerMessage] = []
    thread = threading.Thread(target=lambda: received.extend(next(messages) for _ in range(3)))
    thread.start()
    thread.join()
    assert _names([*received, *messages]) == ["ModelLoaded", *["ItemsStarted", "ItemFinished"] * 2]


@pytest.mark.parametrize("given", [{"workers": 0}, {"load_seconds": 0}], ids=["workers", "load-seconds"])
def test_numbers_out_of_range_are_refused(given: dict[str, Any]):
    """No worker, or no time to load, is a mistake."""
    (name,) = given
    with pytest.raises(asrlab.OptionError, match=name):
        LocalExecutor(**given)


def test_an_array_larger_than_a_pipe_arrives(mixed: list[WorkerMessage]):
    """A minute of samples, which no pipe holds at once, arrives complete."""
    (last,) = (done for done in _done(mixed) if done.key[0] == 6)
    assert last.transcript is not None
    assert last.transcript.duration == 60


def test_an_item_lost_to_memory_waits_for_the_others():
    """An item that ran out of memory comes last, alone, and only while no other is at work."""
    (first, second, third) = _units(TONE, TONE, TONE)
    backlog = RetryQueue([first, second, third])
    assert backlog.take(at_work=False) is first
    assert backlog.put_back(first.items[0], kind="oom", is_single=True)
    assert backlog.take(at_work=True) is second
    assert backlog.put_back(second.items[0], kind="crashed", is_single=True)
    assert [backlog.take(at_work=True) for _ in range(3)] == [third, WorkUnit(items=second.items), None]
    assert backlog.take(at_work=False) == WorkUnit(items=first.items)
    assert not backlog.put_back(first.items[0], kind="oom", is_single=True)


def test_an_item_lost_in_a_batch_is_retried_alone():
    """Losses in an earlier session count, but the last attempt is always of the item alone."""
    item = attrs.evolve(_unit(TONE).items[0], previous_losses=1)
    backlog = RetryQueue([WorkUnit(items=(item,))])
    assert backlog.put_back(item, kind="crashed", is_single=False)
    assert not backlog.put_back(item, kind="crashed", is_single=True)
