"""A loaded PocketSphinx decoder."""

from __future__ import annotations

import threading

import numpy as np
import pocketsphinx
from numpy.typing import NDArray

from asrlab import TranscribeOptions, TranscriberInfo, TranscriptWarning
from asrlab.audio import AudioReader
from asrlab.plugin import Recognition, Recognizer
from asrlab.vad import Chunker, ChunkResult, VoiceActivityDetector, transcribe_chunks
from asrlab_pocketsphinx.words import DecodedWord, to_segments

__all__ = ["PocketSphinxRecognizer", "to_int16"]

_LONGEST_S = 30.0
# A window lasts 25.6 ms, and its deltas take two frames of 10 ms on either side: less than this has nothing to search.
_MINIMUM_S = 0.1


class PocketSphinxRecognizer(Recognizer):
    """PocketSphinx, in pieces of at most 30 s cut at silence; a segment is what is said without a pause.

    A decoder is one recording's state, so the pieces of several threads take turns.
    """

    def __init__(self, info: TranscriberInfo, decoder: pocketsphinx.Decoder, *, vad: VoiceActivityDetector) -> None:
        super().__init__(info)
        self._decoder: pocketsphinx.Decoder | None = decoder
        self._chunker = Chunker(vad=vad, max_chunk_s=_LONGEST_S, min_audio_s=_MINIMUM_S)
        self._lock = threading.Lock()

    def recognize(self, audio: AudioReader, options: TranscribeOptions) -> Recognition:
        """Cut, decode each piece, and give its segments as soon as it is done."""
        decoder = self._decoder
        if decoder is None:
            raise self.closed_error()

        def recognize_chunk(samples: NDArray[np.float32]) -> ChunkResult:
            with self._lock:
                segments = to_segments(_decode(decoder, samples), words=options.word_timestamps)
            return ChunkResult(text=" ".join(segment.text for segment in segments), segments=segments)

        warnings: list[TranscriptWarning] = []
        segments = transcribe_chunks(
            audio.blocks(), recognize=recognize_chunk, chunker=self._chunker, warnings=warnings, source=audio.name
        )
        return Recognition(segments=segments, language=options.language or "en", warnings=warnings)

    def release(self) -> None:
        """Drop the decoder."""
        self._decoder = None


def _decode(decoder: pocketsphinx.Decoder, samples: NDArray[np.float32]) -> list[DecodedWord]:
    """Decode one chunk into words, fillers included.

    The text must not depend on what was decoded before: the whole piece is given at once, so that it is normalized by
    its own mean, and the decoder forgets the noise that it has got used to.
    """
    decoder.reinit_feat()
    decoder.start_utt()
    try:
        decoder.process_raw(to_int16(samples).tobytes(), full_utt=True)
    finally:
        decoder.end_utt()
    return [
        DecodedWord(word=segment.word, first=segment.start_frame, last=segment.end_frame, probability=segment.prob)
        for segment in decoder.seg() or ()
    ]


def to_int16(samples: NDArray[np.float32]) -> NDArray[np.int16]:
    """Convert to the 16-bit samples that PocketSphinx takes; clip samples over full scale.

    Args:
        samples: float32, shape (n,), in [-1, 1] but for slight overs.
    """
    return np.rint(np.clip(samples, -1.0, 1.0) * 32767).astype("<i2")
