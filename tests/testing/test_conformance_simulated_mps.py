"""The built-in engines that claim mps keep to what the kit asks there, as far as it can be simulated."""

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
    def subject(self) -> Target:
        """The smallest model of Whisper whose weights a package carries."""
        pytest.importorskip("whisper", reason="openai-whisper is not installed")
        return Target(model="openai-whisper/tiny.en", device="mps-sim")


class TestLiquidAudio(TranscriberConformance):
    """LFM2.5-Audio with weights that say one text."""

    @pytest.fixture
    def subject(self, tiny_lfm2_audio: Callable[..., Path]) -> Target:
        """With the tiny checkpoint."""
        return Target(model=f"liquid-audio/{tiny_lfm2_audio()}", device="mps-sim")
