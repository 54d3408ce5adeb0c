"""Fixtures for pytest; a conftest asks for them with ``pytest_plugins = ["asrlab.testing.pytest_plugin"]``."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from asrlab.errors import DeviceUnavailableError
from asrlab.testing.mps.process import SimulatedProcess

__all__ = ["simulated_mps_process"]


@pytest.fixture(scope="session")
def simulated_mps_process() -> Iterator[SimulatedProcess]:
    """A process that simulates MPS, one for the whole session; skips, with the reason, where it cannot be simulated."""
    process = SimulatedProcess(threads=1)
    try:
        process.__enter__()
    except DeviceUnavailableError as error:
        pytest.skip(str(error))
    with process:
        yield process
