"""Voice by loudness alone, for where no voice activity model is installed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from asrlab.vad.voice import FRAME_SAMPLES, VoiceFacts, VoiceStream

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = ["EnergyVoice"]

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


class EnergyVoice:
    """Calls voice what is 10 dB louder than the quietest sound of the last seconds.

    It cannot tell speech from music or other noise that comes and goes; steady noise it takes for silence after a few
    seconds.

    Source: the idea of following the minimum of the energy, R. Martin, "Noise power spectral density estimation based
    on optimal smoothing and minimum statistics" (2001); the numbers are asrlab's own.
    """

    @property
    def facts(self) -> VoiceFacts:
        """It is asrlab's own."""
        from asrlab._version import __version__

        return VoiceFacts(name="energy", source=f"asrlab {__version__}")

    def listen(self) -> VoiceStream:
        """Begin a recording."""
        return VoiceStream(_EnergyScorer())

    def second_opinion(self, samples: NDArray[np.float32]) -> NDArray[np.float32] | None:
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
