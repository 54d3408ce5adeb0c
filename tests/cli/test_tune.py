"""Tests of ``asrlab tune``, and of the findings of ``asrlab doctor`` about calibrations."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("faster_whisper", reason="faster-whisper is not installed")
pytestmark = pytest.mark.usefixtures("use_weights")

MODEL = "faster-whisper/tiny.en"


def test_a_calibration_is_stored_reported_and_removed(asrlab_cli: Any, tmp_path: Path):
    """Doctor reports a stored calibration, and notes a calibration of another package version."""
    cache = {"ASRLAB_CACHE": str(tmp_path)}
    tuned = asrlab_cli("tune", MODEL, "--seconds", "2", "--device", "cpu", "--offline", **cache)
    assert tuned.code == 0, tuned.err
    assert "chosen after" in tuned.out
    (path,) = (tmp_path / "tuning").glob("*.json")
    stored = json.loads(path.read_text())
    assert stored["key"]["model"] == MODEL
    current = calibration_findings(tmp_path)
    assert [(finding.status, finding.detail.startswith("batches of")) for finding in current] == [("ok", True)]
    stored["key"]["packages"][0]["version"] = "0.0.1"
    path.write_text(json.dumps(stored))
    (stale,) = calibration_findings(tmp_path)
    assert stale.status == "note"
    assert "0.0.1, now" in stale.detail
    assert stale.cure.endswith(f"asrlab tune {MODEL}")
    removed = asrlab_cli("tune", MODEL, "--forget", "--json", **cache)
    assert json.loads(removed.out) == {"removed": [str(path)]}
    assert not path.exists()


def calibration_findings(cache: Path) -> list[Any]:
    """Return doctor's findings about calibrations."""
    from asrlab.doctor.checks import check_calibrations
    from asrlab.plugins.manager import PluginHost
    from asrlab.plugins.registry import Registry
    from asrlab.tuning.calibration import CalibrationStore

    return list(check_calibrations(Registry(PluginHost()).engines(), CalibrationStore(cache / "tuning")))


def test_an_engine_without_batching_cannot_be_tuned(asrlab_cli: Any):
    """An engine that does not support batching exits with 2 and an error."""
    result = asrlab_cli("tune", "echo/echo")
    assert result.code == 2
    assert "takes recordings one by one" in result.err
