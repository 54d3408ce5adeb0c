"""The contract of an engine that decodes batches."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol

import attrs

from asrlab.options import Batching
from asrlab.transcript import Segment

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


@attrs.frozen(kw_only=True, eq=False)
class ChunkFeatures[Features]:
    """Features of a short recording, or of a chunk of a long one.

    Attributes:
        features: Result of `BatchBackend.compute_features`.
        duration: Seconds of audio in them.
    """

    features: Features
    duration: float


@attrs.frozen(kw_only=True)
class Detected:
    """Language of one chunk.

    Attributes:
        language: As the engine names it.
        probability: Probability in [0, 1]; None if the language was not detected.
    """

    language: str
    probability: float | None = None


@attrs.frozen(kw_only=True)
class Decoded:
    """Text of one chunk.

    Attributes:
        segments: Segments with text, in order, in seconds from the start of the chunk.
        avg_logprob: Mean natural logarithm of the tokens' probabilities.
        compression_ratio: Length of the text over its compressed length.
        no_speech_prob: Probability of no speech, in [0, 1].
        ended: True if the model ended the text; False if it was stopped at the limit of tokens.
        remaining_s: Seconds of audio left for another window; 0 if the chunk is finished.
    """

    segments: tuple[Segment, ...]
    avg_logprob: float
    compression_ratio: float
    no_speech_prob: float
    ended: bool = True
    remaining_s: float = 0.0


class BatchBackend[Features, Encoded](Protocol):
    """Decoding of batches with one set of options, step by step.

    *Features* and *Encoded* are the engine's own types: arrays or tensors, of one chunk and of a batch. Several threads
    call the methods at once.
    """

    @property
    def batching(self) -> Batching:
        """Complete settings: the size of a batch, and how many batches may be decoded at once."""

    @property
    def max_chunk_s(self) -> float:
        """Maximum chunk duration in seconds; a longer recording is split at silence."""

    @property
    def language(self) -> str | None:
        """The requested language, or the only language of the model; None if it must be detected."""

    def compute_features(self, samples: NDArray[np.float32]) -> Features:
        """Compute the features of one chunk.

        Args:
            samples: float32, shape (n,), in [-1, 1], at 16 kHz; at most `max_chunk_s` seconds.
        """

    def encode(self, chunks: Sequence[ChunkFeatures[Features]]) -> Encoded:
        """Encode *chunks* in one window: the full window, or as short as the longest chunk allows."""

    def detect_languages(self, encoded: Encoded) -> tuple[Detected, ...]:
        """Detect the language of each chunk; *encoded* is also passed to `decode`."""

    def decode(
        self, encoded: Encoded, chunks: Sequence[ChunkFeatures[Features]], languages: Sequence[str]
    ) -> tuple[Decoded, ...]:
        """Decode each chunk to its end, at the first of the requested temperatures, with words if requested."""
