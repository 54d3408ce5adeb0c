"""The benchmark of reading prints its table and writes its record."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def test_a_quick_run_prints_a_row_and_writes_the_record(tmp_path: Path):
    """A quick run of one format has a row in the table and both sizes in the record."""
    record = tmp_path / "reading.json"
    command = ["-m", "benchmarks.reading", "--quick", "--form", "kaldi", "--record", str(record)]
    done = subprocess.run([sys.executable, *command], cwd=ROOT, capture_output=True, text=True, check=False)

    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1].startswith("kaldi ")
    assert [(figures["form"], figures["utterances"]) for figures in json.loads(record.read_text())] == [
        ("kaldi", 100),
        ("kaldi", 200),
    ]
