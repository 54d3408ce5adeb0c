"""Tests of ``asrlab doctor --verify-weights``, which detects changes that cached checksums do not show."""

from __future__ import annotations

import os
import shutil
import subprocess
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from pathlib import Path

SUBJECT = "stored weights systran/faster-whisper-base"


@pytest.fixture(scope="module")
def store(weights_cache: Path, tmp_path_factory: pytest.TempPathFactory, asrlab_cli: Any) -> Path:
    """Return a cache with the base model, one byte of which was changed without a new size or time."""
    cache = tmp_path_factory.mktemp("cache") / "cache"
    shutil.copytree(weights_cache, cache)
    asrlab_cli("models", "--json", ASRLAB_CACHE=str(cache))  # caches the checksums of these files
    path = next(cache.glob("weights/*faster-whisper-base/model/vocabulary.*"))
    before = path.stat()
    with path.open("r+b") as file:
        file.seek(1)
        file.write(b"#")
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    return cache


def verify_weights(asrlab_cli: Any, store: Path) -> tuple[int, dict[str, Any]]:
    """Return doctor's exit code and its findings by component."""
    result = asrlab_cli("doctor", "--json", "--engine", "faster-whisper", "--verify-weights", ASRLAB_CACHE=str(store))
    return result.code, {finding["component"]: finding for finding in result.json["findings"]}


def test_changed_bytes_are_detected_and_repaired_by_the_fix(store: Path, asrlab_cli: Any):
    """Changed bytes pass the cached check, fail when the files are read again, and the fix replaces them."""
    models = {row["name"]: row for row in asrlab_cli("models", "--json", ASRLAB_CACHE=str(store)).json["models"]}
    assert models["faster-whisper/base"]["weights"] == "here"
    code, findings = verify_weights(asrlab_cli, store)
    assert (code, findings[SUBJECT]["status"]) == (1, "problem")
    assert "vocabulary" in findings[SUBJECT]["detail"]
    assert "has sha256" in findings[SUBJECT]["detail"]
    cure = findings[SUBJECT]["cure"]
    environment = asrlab_cli.environment(ASRLAB_CACHE=str(store))
    subprocess.run(["/bin/sh", "-c", cure], check=True, env=environment, capture_output=True)
    code, findings = verify_weights(asrlab_cli, store)
    assert (code, findings[SUBJECT]["status"]) == (0, "ok")
    assert "MB, read again; sha256 as in the catalogue" in findings[SUBJECT]["detail"]


def test_an_empty_store_is_not_a_problem(asrlab_cli: Any, tmp_path: Path):
    """An empty store has no weights to verify and is not a problem."""
    _, findings = verify_weights(asrlab_cli, tmp_path)
    assert findings["stored weights"]["status"] == "ok"
