from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"


@pytest.fixture
def work(tmp_path: Path) -> Path:
    """Create an empty folder outside of the folders of examples and audio."""
    folder = tmp_path / "work"
    folder.mkdir()
    return folder


@pytest.fixture
def offline(weights_cache: Path) -> Mapping[str, str]:
    """Return the environment of a process with the weights and without network access."""
    return os.environ | {"ASRLAB_CACHE": str(weights_cache), "ASRLAB_OFFLINE": "1", "HF_HUB_OFFLINE": "1"}


@pytest.fixture
def run(work: Path, offline: Mapping[str, str]) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Return a function that runs an example in the folder `work`, offline."""

    def run(name: str, *arguments: str | Path, **options: Any) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, str(EXAMPLES / name), *map(str, arguments)],
            cwd=work,
            env=offline,
            capture_output=True,
            text=True,
            check=False,
            **options,
        )

    return run
