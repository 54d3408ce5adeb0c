"""A killed run loses nothing and repeats nothing; ``benchmarks.durability`` tests this at length."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[3]
OFFLINE = {"ASRLAB_OFFLINE": "1", "HF_HUB_OFFLINE": "1"}


def _found(module: str, *arguments: str | Path) -> dict[str, Any]:
    """What a part of the benchmark says last."""
    command = [sys.executable, "-m", f"benchmarks.durability.{module}", *map(str, arguments)]
    done = subprocess.run(command, cwd=ROOT, env=os.environ | OFFLINE, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def test_random_kills_of_the_command_line_lose_nothing(small_folder: Path, tmp_path: Path):
    """After random kills of `asrlab bench` and `asrlab resume` every outcome is there once, and no process remains."""
    found = _found("killer", "--kills", 4, "--seed", 4, "--share", 1, "--folder", tmp_path, "echo", small_folder)
    assert found["kills"] == {"command": 4}
    assert found["outcomes"] == 3 * found["runs"] >= 3
    assert set(found["findings"].values()) == {0}, found
    assert (found["leftovers"], found["refused"]) == (0, 0), found["complaints"]


def test_a_kill_at_any_write_loses_nothing(tmp_path: Path):
    """After a kill at each call that changes the folder, with and without a power cut, the run completes."""
    found = _found("boundaries", "--utterances", 2, "--first-kills", 0, "--quick", "--folder", tmp_path)
    calls = found["calls"]
    assert calls.count("fdatasync ledger.jsonl") + calls.count("full sync ledger.jsonl") >= 3
    assert found["kills"] == 2 * len(calls) + sum(call.startswith("write") for call in calls)
    assert found["failures"] == 0, found["examples"]
    assert set(found["findings"].values()) == {0}
