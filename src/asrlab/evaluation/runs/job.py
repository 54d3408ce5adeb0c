"""Loading of a job's model and transcription of its units, in any process."""

from __future__ import annotations

import errno
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING

from asrlab.audio import AudioSource
from asrlab.engine.transcriber import Transcriber
from asrlab.environment import peak_resident_bytes, torch_build
from asrlab.errors import AsrlabError, AudioError
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
"""Lower-case parts of engines' messages about too little memory."""


def load_job(job: ModelJob) -> Transcriber:
    """Load the model of *job*.

    Raises:
        AsrlabError: If the model cannot be loaded, or does not support the job's options.
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
    """Return the message about the loaded model of *job*."""
    return WorkerReady(
        info=transcriber.info,
        load_time=transcriber.load_time,
        patches=transcriber.patch_report,
        backend=torch_build(transcriber.info.device.resolved.partition(":")[0]),
        batching=transcriber.batching(job.batching) if job.unit_size > 1 else None,
        peak_resident_bytes=peak_resident_bytes(),
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
    if isinstance(error, AudioError):
        return False
    if _reports_out_of_memory(error):
        return True
    return error.__cause__ is not None and is_out_of_memory(error.__cause__)


def _reports_out_of_memory(error: BaseException) -> bool:
    if isinstance(error, MemoryError):
        return True
    if isinstance(error, OSError):
        return error.errno == errno.ENOMEM
    # messages of asrlab's own errors quote paths and names, which may contain any text
    return not isinstance(error, AsrlabError) and any(pattern in str(error).lower() for pattern in OOM_PATTERNS)


def transcribe_unit(
    transcriber: Transcriber, unit: WorkUnit, job: ModelJob, detector: SpeechDetector
) -> Iterator[ItemFinished]:
    """Transcribe *unit* and yield the outcome of each item as soon as it is known."""
    results = transcriber.transcribe_many(
        [item.audio for item in unit.items], options=job.options, batching=job.batching, in_order=False
    )
    for result in results:
        yield _to_finished(unit.items[result.index], result, detector, track=job.options.track)


def _to_finished(
    item: WorkItem, result: TranscribeResult, detector: SpeechDetector, *, track: int | None
) -> ItemFinished:
    if result.transcript is None:
        assert isinstance(result.error, Exception)  # noqa: S101 - a result has a transcript or an error
        return ItemFinished(key=item.key, failure=to_failure(result.error))
    needs_detection = item.detect_speech or not has_words(result.transcript.text)
    speech_s = detector.speech_seconds(item.audio, track=track) if needs_detection else None
    return ItemFinished(key=item.key, transcript=result.transcript, speech_s=speech_s)


class SpeechDetector:
    """A measure of speech in audio whose model is loaded once, when first needed."""

    def __init__(self) -> None:
        self._vad: VoiceActivityDetector | None = None

    def speech_seconds(self, audio: AudioSource, *, track: int | None = None) -> float | None:
        """Return the seconds of speech in *audio*; None if they cannot be measured."""
        from asrlab.vad import load_vad
        from asrlab.vad.speech_duration import speech_seconds

        if self._vad is None:
            self._vad = load_vad()
        return speech_seconds(audio, vad=self._vad, track=track)
