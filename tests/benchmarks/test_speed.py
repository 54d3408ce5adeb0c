"""The benchmarks of speed print their tables, and write records that documents can show."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from asrlab.evaluation.claims.blocks import RenderContext, render_block
from asrlab.evaluation.claims.evidence import Evidence, SupportMatrix

pytest.importorskip("faster_whisper", reason="faster-whisper is not installed")
pytestmark = pytest.mark.usefixtures("use_weights")

ROOT = Path(__file__).resolve().parents[2]
SMALL = {
    "throughput": ("--rounds", "1", "--clips", "2", "--way", "+ a worker a thread"),
    "longform": ("--rounds", "1", "--seconds", "8"),
    "latency": ("--times", "1"),
    "growth": ("--clips", "1", "6"),
    "shares": ("--clips", "4", "--rounds", "1"),
}
ROWS = {
    "throughput": ["raw int8", "+ a worker a thread"],
    "longform": ["raw, sequential", "raw, own batches", "asrlab"],
    "latency": ["language given", "language detected"],
    "growth": ["1", "6"],
    "shares": ["the engine", "all outside of the engine"],
}


@pytest.mark.skipif(sys.platform != "linux", reason="benchmarks.shares reads the times of threads from Linux")
@pytest.mark.parametrize("name", SMALL)
def test_a_benchmark_prints_its_table_and_writes_a_record(name: str, tmp_path: Path):
    """With a few clips each way has a row, and a block of a document has the same rows."""
    record = tmp_path / f"{name}.json"
    command = [sys.executable, "-m", f"benchmarks.{name}", *SMALL[name], "--record", str(record)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    figures = json.loads(record.read_text(encoding="utf-8"))
    names = [row[0] for row in figures["table"]["rows"]]
    assert [row for row in names if row in ROWS[name]] == ROWS[name]
    for row in names:
        assert row in done.stdout
    support = SupportMatrix(engines=(), models=(), cells={}, bounds={})
    page = RenderContext(document=tmp_path / "page.md", evidence=Evidence(folder=tmp_path), support=support)
    block = render_block("measured", {"record": record.name}, page)
    for row in figures["table"]["rows"]:
        assert f"| {row[0]} |" in block
    assert str(ROOT) not in record.read_text(encoding="utf-8")
