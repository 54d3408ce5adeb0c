"""The plugin keeps to what asrlab's users may rely on."""

from __future__ import annotations

import pytest

from asrlab.testing import Target, TranscriberConformance


class TestEnUs(TranscriberConformance):
    """The model in the wheel, on the CPU."""

    @pytest.fixture
    def subject(self) -> Target:
        """What is checked."""
        return Target(model="pocketsphinx/en-us")
