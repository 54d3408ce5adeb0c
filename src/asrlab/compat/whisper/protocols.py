"""The interface of a recognizer through which the drop-in replacement returns openai-whisper's own numbers."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from asrlab.engine.contract import Recognition
    from asrlab.options import TranscribeOptions


class WindowDecoder(Protocol):
    """One transcription, window by window.

    Attributes:
        language: The language, given or detected.
        frames: Length of the recording in frames of 10 ms.
        seek: The frame up to which the recording has been transcribed.
    """

    language: str
    frames: int
    seek: int

    def segments(self) -> Iterator[dict[str, Any]]:
        """Yield openai-whisper's dictionaries."""
        ...

    def to_recognition(self, segments: Iterable[dict[str, Any]]) -> Recognition:
        """Return the language and the segments that are not blanked."""
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
