"""A loaded openai-whisper model."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import attrs
from whisper.model import Whisper

from asrlab.audio import AudioReader
from asrlab.batching import transcribe_together
from asrlab.engines.openai_whisper.convert import to_segments
from asrlab.engines.openai_whisper.steps import DEFAULT_BATCHING, OpenAIWhisperSteps
from asrlab.engines.openai_whisper.windows import Windows
from asrlab.engines.pytorch import empty_cache
from asrlab.options import Batching, TranscribeOptions
from asrlab.recognition import Many, Recognition, TranscriberInfo
from asrlab.transcriber import Transcriber
from asrlab.transcript import Outcome

__all__ = ["OpenAIWhisperTranscriber"]


class OpenAIWhisperTranscriber(Transcriber):
    """Whisper on PyTorch. Windows of several threads take turns."""

    def __init__(self, info: TranscriberInfo, model: Whisper) -> None:
        super().__init__(info)
        self._model: Whisper | None = model
        self._lock = threading.Lock()

    def recognize(self, audio: AudioReader, options: TranscribeOptions) -> Recognition:
        """Decode window by window; the language is detected in the first one."""
        model = self._model
        if model is None:
            raise self.closed_error()
        half = self.info.compute_type == "float16"
        windows = Windows(model, self._lock, audio.read(), options, half=half)
        return Recognition(
            segments=to_segments(windows.segments()),
            language=options.language or windows.language,
            language_probability=windows.language_probability,
        )

    def batching(self, given: Batching | None = None) -> Batching:
        """*given*, over what was tuned, over the defaults; there is one worker, and PyTorch has its own threads."""
        tuned = (given or Batching()).over(self.tuned)
        fixed = attrs.evolve(DEFAULT_BATCHING, threads=self.info.threads or 1)
        return attrs.evolve(tuned.over(fixed), workers=fixed.workers, threads=fixed.threads)

    def transcribe_batches(self, many: Many) -> Iterator[Outcome] | None:
        """Encode each piece once and decode several together; None for what only the loop over windows can do.

        That is word timestamps, which upstream encodes a clip for once more, by itself; and sampling from the start.
        """
        ladder = many.options.temperature_ladder or (0.0,)
        batching = self.batching(many.batching)
        if many.options.word_timestamps or ladder[0] or batching.batch_size == 1:
            return None
        return transcribe_together(self, self._steps(many.options, batching), many)

    def _steps(self, options: TranscribeOptions, batching: Batching) -> OpenAIWhisperSteps:
        if self._model is None:
            raise self.closed_error()
        half = self.info.compute_type == "float16"
        return OpenAIWhisperSteps(model=self._model, lock=self._lock, options=options, batching=batching, half=half)

    def release(self) -> None:
        """Drop the model; PyTorch's cache of the GPU's memory goes back too."""
        self._model = None
        empty_cache(self.info.device.resolved)
