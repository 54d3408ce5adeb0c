"""The plugin keeps to what asrlab's users may rely on, on the CPU and on the simulated MPS device."""

from __future__ import annotations

from pathlib import Path

import pytest

from asrlab.testing import Target, TranscriberConformance


class TestWhisperBase(TranscriberConformance):
    """Whisper base in Hugging Face's format, on the CPU."""

    @pytest.fixture
    def subject(self, base_folder: Path) -> Target:
        """The converted folder."""
        return Target(model=f"transformers/{base_folder}")


class TestCtcOnSimulatedMps(TranscriberConformance):
    """The tiny CTC model on the simulated device."""

    @pytest.fixture
    def subject(self, ctc_folder: Path) -> Target:
        """The folder of random numbers."""
        return Target(model=f"transformers/{ctc_folder}", device="mps-sim")
