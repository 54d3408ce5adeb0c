"""The process that loads one model and transcribes what it is sent: ``python -m asrlab.runs.worker``.

A process of its own, so that its peak memory is that of one model, and a native crash takes nothing else along.
"""

from __future__ import annotations

import os
import pickle
import sys
from typing import BinaryIO

from asrlab.loading import load
from asrlab.metrics import peak_resident_bytes
from asrlab.runs.messages import Done, Failure, Finished, Job, Loaded, Unit
from asrlab.transcriber import Transcriber

__all__ = ["main"]


def main() -> None:
    """Serve one job until the input ends."""
    answers = _take_stdout()
    questions = sys.stdin.buffer
    job: Job = pickle.load(questions)  # noqa: S301 - written by the process that started this one
    try:
        transcriber = load(
            job.model, device=job.device, compute_type=job.compute_type, threads=job.threads, offline=True
        )
        transcriber.info.capabilities.check(job.options, model=job.model)
    except Exception as error:  # noqa: BLE001 - reported to the other side, whatever it is
        _send(answers, _failure(error))
        return
    with transcriber:
        _send(answers, Loaded(info=transcriber.info, load_time=transcriber.load_time))
        while isinstance(unit := pickle.load(questions), Unit):  # noqa: S301 - as above
            _send(answers, _transcribe(transcriber, unit, job))
        _send(answers, Finished(peak_resident_bytes=peak_resident_bytes()))


def _take_stdout() -> BinaryIO:
    """The pipe to the other side; what engines print goes to standard error from here on."""
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    return answers


def _send(stream: BinaryIO, message: object) -> None:
    pickle.dump(message, stream)
    stream.flush()


def _failure(error: Exception) -> Failure:
    return Failure(kind=type(error).__name__, message=str(error) or repr(error))


def _transcribe(transcriber: Transcriber, unit: Unit, job: Job) -> Done:
    outcome = next(transcriber.transcribe_many([unit.audio], options=job.options))
    if outcome.error is not None:
        return Done(index=unit.index, failure=_failure(outcome.error))
    return Done(index=unit.index, transcript=outcome.transcript)


if __name__ == "__main__":
    main()
