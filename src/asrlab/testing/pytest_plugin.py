"""Fixtures for pytest; enable with ``pytest_plugins = ["asrlab.testing.pytest_plugin"]`` in a conftest."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from asrlab.errors import DeviceUnavailableError
from asrlab.testing.mps.simulation import SimulatedProcess


@pytest.fixture(scope="session")
def simulated_mps_process() -> Iterator[SimulatedProcess]:
    """Yield a process that simulates MPS, one for the whole session.

    The test is skipped with the reason if MPS cannot be simulated, as with an untested torch.

    Raises:
        DeviceUnavailableError: If the self-test fails.
    """
    with ExitStack() as stack:
        try:
            process = stack.enter_context(SimulatedProcess(threads=1))
        except DeviceUnavailableError as error:
            if "fails its self-test" in error.message:  # a defect, not a reason to skip
                raise
            pytest.skip(error.message)
        yield process
