"""What is done with a job and its units, in whatever process."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import TYPE_CHECKING

from asrlab.audio import AudioSource
from asrlab.engine.transcriber import Transcriber
from asrlab.environment import backend
from asrlab.errors import AudioError
from asrlab.evaluation.metrics import peak_resident_bytes
from asrlab.evaluation.runs.gates import has_words
from asrlab.evaluation.runs.local.memory import ran_out_of_memory
from asrlab.evaluation.runs.messages import OOM, Item, ItemFinished, Job, Unit, WorkerReady
from asrlab.evaluation.runs.records import Failure
from asrlab.loading import load
from asrlab.plugins.manager import PluginHost
from asrlab.transcript import Outcome

if TYPE_CHECKING:
    from asrlab.vad import VoiceActivityDetector


def load_job(job: Job) -> Transcriber:
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
        transcriber.prepare_batches(job.batching)
        transcriber.load_time += time.monotonic() - start
    return transcriber


def hello_of(transcriber: Transcriber, job: Job) -> WorkerReady:
    """What is told of the loaded model of *job*."""
    return WorkerReady(
        info=transcriber.info,
        load_time=transcriber.load_time,
        patches=transcriber.patch_report,
        backend=backend(transcriber.info.device.resolved.partition(":")[0]),
        batching=transcriber.batching(job.batching) if job.unit_size > 1 else None,
        peak_resident_bytes=peak_resident_bytes(),
    )


def failure_of(error: Exception) -> Failure:
    """What is told of an error."""
    name = type(error).__name__
    if ran_out_of_memory(error):
        return Failure(kind=OOM, message=f"{name}: {error}")
    reason = error.reason if isinstance(error, AudioError) else ""
    return Failure(kind=name, message=str(error) or repr(error), reason=reason)


def transcribe_unit(transcriber: Transcriber, unit: Unit, job: Job, ear: SpeechDetector) -> Iterator[ItemFinished]:
    """Each item's outcome as soon as it is there."""
    audio = [item.audio for item in unit.items]
    together = transcriber.transcribe_many(audio, options=job.options, batching=job.batching, in_order=False)
    for outcome in together:
        yield _done(unit.items[outcome.index], outcome, ear, track=job.options.track)


def _done(item: Item, outcome: Outcome, ear: SpeechDetector, *, track: int | None) -> ItemFinished:
    if outcome.transcript is None:
        assert isinstance(outcome.error, Exception)  # noqa: S101 - one of the two is there
        return ItemFinished(key=item.key, failure=failure_of(outcome.error))
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
