"""faster-whisper's model, less the second encoding of what it has encoded for the language already."""

from __future__ import annotations

import threading
from typing import Any

import ctranslate2
import numpy as np
from faster_whisper import WhisperModel
from numpy.typing import NDArray

__all__ = ["SharedEncodingModel"]


class SharedEncodingModel(WhisperModel):  # type: ignore[misc] # has no type information
    """Encodes the first window once where the language is detected; upstream does it for the language, and again.

    The texts are upstream's. The probability of the language is off by a hair: for a recording shorter than the window
    upstream detects with the half frame behind the audio, and decodes without it.

    Source: faster-whisper 1.2.1, ``transcribe.py``: ``detect_language``, and ``content_frames`` in
    ``generate_segments``.
    """

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._own = threading.local()

    def detect_language(
        self,
        audio: NDArray[np.float32] | None = None,
        features: NDArray[np.float32] | None = None,
        **options: Any,
    ) -> Any:
        """As upstream's; what is encoded last is kept for this thread's next `encode`."""
        self._own.keeps = features is not None
        if features is not None and features.shape[-1] > 1:
            features = features[..., :-1]
        try:
            return super().detect_language(audio, features, **options)
        finally:
            self._own.keeps = False

    def encode(self, features: NDArray[np.float32]) -> ctranslate2.StorageView:
        """As upstream's, or what was kept if it is of the same *features*."""
        kept, self._own.kept = getattr(self._own, "kept", None), None
        if kept is not None and np.array_equal(kept[0], features):
            return kept[1]
        encoded = super().encode(features)
        if getattr(self._own, "keeps", False):
            self._own.kept = features, encoded
        return encoded
