"""The plugin meets asrlab's requirements."""

from __future__ import annotations

import pytest

from asrlab.testing import Target, TranscriberConformance


class TestEnUs(TranscriberConformance):
    """The model in the wheel, on the CPU."""

    @pytest.fixture
    def target(self) -> Target:
        """Return the model to check."""
        return Target(model="pocketsphinx/en-us")
