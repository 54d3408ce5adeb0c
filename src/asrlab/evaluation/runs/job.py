"""What is done with a job and its units, in whatever process."""

from __future__ import annotations

import errno
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING

from asrlab.audio import AudioSource
from asrlab.engine.transcriber import Transcriber
from asrlab.environment import torch_build
from asrlab.errors import AsrlabError, AudioError
from asrlab.evaluation.metrics import peak_resident_bytes
from asrlab.evaluation.runs.executor import OOM, ItemFinished, ModelJob, WorkerReady, WorkItem, WorkUnit
from asrlab.evaluation.runs.records import Failure
from asrlab.evaluation.runs.words import has_words
from asrlab.loading import load
from asrlab.plugins.manager import PluginHost
from asrlab.transcript import TranscribeResult

if TYPE_CHECKING:
    from asrlab.vad import VoiceActivityDetector


OOM_PATTERNS = (
    "out of memory",  # torch on CUDA and MPS, CTranslate2, CUDA itself
    "bad_alloc",
    "bad allocation",
    "allocate memory",  # torch on a CPU, ONNX Runtime, strerror(ENOMEM)
    "alloc_failed",  # CUBLAS_STATUS_ALLOC_FAILED, CUDNN_STATUS_ALLOC_FAILED
)


def load_job(job: ModelJob) -> Transcriber:
    """The loaded model of *job*, which can honour its options.

    Raises:
        AsrlabError: It cannot be loaded, or cannot do what is asked.
    """
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
    if job.unit_size > 1:
        start = time.monotonic()
        transcriber.prepare_batching(job.batching)
        transcriber.load_time += time.monotonic() - start
    return transcriber


def model_loaded_message(transcriber: Transcriber, job: ModelJob) -> WorkerReady:
    """What is told of the loaded model of *job*."""
    return WorkerReady(
        info=transcriber.info,
        load_time=transcriber.load_time,
        patches=transcriber.patch_report,
        backend=torch_build(transcriber.info.device.resolved.partition(":")[0]),
        batching=transcriber.batching(job.batching) if job.unit_size > 1 else None,
        peak_resident_bytes=peak_resident_bytes(),
    )


def to_failure(error: Exception) -> Failure:
    """What is told of an error."""
    name = type(error).__name__
    if is_out_of_memory(error):
        return Failure(kind=OOM, message=f"{name}: {error}")
    reason = error.reason if isinstance(error, AudioError) else ""
    return Failure(kind=name, message=str(error) or repr(error), reason=reason)


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an engine's error, or what it was raised from, says that there was too little memory.

    An ``AudioError`` never does: a damaged header may ask for any amount.
    """
    if isinstance(error, AudioError):
        return False
    if _says_so(error):
        return True
    return error.__cause__ is not None and is_out_of_memory(error.__cause__)


def _says_so(error: BaseException) -> bool:
    if isinstance(error, MemoryError):
        return True
    if isinstance(error, OSError):
        return error.errno == errno.ENOMEM
    # messages of asrlab's own errors quote paths and names, which may read like anything
    return not isinstance(error, AsrlabError) and any(saying in str(error).lower() for saying in OOM_PATTERNS)


def transcribe_unit(
    transcriber: Transcriber, unit: WorkUnit, job: ModelJob, ear: SpeechDetector
) -> Iterator[ItemFinished]:
    """Each item's outcome as soon as it is there."""
    audio = [item.audio for item in unit.items]
    together = transcriber.transcribe_many(audio, options=job.options, batching=job.batching, in_order=False)
    for outcome in together:
        yield _done(unit.items[outcome.index], outcome, ear, track=job.options.track)


def _done(item: WorkItem, outcome: TranscribeResult, ear: SpeechDetector, *, track: int | None) -> ItemFinished:
    if outcome.transcript is None:
        assert isinstance(outcome.error, Exception)  # noqa: S101 - one of the two is there
        return ItemFinished(key=item.key, failure=to_failure(outcome.error))
    doubtful = item.listen or not has_words(outcome.transcript.text)
    return ItemFinished(
        key=item.key, transcript=outcome.transcript, voiced=ear.voiced(item.audio, track=track) if doubtful else None
    )


class SpeechDetector:
    """Looks for speech; the model for it is loaded once, and only if it is needed."""

    def __init__(self) -> None:
        self._voice: VoiceActivityDetector | None = None

    def voiced(self, audio: AudioSource, *, track: int | None = None) -> float | None:
        """Seconds of speech in *audio*; None where that cannot be told."""
        from asrlab.vad import load_vad
        from asrlab.vad.speech_duration import speech_seconds

        if self._voice is None:
            self._voice = load_vad()
        return speech_seconds(audio, vad=self._voice, track=track)
