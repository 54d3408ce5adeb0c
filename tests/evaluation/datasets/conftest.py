"""Files for data sets."""

from __future__ import annotations

import gzip
from collections.abc import Callable
from pathlib import Path

import pytest

type Write = Callable[[dict[str, str | bytes]], Path]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Return a function that writes files into a folder and returns the folder; text for ``.gz`` is gzipped."""

    def written(files: dict[str, str | bytes]) -> Path:
        root = tmp_path / "set"
        for name, content in files.items():
            path = root / name
            path.parent.mkdir(parents=True, exist_ok=True)
            data = content.encode() if isinstance(content, str) else content
            path.write_bytes(gzip.compress(data) if name.endswith(".gz") and isinstance(content, str) else data)
        return root

    return written
