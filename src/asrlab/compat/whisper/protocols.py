"""What a transcriber must offer so that the look-alike gives openai-whisper's own numbers through it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from asrlab.options import TranscribeOptions

__all__ = ["SupportsUpstreamLoop", "WindowDecoder"]


class WindowDecoder(Protocol):
    """One transcription, window by window.

    Attributes:
        language: The language given or detected.
        language_probabilities: Of all, the likeliest first; None if it was given.
        frames: How long the recording is; 100 a second.
        seek: The frame up to which it has been transcribed.
    """

    language: str
    language_probabilities: tuple[tuple[str, float], ...] | None
    frames: int
    seek: int

    def segments(self) -> Iterator[dict[str, Any]]:
        """openai-whisper's dictionaries."""
        ...

    @property
    def language_probability(self) -> float | None:
        """None likewise."""
        ...

    @property
    def text(self) -> str:
        """All of it."""
        ...


@runtime_checkable
class SupportsUpstreamLoop(Protocol):
    """A transcriber over openai-whisper itself."""

    def windows(self, samples: NDArray[np.float32], options: TranscribeOptions, *, half: bool | None) -> WindowDecoder:
        """The loop over the recording's windows."""
        ...

    def using_model(self) -> AbstractContextManager[Any]:
        """openai-whisper's model, for this thread alone."""
        ...
