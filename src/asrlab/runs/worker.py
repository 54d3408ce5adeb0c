"""The process that loads one model and transcribes what it is sent.

A process of its own, so that its peak memory is that of one model, and a native crash takes nothing else along.
"""

from __future__ import annotations

import logging
import os
import pickle
import sys
from collections.abc import Iterator
from contextlib import suppress
from typing import BinaryIO

import attrs

from asrlab.loading import load
from asrlab.metrics import peak_resident_bytes
from asrlab.plugins.manager import PluginHost
from asrlab.runs.messages import Done, Failure, Job, Loaded, Unit
from asrlab.transcriber import Transcriber

__all__ = ["main"]


def main() -> None:
    """Serve one job until the input ends."""
    # broken plugins have been reported by the process that started this one
    logging.getLogger("asrlab.plugins").setLevel(logging.CRITICAL)
    questions, answers = _take_pipes()
    try:
        _serve(questions, answers)
    except BrokenPipeError:  # the other side is gone, and nobody waits for what is left to flush
        os.dup2(os.open(os.devnull, os.O_WRONLY), answers.fileno())


def _serve(questions: BinaryIO, answers: BinaryIO) -> None:
    job: Job = pickle.load(questions)  # noqa: S301 - written by the process that started this one
    try:
        transcriber = _load(job)
    except Exception as error:  # noqa: BLE001 - reported to the other side, whatever it is
        _send(answers, _failure(error))
        return
    with transcriber:
        hello = Loaded(
            info=transcriber.info, load_time=transcriber.load_time, peak_resident_bytes=peak_resident_bytes()
        )
        _send(answers, hello)
        for unit in _units(questions):
            done = attrs.evolve(_transcribe(transcriber, unit, job), peak_resident_bytes=peak_resident_bytes())
            _send(answers, done)


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


def _take_pipes() -> tuple[BinaryIO, BinaryIO]:
    """The pipes from and to the other side; engines read nothing, and what they print goes to standard error."""
    questions, answers = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    sys.stdout.flush()
    os.dup2(2, 1)
    return questions, answers


def _units(questions: BinaryIO) -> Iterator[Unit]:
    with suppress(EOFError):
        while True:
            yield pickle.load(questions)  # noqa: S301 - written by the process that started this one


def _send(stream: BinaryIO, message: Loaded | Done | Failure) -> None:
    try:
        data = pickle.dumps(message)  # whole before the first byte is written
    except Exception as error:  # noqa: BLE001 - an engine's records may hold anything
        failure = Failure(kind=type(error).__name__, message=f"the engine's result cannot be sent: {error}")
        data = pickle.dumps(Done(index=message.index, failure=failure) if isinstance(message, Done) else failure)
    stream.write(data)
    stream.flush()


def _failure(error: Exception) -> Failure:
    return Failure(kind=type(error).__name__, message=str(error) or repr(error))


def _transcribe(transcriber: Transcriber, unit: Unit, job: Job) -> Done:
    outcome = next(transcriber.transcribe_many([unit.audio], options=job.options))
    if outcome.error is not None:
        return Done(index=unit.index, failure=_failure(outcome.error))
    return Done(index=unit.index, transcript=outcome.transcript)
