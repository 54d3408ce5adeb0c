"""A loaded openai-whisper model."""

from __future__ import annotations

import threading

from whisper.model import Whisper

from asrlab.audio import AudioReader
from asrlab.engines.openai_whisper.convert import to_segments
from asrlab.engines.openai_whisper.windows import Windows
from asrlab.engines.pytorch import empty_cache
from asrlab.options import TranscribeOptions
from asrlab.recognition import Recognition, TranscriberInfo
from asrlab.transcriber import Transcriber

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

    def release(self) -> None:
        """Drop the model; PyTorch's cache of the GPU's memory goes back too."""
        self._model = None
        empty_cache(self.info.device.resolved)
