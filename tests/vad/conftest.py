"""Speech that has been joined with silences, and the detectors."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import attrs
import numpy as np
import pytest
from numpy.typing import NDArray

from asrlab.audio import load_audio
from asrlab.vad import EnergyVad, SileroVad, VoiceActivityDetector
from asrlab.vad.detector import silero_files

RATE = 16_000


@attrs.frozen
class Joined:
    """Clips with silences between them.

    Attributes:
        samples: float32, shape (n,), at 16 kHz.
        gaps: The silences, as (start, end) in seconds.
    """

    samples: NDArray[np.float32]
    gaps: tuple[tuple[float, float], ...]


@pytest.fixture(scope="session")
def join(clips: tuple[Path, ...]) -> Callable[..., Joined]:
    """Return a function that joins the smoke clips *times* over, each with *gap_s* of faint noise after it."""
    speech = [load_audio(path).samples for path in clips]
    noise = np.random.default_rng(1)

    def joined(*, times: int, gap_s: float) -> Joined:
        parts, gaps, length = [], [], 0
        for clip in speech * times:
            gap = (noise.standard_normal(round(gap_s * RATE)) * 1e-4).astype(np.float32)
            parts += [clip, gap]
            gaps.append(((length + len(clip)) / RATE, (length + len(clip) + len(gap)) / RATE))
            length += len(clip) + len(gap)
        return Joined(np.concatenate(parts), tuple(gaps))

    return joined


@pytest.fixture(scope="session")
def silero() -> SileroVad:
    """Return Silero's model from an installed package."""
    pytest.importorskip("onnxruntime", reason="onnxruntime is not installed")
    files = silero_files()
    if not files:
        pytest.skip("neither faster-whisper nor silero-vad is installed")
    return SileroVad(files[0])


@pytest.fixture(params=["silero", "energy"])
def vad(request: pytest.FixtureRequest) -> VoiceActivityDetector:
    """Return either detector."""
    return request.getfixturevalue("silero") if request.param == "silero" else EnergyVad()
