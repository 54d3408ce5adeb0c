"""Fixtures for pytest; a conftest asks for them with ``pytest_plugins = ["asrlab.testing.pytest_plugin"]``."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from asrlab.errors import DeviceUnavailableError
from asrlab.testing.mps.process import SimulatedProcess


@pytest.fixture(scope="session")
def simulated_mps_process() -> Iterator[SimulatedProcess]:
    """A process that simulates MPS, one for the whole session.

    Where MPS cannot be simulated, as with a torch that was not tested, the test is skipped with the reason.

    Raises:
        DeviceUnavailableError: The self-test failed.
    """
    with ExitStack() as stack:
        try:
            process = stack.enter_context(SimulatedProcess(threads=1))
        except DeviceUnavailableError as error:
            if "does not behave" in error.message:  # broken, which is no reason to skip
                raise
            pytest.skip(error.message)
        yield process
