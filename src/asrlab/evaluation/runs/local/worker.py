"""The process that loads one model and transcribes what it is sent.

A process of its own, so that its peak memory is that of one model, and a native crash takes nothing else along.
"""

from __future__ import annotations

import logging
import os
import pickle
import sys
from collections.abc import Iterator
from typing import BinaryIO

import attrs

from asrlab.evaluation.metrics import peak_resident_bytes
from asrlab.evaluation.runs.deadlines import seconds_for
from asrlab.evaluation.runs.local.lifeline import end_with_parent
from asrlab.evaluation.runs.local.pipes import read_frame, write_frame
from asrlab.evaluation.runs.messages import OOM, Done, Hello, Job, TimeLimits, Unit
from asrlab.evaluation.runs.records import Failure
from asrlab.evaluation.runs.work import Ear, failure_of, hello_of, load_job, transcribe_unit
from asrlab.terminal import guard_streams

__all__ = ["main"]


def main(parent: int, *, bound: bool) -> None:
    """Serve one job until the input ends; the arguments are those of `end_with_parent`."""
    end_with_parent(parent, bound=bound)
    # broken plugins have been reported by the process that started this one
    logging.getLogger("asrlab.plugins").setLevel(logging.CRITICAL)
    questions, answers = _take_pipes()
    try:
        with guard_streams(stdout_is_data=False):  # what an engine prints may come from a stranger's recording
            _serve(questions, answers)
    except BrokenPipeError:  # the other side is gone, and nobody waits for what is left to flush
        os.dup2(os.open(os.devnull, os.O_WRONLY), answers.fileno())


def _serve(questions: BinaryIO, answers: BinaryIO) -> None:
    messages = _messages(questions)
    job = next(messages, None)
    if not isinstance(job, Job):  # the other side has ended already
        return
    try:
        transcriber = load_job(job)
    except Exception as error:  # noqa: BLE001 - reported to the other side, whatever it is
        _send(answers, failure_of(error))
        return
    ear = Ear()
    with transcriber:
        _send(answers, hello_of(transcriber, job))
        for unit in messages:
            assert isinstance(unit, Unit)  # noqa: S101 - nothing else comes after the job
            if any(item.seconds is None for item in unit.items):
                _send(answers, _time_limits(unit))
            for done in transcribe_unit(transcriber, unit, job, ear):
                _send(answers, attrs.evolve(done, peak_resident_bytes=peak_resident_bytes()))
                if done.failure is not None and done.failure.kind == OOM:
                    return  # another worker takes over


def _time_limits(unit: Unit) -> TimeLimits:
    """Return what each item may take, by its own limit or by the duration that its audio declares."""
    limits = {item.key: seconds_for(item.audio) if item.seconds is None else item.seconds for item in unit.items}
    return TimeLimits(seconds=limits)


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


def _send(stream: BinaryIO, message: Hello | TimeLimits | Done | Failure) -> None:
    try:
        data = pickle.dumps(message)
    except Exception as error:  # noqa: BLE001 - an engine's records may hold anything
        failure = attrs.evolve(failure_of(error), message=f"the engine's result cannot be sent: {error}")
        data = pickle.dumps(Done(key=message.key, failure=failure) if isinstance(message, Done) else failure)
    write_frame(stream, data)
