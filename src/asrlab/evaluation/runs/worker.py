"""The work of a run's worker process: loading one model, and transcribing the units that arrive.

A process of its own has the peak memory of one model, and contains a native crash.
"""

from __future__ import annotations

import ctypes
import errno
import logging
import os
import pickle
import signal
import threading
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING, BinaryIO

import attrs

from asrlab.audio import AudioSource
from asrlab.engine.transcriber import Transcriber
from asrlab.environment import peak_resident_bytes, torch_build
from asrlab.errors import AsrlabError, AudioError
from asrlab.evaluation.runs.executor import OOM, ItemFinished, ModelJob, TimeLimits, WorkUnit, utterance_timeout
from asrlab.evaluation.runs.gates import has_words
from asrlab.evaluation.runs.records import Failure, ModelLoaded
from asrlab.isolation import read_frame, take_pipes, write_frame
from asrlab.loading import load
from asrlab.plugins.manager import PluginHost
from asrlab.terminal import guard_streams

if TYPE_CHECKING:
    from asrlab.vad import VoiceActivityDetector

OOM_PATTERNS = (
    "out of memory",  # torch on CUDA and MPS, CTranslate2, CUDA itself
    "bad_alloc",
    "bad allocation",
    "allocate memory",  # torch on a CPU, ONNX Runtime, strerror(ENOMEM)
    "alloc_failed",  # CUBLAS_STATUS_ALLOC_FAILED, CUDNN_STATUS_ALLOC_FAILED
)
"""Lower-case parts of engines' messages about too little memory."""
_POLL_INTERVAL_S = 0.5
_PR_SET_PDEATHSIG = 1  # prctl(2)


def main(parent: int, *, use_death_signal: bool) -> None:
    """Serve one job until the input ends; the arguments are those of `exit_with_parent`."""
    exit_with_parent(parent, use_death_signal=use_death_signal)
    # the parent process has reported broken plugins
    logging.getLogger("asrlab.plugins").setLevel(logging.CRITICAL)
    requests, answers = take_pipes()
    try:
        with guard_streams(stdout_is_data=False):  # an engine may print text from an untrusted recording
            _serve(requests, answers)
    except BrokenPipeError:  # the parent has ended; discard what remains to be flushed
        os.dup2(os.open(os.devnull, os.O_WRONLY), answers.fileno())


def _serve(requests: BinaryIO, answers: BinaryIO) -> None:
    data = read_frame(requests)
    if data is None:  # the parent has ended already
        return
    job: ModelJob = pickle.loads(data)  # noqa: S301 - written by the parent
    try:
        transcriber = load_job(job)
    except Exception as error:  # noqa: BLE001 - any error is reported to the parent
        _send(answers, to_failure(error))
        return
    detector = SpeechDetector()
    with transcriber:
        _send(answers, describe_model(transcriber, job))
        while (data := read_frame(requests)) is not None:
            unit: WorkUnit = pickle.loads(data)  # noqa: S301 - written by the parent
            if any(item.timeout_s is None for item in unit.items):
                limits = {item.key: item.timeout_s or utterance_timeout(item.audio) for item in unit.items}
                _send(answers, TimeLimits(seconds=limits))
            for finished in transcribe_unit(transcriber, unit, job, detector):
                _send(answers, attrs.evolve(finished, peak_resident_bytes=peak_resident_bytes()))
                if finished.failure is not None and finished.failure.kind == OOM:
                    return  # another worker takes over


def _send(stream: BinaryIO, message: ModelLoaded | TimeLimits | ItemFinished | Failure) -> None:
    try:
        data = pickle.dumps(message)
    except Exception as error:  # noqa: BLE001 - an engine's records may hold any object
        failure = attrs.evolve(to_failure(error), message=f"the engine's result cannot be sent: {error}")
        data = pickle.dumps(
            ItemFinished(key=message.key, failure=failure) if isinstance(message, ItemFinished) else failure
        )
    write_frame(stream, data)


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


def load_job(job: ModelJob) -> Transcriber:
    """Load the model of *job*.

    Raises:
        AsrlabError: If the model cannot be loaded, or does not support the job's options.
    """
    request = job.request
    transcriber = load(
        job.model,
        device=request.device,
        compute_type=request.compute_type,
        threads=request.threads,
        patches=request.patches,
        offline=True,
        host=PluginHost(points=job.points, disabled=job.disabled),
    )
    transcriber.info.capabilities.check(request.options, model=transcriber.info.model.name)
    if job.unit_size > 1:
        start = time.monotonic()
        transcriber.prepare_batching(request.batching)
        transcriber.load_time += time.monotonic() - start
    return transcriber


def describe_model(transcriber: Transcriber, job: ModelJob) -> ModelLoaded:
    """Return the message about the loaded model of *job*."""
    return ModelLoaded(
        model=job.model,
        number=0,
        info=transcriber.info,
        load_time=transcriber.load_time,
        patches=transcriber.patch_report,
        backend=torch_build(transcriber.info.device.resolved.partition(":")[0]),
        batching=transcriber.batching(job.request.batching) if job.unit_size > 1 else None,
    )


def to_failure(error: Exception) -> Failure:
    """Return the record of *error*; of kind `OOM` if the memory did not suffice."""
    name = type(error).__name__
    if is_out_of_memory(error):
        return Failure(kind=OOM, message=f"{name}: {error}")
    reason = error.reason if isinstance(error, AudioError) else ""
    return Failure(kind=name, message=str(error) or repr(error), reason=reason)


def is_out_of_memory(error: BaseException) -> bool:
    """Return whether *error*, or an error that caused it, reports too little memory.

    An ``AudioError`` never does: a damaged header may ask for any amount.
    """
    match error:
        case AudioError():
            return False
        case OSError():
            is_reported = error.errno == errno.ENOMEM
        case AsrlabError():  # the message quotes paths and names, which may contain any text
            is_reported = False
        case _:
            message = str(error).lower()
            is_reported = isinstance(error, MemoryError) or any(pattern in message for pattern in OOM_PATTERNS)
    return is_reported or (error.__cause__ is not None and is_out_of_memory(error.__cause__))


def transcribe_unit(
    transcriber: Transcriber, unit: WorkUnit, job: ModelJob, detector: SpeechDetector
) -> Iterator[ItemFinished]:
    """Transcribe *unit* and yield the outcome of each item as soon as it is known."""
    options = job.request.options
    for result in transcriber.transcribe_many(
        [item.audio for item in unit.items], options=options, batching=job.request.batching, in_order=False
    ):
        item = unit.items[result.index]
        if result.transcript is None:
            assert isinstance(result.error, Exception)  # noqa: S101 - a result has a transcript or an error
            yield ItemFinished(key=item.key, failure=to_failure(result.error))
            continue
        needs_detection = item.detect_speech or not has_words(result.transcript.text)
        speech_s = detector.speech_seconds(item.audio, track=options.track) if needs_detection else None
        yield ItemFinished(key=item.key, transcript=result.transcript, speech_s=speech_s)


class SpeechDetector:
    """A measure of speech in audio whose model is loaded once, when first needed."""

    def __init__(self) -> None:
        self._vad: VoiceActivityDetector | None = None

    def speech_seconds(self, audio: AudioSource, *, track: int | None = None) -> float | None:
        """Return the seconds of speech in *audio*; None if they cannot be measured."""
        from asrlab.vad import load_vad
        from asrlab.vad.chunking import speech_seconds

        if self._vad is None:
            self._vad = load_vad()
        return speech_seconds(audio, vad=self._vad, track=track)
