"""The main function of a worker process, which loads one model and transcribes the units that it receives.

A process of its own has the peak memory of one model, and contains a native crash.
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

from asrlab.environment import peak_resident_bytes
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

_POLL_INTERVAL_S = 0.5


def main(parent: int, *, use_death_signal: bool) -> None:
    """Serve one job until the input ends; the arguments are those of `exit_with_parent`."""
    exit_with_parent(parent, use_death_signal=use_death_signal)
    # the parent process has reported broken plugins
    logging.getLogger("asrlab.plugins").setLevel(logging.CRITICAL)
    requests, answers = _take_pipes()
    try:
        with guard_streams(stdout_is_data=False):  # an engine may print text from an untrusted recording
            _serve(requests, answers)
    except BrokenPipeError:  # the parent has ended; discard what remains to be flushed
        os.dup2(os.open(os.devnull, os.O_WRONLY), answers.fileno())


def _serve(requests: BinaryIO, answers: BinaryIO) -> None:
    messages = _messages(requests)
    job = next(messages, None)
    if not isinstance(job, ModelJob):  # the parent has ended already
        return
    try:
        transcriber = load_job(job)
    except Exception as error:  # noqa: BLE001 - any error is reported to the parent
        _send(answers, to_failure(error))
        return
    detector = SpeechDetector()
    with transcriber:
        _send(answers, model_loaded_message(transcriber, job))
        for unit in messages:
            assert isinstance(unit, WorkUnit)  # noqa: S101 - only units follow the job
            if any(item.timeout_s is None for item in unit.items):
                _send(answers, _time_limits(unit))
            for finished in transcribe_unit(transcriber, unit, job, detector):
                _send(answers, attrs.evolve(finished, peak_resident_bytes=peak_resident_bytes()))
                if finished.failure is not None and finished.failure.kind == OOM:
                    return  # another worker takes over


def _time_limits(unit: WorkUnit) -> TimeLimits:
    limits = {
        item.key: utterance_timeout(item.audio) if item.timeout_s is None else item.timeout_s for item in unit.items
    }
    return TimeLimits(seconds=limits)


def _take_pipes() -> tuple[BinaryIO, BinaryIO]:
    """Return the pipes from and to the parent; engines then read nothing, and print to standard error."""
    requests, answers = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    devnull = os.open(os.devnull, os.O_RDONLY)
    os.dup2(devnull, 0)
    os.close(devnull)
    sys.stdout.flush()
    os.dup2(2, 1)
    return requests, answers


def _messages(requests: BinaryIO) -> Iterator[object]:
    while (data := read_frame(requests)) is not None:
        yield pickle.loads(data)  # noqa: S301 - written by the parent


def _send(stream: BinaryIO, message: WorkerReady | TimeLimits | ItemFinished | Failure) -> None:
    try:
        data = pickle.dumps(message)
    except Exception as error:  # noqa: BLE001 - an engine's records may hold any object
        failure = attrs.evolve(to_failure(error), message=f"the engine's result cannot be sent: {error}")
        data = pickle.dumps(
            ItemFinished(key=message.key, failure=failure) if isinstance(message, ItemFinished) else failure
        )
    write_frame(stream, data)


_PR_SET_PDEATHSIG = 1  # prctl(2)


def exit_with_parent(parent: int, *, use_death_signal: bool) -> None:
    """End this process when its parent ends, for whatever reason.

    Linux kills the process, whatever it is doing. On other systems a thread polls the parent's id, which does not help
    if native code hangs without releasing the GIL.

    Args:
        parent: Id of the parent process.
        use_death_signal: Use PR_SET_PDEATHSIG. Linux ties it to the forking *thread*, so pass True only if the main
            thread started this process.
    """
    if not (use_death_signal and _set_death_signal()):
        threading.Thread(target=_poll_parent, args=(parent,), name="asrlab-parent-death", daemon=True).start()
    if os.getppid() != parent:  # the parent ended before the signal was set
        os._exit(1)


def _set_death_signal() -> bool:
    try:
        prctl = ctypes.CDLL(None).prctl
    except AttributeError:  # not Linux
        return False
    zero = ctypes.c_ulong(0)
    return bool(prctl(_PR_SET_PDEATHSIG, ctypes.c_ulong(signal.SIGKILL), zero, zero, zero) == 0)


def _poll_parent(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(_POLL_INTERVAL_S)
    os._exit(1)


_LENGTH_BYTES = 8


def write_frame(stream: BinaryIO, data: bytes) -> None:
    """Write a pickled message with its length, and flush."""
    stream.write(len(data).to_bytes(_LENGTH_BYTES))
    stream.write(data)
    stream.flush()


def read_frame(stream: BinaryIO) -> bytes | None:
    """Return the next pickled message; None if the other side has ended, even within a message.

    The length marks the next message, so that a message that cannot be unpickled does not affect the others.
    """
    head = stream.read(_LENGTH_BYTES)
    length = int.from_bytes(head)
    data = stream.read(length) if len(head) == _LENGTH_BYTES else b""
    return data if head and len(data) == length else None
