"""The documentation site as Sphinx builds it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from doc_blocks import ROOT


@pytest.fixture(scope="session")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of the built pages, or the folder that ``ASRLAB_TEST_SITE`` names."""
    if built := os.environ.get("ASRLAB_TEST_SITE"):
        return Path(built).absolute()
    for name in ("sphinx", "furo", "myst_parser"):
        pytest.importorskip(name, reason=f"{name} is not installed (dependency group docs)")
    folder = tmp_path_factory.mktemp("site")
    options = ("-W", "-n", "--keep-going", "-q", "-b", "html", "-d", str(folder / "doctrees"))
    command = [sys.executable, "-m", "sphinx", *options, str(ROOT / "docs"), str(folder / "html")]
    process = subprocess.run(command, capture_output=True, text=True, check=False)
    assert process.returncode == 0, process.stderr
    return folder / "html"
