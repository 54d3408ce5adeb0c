"""The interface of a recognizer through which the drop-in replacement returns openai-whisper's own numbers."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from asrlab.options import TranscribeOptions


class WindowDecoder(Protocol):
    """One transcription, window by window.

    Attributes:
        language: The language, given or detected.
        language_probabilities: Probability of each language, the likeliest first; None if the language was given.
        frames: Length of the recording in frames of 10 ms.
        seek: The frame up to which the recording has been transcribed.
    """

    language: str
    language_probabilities: tuple[tuple[str, float], ...] | None
    frames: int
    seek: int

    def segments(self) -> Iterator[dict[str, Any]]:
        """Yield openai-whisper's dictionaries."""
        ...

    @property
    def language_probability(self) -> float | None:
        """Probability of the language; None if the language was given."""
        ...

    @property
    def text(self) -> str:
        """The whole text."""
        ...


@runtime_checkable
class SupportsUpstreamLoop(Protocol):
    """A recognizer over openai-whisper itself."""

    def window_decoder(
        self, samples: NDArray[np.float32], options: TranscribeOptions, *, half: bool | None
    ) -> WindowDecoder:
        """Start the loop over the windows of a recording."""
        ...

    def using_model(self) -> AbstractContextManager[Any]:
        """Lend openai-whisper's model to this thread alone."""
        ...
