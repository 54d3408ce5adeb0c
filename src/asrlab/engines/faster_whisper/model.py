"""faster-whisper's model, less the second encoding of what it has encoded for the language already."""

from __future__ import annotations

import threading
from typing import Any

import ctranslate2
import numpy as np
from faster_whisper import WhisperModel
from faster_whisper.tokenizer import Tokenizer
from numpy.typing import NDArray

from asrlab.engines.option_checks import MIN_TEXT_TOKENS


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

    def generate_with_fallback(
        self, encoder_output: ctranslate2.StorageView, prompt: list[int], tokenizer: Tokenizer, options: Any
    ) -> Any:
        """As upstream's; where hotwords or ``max_new_tokens`` leave no room, less of the text heard before is given.

        Upstream gives up to 223 tokens of that text whatever else there is, and fails in the middle of a recording.
        """
        wanted = MIN_TEXT_TOKENS if options.max_new_tokens is None else options.max_new_tokens
        excess = len(prompt) + wanted - self.max_length
        if excess > 0 and prompt[0] == tokenizer.sot_prev:
            hotwords = tokenizer.encode(" " + options.hotwords.strip()) if options.hotwords else []
            start = 1 + (len(hotwords) if prompt[1 : 1 + len(hotwords)] == hotwords else 0)
            end = prompt.index(tokenizer.sot)
            prompt = [*prompt[:start], *prompt[min(end, start + excess) :]]
        return super().generate_with_fallback(encoder_output, prompt, tokenizer, options)

    def encode(self, features: NDArray[np.float32]) -> ctranslate2.StorageView:
        """As upstream's, or what was kept if it is of the same *features*."""
        kept, self._own.kept = getattr(self._own, "kept", None), None
        if kept is not None and np.array_equal(kept[0], features):
            return kept[1]
        encoded = super().encode(features)
        if getattr(self._own, "keeps", False):
            self._own.kept = features, encoded
        return encoded
