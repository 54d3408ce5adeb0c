"""What an engine offers so that several recordings can go through it together."""

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
    """A recording, or a part of a long one, that fits into the engine's window.

    Attributes:
        features: As `BatchBackend.features` gave them.
        duration: Seconds of audio in them.
    """

    features: Features
    duration: float


@attrs.frozen(kw_only=True)
class Detected:
    """The language of one piece.

    Attributes:
        language: As the engine names it.
        probability: In [0, 1]; None where it was not detected.
    """

    language: str
    probability: float | None = None


@attrs.frozen(kw_only=True)
class Decoded:
    """What was decoded from one piece.

    Attributes:
        segments: In order, in seconds from the start of the piece; those without text left out.
        avg_logprob: Mean natural logarithm of the tokens' probabilities.
        compression_ratio: Length of the text over its compressed length.
        no_speech_prob: In [0, 1].
        ended: Whether the model ended the text; False if it was stopped at the limit of tokens.
        left: Seconds at the end of the piece that the model wants to decode in another window; 0 where it is done.
    """

    segments: tuple[Segment, ...]
    avg_logprob: float
    compression_ratio: float
    no_speech_prob: float
    ended: bool = True
    left: float = 0.0


class BatchBackend[Features, Encoded](Protocol):
    """An engine's work on a batch, step by step. The options are known to it from the start.

    *Features* and *Encoded* are the engine's own: arrays or tensors, of one piece and of a batch. The methods are
    called from several threads at once, ``features`` among them.
    """

    @property
    def batching(self) -> Batching:
        """How many pieces to decode together, and how many batches may be under way at once. Nothing in it is None."""

    @property
    def longest(self) -> float:
        """Seconds of the longest piece; a longer recording is cut at silence."""

    @property
    def language(self) -> str | None:
        """The language that was given, or the only one the model knows; None if it is to be detected."""

    def features(self, samples: NDArray[np.float32]) -> Features:
        """The features of one piece.

        Args:
            samples: float32, shape (n,), in [-1, 1], at 16 kHz; at most `longest` seconds.
        """

    def encode(self, pieces: Sequence[ChunkFeatures[Features]]) -> Encoded:
        """All *pieces* in one window: of the full length, or as short as the longest of them allows."""

    def detect(self, encoded: Encoded) -> tuple[Detected, ...]:
        """The language of each piece in *encoded*, which then serves ``decode`` too."""

    def decode(
        self, encoded: Encoded, pieces: Sequence[ChunkFeatures[Features]], languages: Sequence[str]
    ) -> tuple[Decoded, ...]:
        """The text of each piece to the end of its audio, at the first of the temperatures asked for.

        With words where they are asked for.
        """
