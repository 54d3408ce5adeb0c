"""The process that loads one model and transcribes what it is sent.

A process of its own, so that its peak memory is that of one model, and a native crash takes nothing else along.
"""

from __future__ import annotations

import logging
import os
import pickle
import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING, BinaryIO

import attrs

from asrlab.audio import AudioSource
from asrlab.errors import AudioError
from asrlab.loading import load
from asrlab.metrics import peak_resident_bytes
from asrlab.plugins.manager import PluginHost
from asrlab.runs.gates import has_words
from asrlab.runs.local.lifeline import end_with_parent
from asrlab.runs.local.memory_watch import ran_out_of_memory
from asrlab.runs.local.pipes import read_frame, write_frame
from asrlab.runs.machine import backend
from asrlab.runs.messages import OOM, Done, Hello, Item, Job, Unit
from asrlab.runs.records import Failure
from asrlab.transcriber import Transcriber
from asrlab.transcript import Outcome

if TYPE_CHECKING:
    from asrlab.longform import VoiceActivity

__all__ = ["main"]


def main(parent: int, *, bound: bool) -> None:
    """Serve one job until the input ends; the arguments are those of `end_with_parent`."""
    end_with_parent(parent, bound=bound)
    # broken plugins have been reported by the process that started this one
    logging.getLogger("asrlab.plugins").setLevel(logging.CRITICAL)
    questions, answers = _take_pipes()
    try:
        _serve(questions, answers)
    except BrokenPipeError:  # the other side is gone, and nobody waits for what is left to flush
        os.dup2(os.open(os.devnull, os.O_WRONLY), answers.fileno())


def _serve(questions: BinaryIO, answers: BinaryIO) -> None:
    messages = _messages(questions)
    job = next(messages, None)
    if not isinstance(job, Job):  # the other side has ended already
        return
    try:
        transcriber = _load(job)
    except Exception as error:  # noqa: BLE001 - reported to the other side, whatever it is
        _send(answers, failure_of(error))
        return
    ear = _Ear()
    with transcriber:
        _send(answers, _hello(transcriber))
        for unit in messages:
            assert isinstance(unit, Unit)  # noqa: S101 - nothing else comes after the job
            for done in _transcribe(transcriber, unit, job, ear):
                _send(answers, attrs.evolve(done, peak_resident_bytes=peak_resident_bytes()))
                if done.failure is not None and done.failure.kind == OOM:
                    return  # another worker takes over


def _load(job: Job) -> Transcriber:
    transcriber = load(
        job.model,
        device=job.device,
        compute_type=job.compute_type,
        threads=job.threads,
        patches=job.patches,
        offline=True,
        host=PluginHost(points=job.points, disabled=job.disabled),
    )
    transcriber.info.capabilities.check(job.options, model=transcriber.info.model.name)
    return transcriber


def _hello(transcriber: Transcriber) -> Hello:
    return Hello(
        info=transcriber.info,
        load_time=transcriber.load_time,
        patches=transcriber.patch_report,
        backend=backend(transcriber.info.device.resolved.partition(":")[0]),
        peak_resident_bytes=peak_resident_bytes(),
    )


def _take_pipes() -> tuple[BinaryIO, BinaryIO]:
    """The pipes from and to the other side; engines read nothing, and what they print goes to standard error."""
    questions, answers = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    sys.stdout.flush()
    os.dup2(2, 1)
    return questions, answers


def _messages(questions: BinaryIO) -> Iterator[object]:
    while (data := read_frame(questions)) is not None:
        yield pickle.loads(data)  # noqa: S301 - written by the process that started this one


def _send(stream: BinaryIO, message: Hello | Done | Failure) -> None:
    try:
        data = pickle.dumps(message)
    except Exception as error:  # noqa: BLE001 - an engine's records may hold anything
        failure = attrs.evolve(failure_of(error), message=f"the engine's result cannot be sent: {error}")
        data = pickle.dumps(Done(key=message.key, failure=failure) if isinstance(message, Done) else failure)
    write_frame(stream, data)


def failure_of(error: Exception) -> Failure:
    """What is told of an error."""
    name = type(error).__name__
    if ran_out_of_memory(error):
        return Failure(kind=OOM, message=f"{name}: {error}")
    reason = error.reason if isinstance(error, AudioError) else ""
    return Failure(kind=name, message=str(error) or repr(error), reason=reason)


def _transcribe(transcriber: Transcriber, unit: Unit, job: Job, ear: _Ear) -> Iterator[Done]:
    """Each item's outcome as soon as it is there."""
    for outcome in transcriber.transcribe_many([item.audio for item in unit.items], options=job.options):
        yield _done(unit.items[outcome.index], outcome, ear)


def _done(item: Item, outcome: Outcome, ear: _Ear) -> Done:
    if outcome.transcript is None:
        assert isinstance(outcome.error, Exception)  # noqa: S101 - one of the two is there
        return Done(key=item.key, failure=failure_of(outcome.error))
    doubtful = item.listen or not has_words(outcome.transcript.text)
    return Done(key=item.key, transcript=outcome.transcript, voiced=ear.voiced(item.audio) if doubtful else None)


class _Ear:
    """Looks for speech; the model for it is loaded once, and only if it is needed."""

    def __init__(self) -> None:
        self._voice: VoiceActivity | None = None

    def voiced(self, audio: AudioSource) -> float | None:
        from asrlab.longform import find_voice
        from asrlab.runs.voice import voiced_seconds

        if self._voice is None:
            self._voice = find_voice()
        return voiced_seconds(audio, voice=self._voice)
