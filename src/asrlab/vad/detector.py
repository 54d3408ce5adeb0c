"""Voice activity: a stream of samples in, the probability of speech out, one per frame of 32 ms."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

import attrs

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

FRAME_SAMPLES = 512
"""Samples at 16 kHz that one probability stands for: 32 ms. Source: Silero's models take no other number."""
_GROUP_FRAMES = 32
"""How many frames are scored at once: a second. More gains no speed."""


@attrs.frozen(kw_only=True)
class VadInfo:
    """Which detector told voice from silence.

    Attributes:
        name: The model's file without its ending, or ``energy``.
        source: The distribution that brought it, with its version.
        sha256: Of the model's file; None for a detector without a model.
    """

    name: str
    source: str
    sha256: str | None = None

    def __str__(self) -> str:
        return f"{self.name} of {self.source}"


class FrameScorer(Protocol):
    """Scores the frames of one recording, in order; what it has heard so far is its state."""

    def score(self, frames: NDArray[np.float32]) -> NDArray[np.float32]:
        """The probability of speech in each of *frames*: shape (k, 512) in, shape (k,) out, in [0, 1]."""
        ...


class VoiceActivityDetector(Protocol):
    """A detector of voice; any number of recordings and threads may use it at once."""

    @property
    def info(self) -> VadInfo:
        """Which detector it is."""
        ...

    def start(self) -> VadStream:
        """Begin a recording."""
        ...

    def rescore(self, samples: NDArray[np.float32]) -> NDArray[np.float32] | None:
        """Hear *samples*, in which the stream found no voice, once more by themselves.

        Returns:
            The probabilities, shape (k,); None if hearing them again can tell no more.
        """
        ...


class VadStream:
    """The probabilities of one recording, whatever blocks its samples come in.

    Frames are scored in groups of a fixed size: a model's last digits may differ with the number of frames it is given,
    and a cut must not depend on how a file was read.
    """

    def __init__(self, scorer: FrameScorer) -> None:
        self._scorer = scorer
        self._held: list[NDArray[np.float32]] = []
        self._samples = 0

    def feed(self, samples: NDArray[np.float32]) -> NDArray[np.float32]:
        """Take the next samples and give the probabilities that are ready.

        Args:
            samples: float32, shape (n,), at 16 kHz.

        Returns:
            float32, shape (k,), in [0, 1]; empty until a second has come.
        """
        import numpy as np

        self._held.append(samples)
        self._samples += len(samples)
        size = _GROUP_FRAMES * FRAME_SAMPLES
        if self._samples < size:
            return np.empty(0, np.float32)
        held = np.concatenate(self._held)
        is_whole = len(held) // size * size
        self._held, self._samples = [held[is_whole:]], len(held) - is_whole
        groups = held[:is_whole].reshape(-1, _GROUP_FRAMES, FRAME_SAMPLES)
        return np.concatenate([self._scorer.score(group) for group in groups])

    def finish(self) -> NDArray[np.float32]:
        """The probabilities of what is left, the last frame filled up with silence; shape (k,)."""
        import numpy as np

        frames = -(-self._samples // FRAME_SAMPLES)
        if not frames:
            return np.empty(0, np.float32)
        padding = np.zeros(frames * FRAME_SAMPLES - self._samples, np.float32)
        rest = np.concatenate([*self._held, padding])
        self._held, self._samples = [], 0
        return self._scorer.score(rest.reshape(frames, FRAME_SAMPLES))


_LOWEST_DB = -70.0
"""The floor never sinks below this, in dB of full scale: the noise of a quiet room in a good recording."""
_INAUDIBLE_DB = -80.0
"""Below this there is nothing, not even for a second opinion: `asrlab.audio.checks.SILENT_PEAK`."""
_FIRST_DB = -60.0
"""Where the floor begins: recordings often begin in the middle of a word, and the first frame is then no noise."""
_RISE_DB = 2.0 * FRAME_SAMPLES / 16_000
"""How fast the floor rises: 2 dB a second. Speech dips to the noise several times a second, so it cannot lift it."""
_MARGIN_DB = 10.0
"""How far above the floor a frame is as likely speech as not."""
_SLOPE_DB = 2.0


class EnergyVad:
    """Calls voice what is 10 dB louder than the quietest sound of the last seconds.

    It cannot tell speech from music or other noise that comes and goes; steady noise it takes for silence after a few
    seconds.

    Source: the idea of following the minimum of the energy, R. Martin, "Noise power spectral density estimation based
    on optimal smoothing and minimum statistics" (2001); the numbers are asrlab's own.
    """

    @property
    def info(self) -> VadInfo:
        """It is asrlab's own."""
        from asrlab._version import __version__

        return VadInfo(name="energy", source=f"asrlab {__version__}")

    def start(self) -> VadStream:
        """Begin a recording."""
        return VadStream(_EnergyScorer())

    def rescore(self, samples: NDArray[np.float32]) -> NDArray[np.float32] | None:
        """Take the quieter frames of *samples* for the floor, so that quiet speech in a quiet room stands out."""
        import numpy as np

        frames, rest = divmod(len(samples), FRAME_SAMPLES)
        if not frames:
            return None
        levels = np.maximum(_levels(samples[: frames * FRAME_SAMPLES].reshape(frames, FRAME_SAMPLES)), _INAUDIBLE_DB)
        probabilities = _probabilities(levels - np.percentile(levels, 10))
        return np.pad(probabilities, (0, int(rest > 0)), mode="edge")


class _EnergyScorer:
    def __init__(self) -> None:
        self._floor_db = _FIRST_DB

    def score(self, frames: NDArray[np.float32]) -> NDArray[np.float32]:
        """How far each frame is above the floor, as a probability."""
        import numpy as np

        return _probabilities(np.array([self._above(level) for level in _levels(frames).tolist()]))

    def _above(self, level: float) -> float:
        self._floor_db = max(min(level, self._floor_db + _RISE_DB), _LOWEST_DB)
        return level - self._floor_db


def _levels(frames: NDArray[np.float32]) -> NDArray[np.float64]:
    """The loudness of each frame in dB of full scale, without its offset."""
    import numpy as np

    levels: NDArray[np.float64] = 10 * np.log10(frames.var(axis=1, dtype=np.float64) + 1e-12)
    return levels


def _probabilities(above_db: NDArray[np.float64]) -> NDArray[np.float32]:
    import numpy as np

    return (1 / (1 + np.exp((_MARGIN_DB - above_db) / _SLOPE_DB))).astype(np.float32)
