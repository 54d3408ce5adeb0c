"""Type checkers infer the public names and what the main calls return."""

from __future__ import annotations

import importlib
import re
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("mypy", reason="mypy is not installed")

PACKAGES = ("asrlab", "asrlab.evaluation", "asrlab.evaluation.metrics", "asrlab.patches", "asrlab.plugin")
CALLS = {
    "transcriber": ('asrlab.load("echo")', "asrlab.engine.transcriber.Transcriber"),
    "transcript": ('transcriber.transcribe("a.wav")', "asrlab.transcript.result.Transcript"),
    "outcome": ('next(iter(transcriber.transcribe_many(["a.wav"])))', "asrlab.transcript.result.TranscribeResult"),
    "text": ("outcome.unwrap().segments[0].text", "str"),
    "plain": ("transcript.to_dict()", "dict[str, Any]"),
    "rows": ("transcript.to_dicts()", "list[dict[str, Any]]"),
    "run": ('asrlab.evaluation.bench("smoke", models="echo")', "asrlab.evaluation.runs.result.BenchResult"),
    "rate": ("run.models[0].score.wer if run.models[0].score else None", "float | None"),
    "comparison": ("asrlab.evaluation.compare([run])", "asrlab.evaluation.reports.comparison.Comparison"),
    "scoring": ('asrlab.evaluation.score("a.trn")', "asrlab.evaluation.reports.scoring.Scoring"),
}
REVEALED = re.compile(r'note: Revealed type is "(.*)"')


@pytest.mark.slow
def test_type_checkers_infer_every_public_name(tmp_path: Path):
    """Under mypy's strict rules no public name is Any, and the main calls return the documented classes."""
    names = [f"{package}.{name}" for package in PACKAGES for name in importlib.import_module(package).__all__]
    lines = [*(f"import {package}" for package in PACKAGES), *(f"reveal_type({name})" for name in names)]
    for variable, (call, _) in CALLS.items():
        lines += [f"{variable} = {call}", f"reveal_type({variable})"]
    (tmp_path / "user.py").write_text("\n".join(lines) + "\n", encoding="utf-8")
    command = [sys.executable, "-m", "mypy", "--strict", "--config-file=", f"--cache-dir={tmp_path}", "user.py"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout
    revealed = REVEALED.findall(done.stdout)
    assert [name for name, kind in zip(names, revealed, strict=False) if kind == "Any"] == []
    assert revealed[len(names) :] == [kind for _, kind in CALLS.values()]
