"""``asrlab tune``, and what ``asrlab doctor`` says of it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("faster_whisper", reason="faster-whisper is not installed")
pytestmark = pytest.mark.usefixtures("use_weights")

MODEL = "faster-whisper/tiny.en"


def test_a_calibration_is_shown_kept_told_and_forgotten(asrlab_cli: Any, tmp_path: Path):
    """As a table; doctor shows it, and notes one that was made with another version."""
    cache = {"ASRLAB_CACHE": str(tmp_path)}
    shown = asrlab_cli("tune", MODEL, "--seconds", "2", "--device", "cpu", "--offline", **cache)
    assert shown.code == 0, shown.err
    assert "chosen after" in shown.out
    (path,) = (tmp_path / "tuning").glob("*.json")
    stored = json.loads(path.read_text())
    assert stored["key"]["model"] == MODEL
    told = findings(tmp_path)
    assert [(each.status, each.detail.startswith("batches of")) for each in told] == [("ok", True)]
    stored["key"]["packages"][0]["version"] = "0.0.1"
    path.write_text(json.dumps(stored))
    (stale,) = findings(tmp_path)
    assert stale.status == "note"
    assert "0.0.1, now" in stale.detail
    assert stale.cure.endswith(f"asrlab tune {MODEL}")
    gone = asrlab_cli("tune", MODEL, "--forget", "--json", **cache)
    assert json.loads(gone.out) == {"removed": [str(path)]}
    assert not path.exists()


def findings(cache: Path) -> list[Any]:
    """What doctor finds about calibrations."""
    from asrlab.doctor.checks import check_calibrations
    from asrlab.plugins.manager import PluginHost
    from asrlab.plugins.registry import Registry
    from asrlab.tuning.calibration import CalibrationStore

    return list(check_calibrations(Registry(PluginHost()).engines(), CalibrationStore(cache / "tuning")))


def test_an_engine_that_takes_recordings_one_by_one_is_told(asrlab_cli: Any):
    """With exit code 2, as options that cannot be had."""
    answer = asrlab_cli("tune", "echo/echo")
    assert answer.code == 2
    assert "takes recordings one by one" in answer.err
