"""The pieces that a cut gives, and what a stream holds between two cuts."""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs

from asrlab.audio import SAMPLE_RATE
from asrlab.audio.checks import SILENT_PEAK
from asrlab.vad.detector import FRAME_SAMPLES
from asrlab.vad.silences import voiced_span

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from asrlab.vad.detector import VoiceActivityDetector


_EDGE_S = 0.1  # a detector finds the beginning of speech late, and its end early


@attrs.frozen(kw_only=True, eq=False)
class Chunk:
    """A stretch of audio that an engine takes at once.

    Attributes:
        samples: float32, shape (n,), at 16 kHz.
        start: Seconds from the start of the audio.
        end: The same; where the next piece starts.
        speech: From when to when there is voice in it, in the same seconds, 0.1 s wider than it was found; None if
            there is none.
        is_whole: Whether it is all of the audio: nothing was cut.
    """

    samples: NDArray[np.float32]
    start: float
    end: float
    speech: tuple[float, float] | None
    is_whole: bool = False

    @property
    def has_speech(self) -> bool:
        """Whether there is speech in the chunk."""
        return self.speech is not None

    @property
    def should_transcribe(self) -> bool:
        """Whether the chunk has speech, or is a whole recording that is not digital silence.

        Models make up text for silence, but a detector that errs must not swallow a whole recording.
        """
        return self.has_speech or (self.is_whole and bool(abs(self.samples).max() >= SILENT_PEAK))


class AudioBuffer:
    """What has come and is not cut yet: samples, and the probabilities of their frames, which lag behind.

    Attributes:
        samples: How many.
        start: The sample of the recording that the first of them is. Cuts lie between frames, so frames begin with it.
        probabilities: Shape (k,).
    """

    def __init__(self, vad: VoiceActivityDetector, *, start: int = 0) -> None:
        import numpy as np

        self._voice = vad
        self._stream = vad.start()
        self._arrays: list[NDArray[np.float32]] = []
        self.samples = 0
        self.start = start
        self.probabilities = np.empty(0, np.float32)

    def feed(self, samples: NDArray[np.float32]) -> None:
        """Take the next samples."""
        self._arrays.append(samples)
        self.samples += len(samples)
        self._score(self._stream.feed(samples))

    def finish(self) -> None:
        """Nothing comes any more: score what is left."""
        self._score(self._stream.finish())

    def seen(self, frames: int) -> NDArray[np.float32]:
        """The probabilities of the first *frames*; a second opinion where there seems to be no voice at all."""
        probabilities = self.probabilities[:frames]
        if voiced_span(probabilities) is not None:
            return probabilities
        again = self._voice.rescore(self._joined()[: frames * FRAME_SAMPLES])
        return probabilities if again is None else again

    def take(self, frames: int) -> Chunk:
        """The first *frames* as a piece."""
        return self._piece(frames * FRAME_SAMPLES, frames)

    def rest(self) -> Chunk:
        """All there is as a piece."""
        return self._piece(self.samples, len(self.probabilities))

    def _score(self, probabilities: NDArray[np.float32]) -> None:
        import numpy as np

        self.probabilities = np.concatenate([self.probabilities, probabilities])

    def _piece(self, samples: int, frames: int) -> Chunk:
        joined = self._joined()
        piece = Chunk(
            samples=joined[:samples].copy(),
            start=self.start / SAMPLE_RATE,
            end=(self.start + samples) / SAMPLE_RATE,
            speech=self._speech(frames, samples),
            is_whole=self.start == 0 and samples == self.samples,
        )
        self._arrays, self.probabilities = [joined[samples:]], self.probabilities[frames:]
        self.samples -= samples
        self.start += samples
        return piece

    def _joined(self) -> NDArray[np.float32]:
        import numpy as np

        self._arrays = [np.concatenate(self._arrays)]
        return self._arrays[0]

    def _speech(self, frames: int, samples: int) -> tuple[float, float] | None:
        span = voiced_span(self.seen(frames))
        if span is None:
            return None
        start, end = (self.start / SAMPLE_RATE, (self.start + samples) / SAMPLE_RATE)
        first, last = (start + frame * FRAME_SAMPLES / SAMPLE_RATE for frame in span)
        return max(start, first - _EDGE_S), min(end, last + _EDGE_S)
