"""The process that loads one model and transcribes what it is sent.

A process of its own, so that its peak memory is that of one model, and a native crash takes nothing else along.
"""

from __future__ import annotations

import ctypes
import logging
import os
import pickle
import signal
import sys
import threading
import time
from collections.abc import Iterator
from typing import BinaryIO

import attrs

from asrlab.evaluation.metrics import peak_resident_bytes
from asrlab.evaluation.runs.executor import (
    OOM,
    ItemFinished,
    ModelJob,
    TimeLimits,
    WorkerReady,
    WorkUnit,
    utterance_timeout,
)
from asrlab.evaluation.runs.job import SpeechDetector, load_job, model_loaded_message, to_failure, transcribe_unit
from asrlab.evaluation.runs.records import Failure
from asrlab.terminal import guard_streams


def main(parent: int, *, bound: bool) -> None:
    """Serve one job until the input ends; the arguments are those of `exit_with_parent`."""
    exit_with_parent(parent, bound=bound)
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
    if not isinstance(job, ModelJob):  # the other side has ended already
        return
    try:
        transcriber = load_job(job)
    except Exception as error:  # noqa: BLE001 - reported to the other side, whatever it is
        _send(answers, to_failure(error))
        return
    ear = SpeechDetector()
    with transcriber:
        _send(answers, model_loaded_message(transcriber, job))
        for unit in messages:
            assert isinstance(unit, WorkUnit)  # noqa: S101 - nothing else comes after the job
            if any(item.seconds is None for item in unit.items):
                _send(answers, _time_limits(unit))
            for done in transcribe_unit(transcriber, unit, job, ear):
                _send(answers, attrs.evolve(done, peak_resident_bytes=peak_resident_bytes()))
                if done.failure is not None and done.failure.kind == OOM:
                    return  # another worker takes over


def _time_limits(unit: WorkUnit) -> TimeLimits:
    """Return what each item may take, by its own limit or by the duration that its audio declares."""
    limits = {item.key: utterance_timeout(item.audio) if item.seconds is None else item.seconds for item in unit.items}
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


def _send(stream: BinaryIO, message: WorkerReady | TimeLimits | ItemFinished | Failure) -> None:
    try:
        data = pickle.dumps(message)
    except Exception as error:  # noqa: BLE001 - an engine's records may hold anything
        failure = attrs.evolve(to_failure(error), message=f"the engine's result cannot be sent: {error}")
        data = pickle.dumps(
            ItemFinished(key=message.key, failure=failure) if isinstance(message, ItemFinished) else failure
        )
    write_frame(stream, data)


_PR_SET_PDEATHSIG = 1  # prctl(2)
_LOOK_S = 0.5


def exit_with_parent(parent: int, *, bound: bool) -> None:
    """End this process when its parent ends, however that ends.

    Linux kills it, whatever it is doing. Elsewhere a thread looks who the parent is, which does not help against
    native code that hangs without letting other threads run.

    Args:
        parent: The process that this one was started by.
        bound: Whether the kernel may be asked: what it takes for the parent is the thread that started this process, so
            only if that thread lives as long as its process.
    """
    if not (bound and _killed_by_kernel()):
        threading.Thread(target=_watch, args=(parent,), name="asrlab-lifeline", daemon=True).start()
    if os.getppid() != parent:  # it ended before the kernel was asked
        os._exit(1)


def _killed_by_kernel() -> bool:
    try:
        prctl = ctypes.CDLL(None).prctl
    except AttributeError:  # not Linux
        return False
    nothing = ctypes.c_ulong(0)
    return bool(prctl(_PR_SET_PDEATHSIG, ctypes.c_ulong(signal.SIGKILL), nothing, nothing, nothing) == 0)


def _watch(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(_LOOK_S)
    os._exit(1)


_LENGTH_BYTES = 8


def write_frame(stream: BinaryIO, data: bytes) -> None:
    """Write a pickled message, and flush."""
    stream.write(len(data).to_bytes(_LENGTH_BYTES))
    stream.write(data)
    stream.flush()


def read_frame(stream: BinaryIO) -> bytes | None:
    """The next pickled message; None where the other side has ended, if need be in the middle of one.

    The length tells where the next message begins, so that one that cannot be unpickled is lost alone.
    """
    head = stream.read(_LENGTH_BYTES)
    length = int.from_bytes(head)
    data = stream.read(length) if len(head) == _LENGTH_BYTES else b""
    return data if head and len(data) == length else None
