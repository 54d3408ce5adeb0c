"""A loaded faster-whisper model."""

from __future__ import annotations

from collections.abc import Iterator

from faster_whisper import WhisperModel

from asrlab.audio import AudioReader
from asrlab.batching import transcribe_together
from asrlab.engines.faster_whisper.convert import arguments, to_segments
from asrlab.engines.faster_whisper.devices import choose_compute_type, default_threads
from asrlab.engines.faster_whisper.steps import FasterWhisperSteps
from asrlab.errors import WeightsError
from asrlab.options import Capabilities, TranscribeOptions
from asrlab.spec import LoadRequest
from asrlab.transcriber import Many, Recognition, Transcriber, TranscriberInfo
from asrlab.transcript import Outcome

__all__ = ["FasterWhisperTranscriber", "load"]


class FasterWhisperTranscriber(Transcriber):
    """Whisper on CTranslate2. CTranslate2 lets one inference run at a time and queues the calls of other threads."""

    def __init__(self, info: TranscriberInfo, model: WhisperModel) -> None:
        super().__init__(info)
        self._model: WhisperModel | None = model

    def recognize(self, audio: AudioReader, options: TranscribeOptions) -> Recognition:
        """Hand the samples as one float32 array to ``WhisperModel.transcribe``, which yields as it decodes."""
        model = self._model
        if model is None:
            raise self.closed_error()
        segments, info = model.transcribe(audio.read(), **arguments(options))
        detected = options.language is None and model.model.is_multilingual
        return Recognition(
            segments=to_segments(segments),
            language=options.language or info.language,
            language_probability=float(info.language_probability) if detected else None,
        )

    def transcribe_batches(self, many: Many) -> Iterator[Outcome] | None:
        """Encode each clip once and decode several together."""
        steps = self.batch_steps(many.options)
        return None if steps is None else transcribe_together(self, steps, many)

    def batch_steps(self, options: TranscribeOptions) -> FasterWhisperSteps | None:
        """The steps of a batch; None for what only ``WhisperModel.transcribe`` can do.

        That is word timestamps, voice activity detection, and sampling from the start.
        """
        model = self._model
        if model is None or options.word_timestamps or options.vad_filter or (options.temperature_ladder or (0.0,))[0]:
            return None
        return FasterWhisperSteps(model=model, options=options, workers=model.model.num_workers)

    def release(self) -> None:
        """Drop the model; CTranslate2 frees it with the last reference."""
        self._model = None


_MOST_WORKERS = 2
"""Batches side by side on the CPU. Measured on two cores only; each takes memory of its own for what it decodes."""


def load(request: LoadRequest) -> FasterWhisperTranscriber:
    """Load a folder of CTranslate2 weights.

    Raises:
        OptionError: The compute type is not supported on the device.
        WeightsError: CTranslate2 cannot read the folder.
    """
    kind, _, index = request.device.resolved.partition(":")
    threads = request.threads or default_threads()
    compute_type = choose_compute_type(request.compute_type, request.device)
    workers = min(threads, _MOST_WORKERS) if kind == "cpu" else 1
    try:
        model = WhisperModel(
            str(request.weights),
            device=kind,
            device_index=int(index or 0),
            compute_type=compute_type,
            cpu_threads=threads,
            num_workers=workers,
        )
    except (RuntimeError, ValueError) as error:
        raise WeightsError(
            f"CTranslate2 cannot load {request.model.name} from {request.weights}: {error}", model=request.model.name
        ) from error
    info = TranscriberInfo(
        model=request.model,
        device=request.device,
        compute_type=model.model.compute_type,
        threads=threads,
        capabilities=_capabilities(model),
        packages=request.packages,
    )
    return FasterWhisperTranscriber(info, model)


def _capabilities(model: WhisperModel) -> Capabilities:
    multilingual = model.model.is_multilingual
    return Capabilities(
        tasks=("transcribe", "translate") if multilingual else ("transcribe",),
        languages=tuple(sorted(model.supported_languages)),
        word_timestamps=True,
        beam_size=True,
        temperature=True,
        initial_prompt=True,
        hotwords=True,
        vad_filter=True,
    )
