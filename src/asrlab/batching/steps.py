"""What an engine offers so that several recordings can go through it together."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol

import attrs

from asrlab.transcript import Segment

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = ["Decoded", "Detected", "Piece", "Steps"]


@attrs.frozen(kw_only=True, eq=False)
class Piece[Features]:
    """A recording that fits into the engine's window.

    Attributes:
        features: As `Steps.features` gave them.
        duration: Seconds of audio in them.
    """

    features: Features
    duration: float


@attrs.frozen(kw_only=True)
class Detected:
    """The language of one piece.

    Attributes:
        language: As the engine names it.
        probability: In [0, 1]; None where the model knows only one language.
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
    """

    segments: tuple[Segment, ...]
    avg_logprob: float
    compression_ratio: float
    no_speech_prob: float
    ended: bool = True


class Steps[Features, Encoded](Protocol):
    """An engine's work on a batch, step by step. The options are known to it from the start.

    *Features* and *Encoded* are the engine's own: arrays or tensors, of one piece and of a batch. The methods are
    called from several threads at once, ``features`` among them.
    """

    @property
    def batch_size(self) -> int:
        """How many pieces to decode together unless the caller says."""

    @property
    def workers(self) -> int:
        """How many batches may be under way at once, each in a thread of its own."""

    @property
    def longest(self) -> float:
        """Seconds of the longest piece."""

    @property
    def language(self) -> str | None:
        """The language that was given, or the only one the model knows; None if it is to be detected."""

    def features(self, samples: NDArray[np.float32]) -> Features:
        """The features of one piece.

        Args:
            samples: float32, shape (n,), in [-1, 1], at 16 kHz; at most `longest` seconds.
        """

    def encode(self, pieces: Sequence[Piece[Features]]) -> Encoded:
        """All *pieces* in one window: of the full length, or as short as the longest of them allows."""

    def detect(self, encoded: Encoded) -> tuple[Detected, ...]:
        """The language of each piece in *encoded*, which then serves ``decode`` too."""

    def decode(
        self, encoded: Encoded, pieces: Sequence[Piece[Features]], languages: Sequence[str]
    ) -> tuple[Decoded, ...]:
        """The text of each piece to the end of its audio, at the first of the temperatures asked for."""
