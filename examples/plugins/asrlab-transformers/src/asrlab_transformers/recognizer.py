"""A loaded pipeline."""

from __future__ import annotations

import threading
from itertools import chain

import numpy as np
from numpy.typing import NDArray

from asrlab import TranscribeOptions, TranscriberInfo, TranscriptWarning
from asrlab.audio import SAMPLE_RATE, AudioReader
from asrlab.engines.pytorch import empty_cache
from asrlab.plugin import Recognition, Recognizer
from asrlab.vad import Chunker, ChunkResult, VoiceActivityDetector, transcribe_chunks
from asrlab_transformers.kinds import call_arguments, detect_language, detects_language
from asrlab_transformers.pipeline import SpeechPipeline
from asrlab_transformers.segments import to_segments

__all__ = ["TransformersRecognizer"]

_LONGEST_S = 30.0  # Whisper's window, and about as much as attention over a whole recording should be given
_MINIMUM_S = 0.1  # the convolutions of wav2vec 2.0 need 25 ms


class TransformersRecognizer(Recognizer):
    """A model of Hugging Face's, in pieces of at most 30 s cut at silence. Pieces of several threads take turns."""

    def __init__(self, info: TranscriberInfo, pipe: SpeechPipeline, *, vad: VoiceActivityDetector) -> None:
        super().__init__(info)
        self._pipe: SpeechPipeline | None = pipe
        self._chunker = Chunker(vad=vad, max_chunk_s=_LONGEST_S, min_audio_s=_MINIMUM_S)
        self._lock = threading.Lock()

    def recognize(self, audio: AudioReader, options: TranscribeOptions) -> Recognition:
        """Tell the language from the first 30 s, cut, and give the segments of each piece as soon as it is done."""
        pipe = self._pipe
        if pipe is None:
            raise self.closed_error()
        known = self.info.capabilities.languages or ()
        language = options.language or (known[0] if len(known) == 1 else None)
        call_arguments(pipe, options, language=language)  # refuses what it cannot do before anything is computed
        blocks, probability = audio.blocks(_LONGEST_S), None
        if language is None and detects_language(pipe):
            first = next(blocks)
            with self._lock:
                language, probability = detect_language(pipe, first)
            blocks = chain([first], blocks)
        spoken = options.primary_language or language

        def heard(samples: NDArray[np.float32]) -> ChunkResult:
            with self._lock:
                return _transcribe(pipe, samples, options, language=spoken)

        warnings: list[TranscriptWarning] = []
        segments = transcribe_chunks(
            blocks, recognize=heard, chunker=self._chunker, warnings=warnings, source=audio.name
        )
        return Recognition(segments=segments, language=language, language_probability=probability, warnings=warnings)

    def release(self) -> None:
        """Drop the model; PyTorch's cache of the GPU's memory goes back too."""
        self._pipe = None
        empty_cache(self.info.device.resolved)


def _transcribe(
    pipe: SpeechPipeline, samples: NDArray[np.float32], options: TranscribeOptions, *, language: str | None
) -> ChunkResult:
    result = pipe(samples, **call_arguments(pipe, options, language=language))
    if "chunks" not in result:
        return ChunkResult(text=result["text"])
    segments = to_segments(
        result["chunks"],
        words=options.word_timestamps,
        separator="" if pipe.type == "seq2seq_whisper" else " ",
        duration=len(samples) / SAMPLE_RATE,
    )
    return ChunkResult(text=" ".join(segment.text for segment in segments), segments=segments)
