"""The durability benchmark prints its tables, and fails where something was lost."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
COMMAND = [sys.executable, "-m", "benchmarks.durability", "--utterances", "20", "--quick"]


def _figure(table: str, row: str) -> int:
    """The number in the first row that begins so."""
    return next(int(line.split()[-1]) for line in table.splitlines() if line.strip().startswith(row))


def test_kills_and_faults_have_their_tables_and_lose_nothing(tmp_path: Path):
    """Three kills, and an engine of every temper: both tables are printed, all is well, and the figures are JSON."""
    record = tmp_path / "durability.json"
    command = [*COMMAND, "--kills", "3", "--jobs", "1", "--no-boundaries", "--timeout", "2", "--json", str(record)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert _figure(done.stdout, "kill -9 to the process") == 3
    assert _figure(done.stdout, "records lost") == _figure(done.stdout, "records twice") == 0
    rows = [line for line in done.stdout.splitlines() if line.startswith("  abort, exit, hang, eat ")]
    assert rows[0].split()[4:-1] == [*["crashed,", "crashed,", "timeout,", "oom", "2,", "2,", "2,", "2", "0"]]
    assert done.stdout.endswith("\nnothing was lost\n")
    found = json.loads(record.read_text(encoding="utf-8"))
    assert sum(found["kills"]["kills"].values()) == 3
    assert set(found["kills"]["findings"].values()) == {0}
    assert found["faults"][0]["innocents_lost"] == 0


FORGETFUL = """
import asrlab.evaluation.runs.storage

def unsynced(file):
    pass

asrlab.evaluation.runs.storage.sync_file = unsynced
import sys
sys.argv = ["boundaries", *sys.argv[1:]]
from benchmarks.durability.boundaries import main
main()
"""


def test_a_ledger_that_is_not_synced_is_found_out(tmp_path: Path):
    """Without its syncs a run tells of outcomes that a power cut takes: the write boundaries count them as lost."""
    command = [sys.executable, "-c", FORGETFUL, "--utterances", "1", "--first-kills", "0", "--quick"]
    done = subprocess.run([*command, "--folder", str(tmp_path)], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["failures"] > 0
    assert found["findings"]["lost"] > 0
    assert any("power cut" in example for example in found["examples"])


@pytest.fixture
def witnessed(tmp_path: Path) -> Path:
    """A run's folder with a ledger of two outcomes."""
    lines = [
        json.dumps({"record": "outcome", "model": "m", "id": name, "hypothesis": name}).encode() + b"\n"
        for name in ("a", "b")
    ]
    (tmp_path / "ledger.jsonl").write_bytes(b"".join(lines))
    return tmp_path


WITNESS = """
import json, sys
from pathlib import Path
from benchmarks.durability.witness import Witness
witness = Witness(run=Path(sys.argv[1]))
witness.look()
lines = witness.last.lines
change = {"gone": lines[:1], "changed": (lines[0], lines[1].replace(b'"b"}', b'"c"}')), "twice": (*lines, lines[1])}
(witness.run / "ledger.jsonl").write_bytes(b"".join(change[sys.argv[2]]))
witness.close({("m", "a", 0): "a", ("m", "b", 0): "b"})
found = witness.findings
print(found.lost, found.twice, found.missing, found.other_text)
"""


@pytest.mark.parametrize(
    ("change", "found"), [("gone", "1 0 1 0"), ("changed", "1 0 0 1"), ("twice", "0 1 0 0")], ids=str
)
def test_the_witness_sees_what_is_wrong_in_a_ledger(witnessed: Path, change: str, found: str):
    """A record that is gone, or has changed, or is there twice, is counted."""
    command = [sys.executable, "-c", WITNESS, str(witnessed), change]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.split() == found.split()
