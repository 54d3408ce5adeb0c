"""The durability benchmark prints its tables, and fails if a run lost data."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
COMMAND = [sys.executable, "-m", "benchmarks.durability", "--utterances", "20", "--quick"]


def _read_figure(table: str, row: str) -> int:
    """Return the number in the first row that starts with *row*."""
    return next(int(line.split()[-1]) for line in table.splitlines() if line.strip().startswith(row))


def test_kills_and_faults_have_their_tables_and_lose_nothing(tmp_path: Path):
    """Three kills and an engine with every fault lose nothing: both tables and the JSON record have the figures."""
    record = tmp_path / "durability.json"
    command = [*COMMAND, "--kills", "3", "--jobs", "1", "--no-boundaries", "--timeout", "2", "--json", str(record)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert _read_figure(done.stdout, "kill -9 to the process") == 3
    assert _read_figure(done.stdout, "records lost") == _read_figure(done.stdout, "records twice") == 0
    rows = [line for line in done.stdout.splitlines() if line.startswith("  abort, exit, hang, eat ")]
    assert rows[0].split()[4:-1] == [*["crashed,", "crashed,", "timeout,", "oom", "2,", "2,", "2,", "2", "0"]]
    assert done.stdout.endswith("\nnothing was lost\n")
    figures = json.loads(record.read_text(encoding="utf-8"))
    assert sum(figures["kills"]["kills"].values()) == 3
    assert set(figures["kills"]["findings"].values()) == {0}
    assert figures["faults"][0]["innocents_lost"] == 0


UNSYNCED = """
import asrlab.evaluation.runs.storage

def unsynced(file):
    pass

asrlab.evaluation.runs.storage.sync_file = unsynced
import sys
sys.argv = ["boundaries", *sys.argv[1:]]
from benchmarks.durability.boundaries import main
main()
"""


def test_a_ledger_that_is_not_synced_is_detected(tmp_path: Path):
    """If the ledger is not synced, outcomes that a power cut removes are counted as lost at the write boundaries."""
    command = [sys.executable, "-c", UNSYNCED, "--utterances", "1", "--first-kills", "0", "--quick"]
    done = subprocess.run([*command, "--folder", str(tmp_path)], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    figures = json.loads(done.stdout)
    assert figures["failures"] > 0
    assert figures["findings"]["lost"] > 0
    assert any("power cut" in example for example in figures["examples"])


@pytest.fixture
def run_folder(tmp_path: Path) -> Path:
    """Create a run's folder with a ledger of two outcomes."""
    lines = [
        json.dumps({"record": "outcome", "model": "m", "id": name, "hypothesis": name}).encode() + b"\n"
        for name in ("a", "b")
    ]
    (tmp_path / "ledger.jsonl").write_bytes(b"".join(lines))
    return tmp_path


OBSERVE = """
import json, sys
from pathlib import Path
from benchmarks.durability.ledger_observer import LedgerObserver
observer = LedgerObserver(run=Path(sys.argv[1]))
observer.observe()
lines = observer.last.lines
changes = {
    "missing": lines[:1],
    "changed": (lines[0], lines[1].replace(b'"b"}', b'"c"}')),
    "duplicate": (*lines, lines[1]),
}
(observer.run / "ledger.jsonl").write_bytes(b"".join(changes[sys.argv[2]]))
observer.compare_outcomes({("m", "a", 0): "a", ("m", "b", 0): "b"})
findings = observer.findings
print(findings.lost, findings.twice, findings.missing, findings.other_text)
"""


@pytest.mark.parametrize(
    ("change", "counts"), [("missing", "1 0 1 0"), ("changed", "1 0 0 1"), ("duplicate", "0 1 0 0")], ids=str
)
def test_changes_of_a_ledger_are_counted(run_folder: Path, change: str, counts: str):
    """A missing, changed or duplicate record is counted."""
    command = [sys.executable, "-c", OBSERVE, str(run_folder), change]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.split() == counts.split()
