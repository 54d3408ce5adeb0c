"""Interface of voice activity detectors, and a detector by loudness: one probability of speech per frame of 32 ms."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

import attrs

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

FRAME_SAMPLES = 512
"""Samples at 16 kHz per probability: 32 ms. Source: Silero's models accept no other number."""
_GROUP_FRAMES = 32
"""Frames that are scored at once: a second. More gains no speed."""

_MIN_FLOOR_DB = -70.0
"""Lowest noise floor in dB of full scale: the noise of a quiet room in a good recording."""
_INAUDIBLE_DB = -80.0
"""Level below which not even `EnergyVad.rescore` finds speech: `asrlab.audio.samples.SILENT_PEAK`."""
_INITIAL_FLOOR_DB = -60.0
"""Initial noise floor. Recordings often begin in the middle of a word, so the first frame need not be noise."""
_FLOOR_RISE_DB = 2.0 * FRAME_SAMPLES / 16_000
"""Rise of the floor per frame: 2 dB a second. Speech dips to the noise several times a second and cannot lift it."""
_SPEECH_ABOVE_FLOOR_DB = 10.0
"""Level above the floor at which a frame is as likely speech as not."""
_SLOPE_DB = 2.0


@attrs.frozen(kw_only=True)
class VadInfo:
    """Identity of a voice activity detector.

    Attributes:
        name: Name of the model's file without its ending, or ``energy``.
        source: Distribution that the model comes from, with its version.
        sha256: SHA-256 of the model's file; None for a detector without a model.
    """

    name: str
    source: str
    sha256: str | None = None

    def __str__(self) -> str:
        return f"{self.name} of {self.source}"


class FrameScorer(Protocol):
    """Model that scores the frames of one recording in order, and keeps the state between calls."""

    def score(self, frames: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return the probability of speech in each of *frames*: shape (k, 512) in, shape (k,) out, in [0, 1]."""
        ...


class VoiceActivityDetector(Protocol):
    """Voice activity detector, which any number of recordings and threads may use at once."""

    @property
    def info(self) -> VadInfo:
        """Identity of the detector."""
        ...

    def start(self) -> VadStream:
        """Start a recording."""
        ...

    def rescore(self, samples: NDArray[np.float32]) -> NDArray[np.float32] | None:
        """Score *samples*, in which the stream found no speech, once more by themselves.

        Returns:
            The probabilities, shape (k,); None if another look cannot find more.
        """
        ...


class VadStream:
    """Probabilities of speech in one recording, independent of the blocks in which its samples arrive.

    Frames are scored in groups of a fixed size: the last digits of a model's output may differ with the number of
    frames, and a cut must not depend on how a file was read.
    """

    def __init__(self, scorer: FrameScorer) -> None:
        self._scorer = scorer
        self._pending: list[NDArray[np.float32]] = []
        self._samples = 0

    def feed(self, samples: NDArray[np.float32]) -> NDArray[np.float32]:
        """Add *samples* and return the probabilities that are ready.

        Args:
            samples: float32, shape (n,), at 16 kHz.

        Returns:
            float32, shape (k,), in [0, 1]; empty until a second of audio has arrived.
        """
        import numpy as np

        self._pending.append(samples)
        self._samples += len(samples)
        size = _GROUP_FRAMES * FRAME_SAMPLES
        if self._samples < size:
            return np.empty(0, np.float32)
        pending = np.concatenate(self._pending)
        end = len(pending) // size * size
        self._pending, self._samples = [pending[end:]], len(pending) - end
        groups = pending[:end].reshape(-1, _GROUP_FRAMES, FRAME_SAMPLES)
        return np.concatenate([self._scorer.score(group) for group in groups])

    def finish(self) -> NDArray[np.float32]:
        """Return the probabilities of the remaining samples, shape (k,); the last frame is padded with silence."""
        import numpy as np

        frames = -(-self._samples // FRAME_SAMPLES)
        if not frames:
            return np.empty(0, np.float32)
        padding = np.zeros(frames * FRAME_SAMPLES - self._samples, np.float32)
        remaining = np.concatenate([*self._pending, padding])
        self._pending, self._samples = [], 0
        return self._scorer.score(remaining.reshape(frames, FRAME_SAMPLES))


class EnergyVad:
    """Detector that takes for speech any sound 10 dB louder than the quietest sound of the last seconds.

    Music and other noise that comes and goes is taken for speech; steady noise counts as silence after a few seconds.

    Source: the idea of following the minimum of the energy, R. Martin, "Noise power spectral density estimation based
    on optimal smoothing and minimum statistics" (2001); the numbers are asrlab's own.
    """

    @property
    def info(self) -> VadInfo:
        """Identity of the detector: asrlab's own."""
        from asrlab._version import __version__

        return VadInfo(name="energy", source=f"asrlab {__version__}")

    def start(self) -> VadStream:
        """Start a recording."""
        return VadStream(_EnergyScorer())

    def rescore(self, samples: NDArray[np.float32]) -> NDArray[np.float32] | None:
        """Score *samples* with the quieter frames as the floor, so that quiet speech in a quiet room stands out."""
        import numpy as np

        frames, rest = divmod(len(samples), FRAME_SAMPLES)
        if not frames:
            return None
        levels = np.maximum(_levels_db(samples[: frames * FRAME_SAMPLES].reshape(frames, FRAME_SAMPLES)), _INAUDIBLE_DB)
        probabilities = _to_probabilities(levels - np.percentile(levels, 10))
        return np.pad(probabilities, (0, int(rest > 0)), mode="edge")


class _EnergyScorer:
    def __init__(self) -> None:
        self._floor_db = _INITIAL_FLOOR_DB

    def score(self, frames: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return the probability of speech in each of *frames*, by its level above the floor."""
        import numpy as np

        return _to_probabilities(np.array([self._above_floor(level) for level in _levels_db(frames).tolist()]))

    def _above_floor(self, level_db: float) -> float:
        self._floor_db = max(min(level_db, self._floor_db + _FLOOR_RISE_DB), _MIN_FLOOR_DB)
        return level_db - self._floor_db


def _levels_db(frames: NDArray[np.float32]) -> NDArray[np.float64]:
    """Return the level of each frame in dB of full scale, without the frame's DC offset."""
    import numpy as np

    levels: NDArray[np.float64] = 10 * np.log10(frames.var(axis=1, dtype=np.float64) + 1e-12)
    return levels


def _to_probabilities(above_db: NDArray[np.float64]) -> NDArray[np.float32]:
    import numpy as np

    return (1 / (1 + np.exp((_SPEECH_ABOVE_FLOOR_DB - above_db) / _SLOPE_DB))).astype(np.float32)
