"""The plugin meets asrlab's requirements on the CPU and on the simulated MPS device."""

from __future__ import annotations

from pathlib import Path

import pytest

from asrlab.testing import Target, TranscriberConformance


class TestWhisperBase(TranscriberConformance):
    """Whisper base in Hugging Face's format, on the CPU."""

    @pytest.fixture
    def target(self, base_folder: Path) -> Target:
        """Return the converted checkpoint."""
        return Target(model=f"transformers/{base_folder}")


class TestCtcOnSimulatedMps(TranscriberConformance):
    """The tiny CTC model on the simulated device."""

    @pytest.fixture
    def target(self, ctc_folder: Path) -> Target:
        """Return the checkpoint of random weights."""
        return Target(model=f"transformers/{ctc_folder}", device="mps-sim")
