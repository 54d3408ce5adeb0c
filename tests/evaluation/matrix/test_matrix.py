from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from pathlib import Path
from platform import node
from typing import Any

import attrs
import pytest

from asrlab.evaluation.matrix.records import machine_has
from asrlab.installation import install_command

FAULTY = Path(__file__).with_name("faulty_plugin.py")


@attrs.frozen
class Finished:
    """A finished run of the matrix command."""

    code: int
    out: str
    err: str


type RunMatrix = Callable[..., Finished]


@pytest.fixture(scope="module")
def run_matrix(
    asrlab_cli: Any, write_distribution: Callable[..., Path], tmp_path_factory: pytest.TempPathFactory
) -> RunMatrix:
    """Return a function that runs ``python -m asrlab.evaluation.matrix`` with an engine whose models have faults."""
    plugins = write_distribution(tmp_path_factory.mktemp("faulty"), "faulty", source=FAULTY.read_text(encoding="utf-8"))

    def run(*arguments: str | Path, engines: Iterable[str] = (), **variables: str) -> Finished:
        options = [word for engine in engines for word in ("--engine", engine)]
        done = subprocess.run(
            [sys.executable, "-m", "asrlab.evaluation.matrix", *options, *map(str, arguments)],
            capture_output=True,
            text=True,
            cwd=plugins,
            env=asrlab_cli.environment(plugins=[plugins], **variables),
            check=False,
        )
        assert "Traceback" not in done.stderr, done.stderr
        return Finished(done.returncode, done.stdout, done.stderr)

    return run


@pytest.fixture(scope="module")
def record(run_matrix: RunMatrix, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """Return the record of a run with all models but the hanging model, on the CPU."""
    path = tmp_path_factory.mktemp("record") / "deep" / "record.json"
    names = ("good", "fails", "aborts", "exits", "misplaced", "disordered", "silent", "raises-on-load")
    engines = [f"faulty/{name}" for name in names]
    ran = run_matrix("--device", "cpu", "--jobs", "2", "--record", path, "--label", "here", engines=engines)
    assert ran.code == 1
    assert list(path.parent.iterdir()) == [path]
    document: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return document


def find_cell(record: dict[str, Any], model: str) -> dict[str, Any]:
    """Return the cell of a model on the CPU."""
    cell: dict[str, Any] = next(cell for cell in record["cells"] if cell["model"] == f"faulty/{model}")
    return cell


def find_failures(record: dict[str, Any], model: str) -> dict[str, str]:
    """Return the errors of a model's failed checks by name."""
    return {
        check["name"]: check["error"] for check in find_cell(record, model)["checks"] if check["outcome"] == "failed"
    }


def test_an_engine_without_fault_passes_all_checks(record: dict[str, Any]):
    """An engine without fault loads, reports its device, transcribes, and has times in order."""
    cell = find_cell(record, "good")
    assert [(check["name"], check["outcome"]) for check in cell["checks"]] == [
        ("load", "ran"),
        ("device", "ran"),
        ("transcribe", "ran"),
        ("segments", "ran"),
    ]
    assert (cell["outcome"], cell["simulated"]) == ("ran", False)


@pytest.mark.parametrize(
    ("model", "check", "error"),
    [
        ("fails", "transcribe", "ValueError: no such kernel in ~/kernels"),
        ("aborts", "transcribe", "the cell ends its process (SIGABRT); last output: fatal: out of kernels"),
        ("exits", "transcribe", "the cell ends its process (exit status 7)"),
        ("misplaced", "device", "not the requested cpu: reported mps"),
        ("disordered", "segments", "the segment 'heard' is at 0.00 to 14.87 s, after 14.87 s"),
        ("silent", "transcribe", "the text is empty"),
        ("raises-on-load", "load", "engine 'faulty' failed in faulty:load: ZeroDivisionError: no weights in the box"),
    ],
)
def test_a_fault_fails_its_check_with_one_line(record: dict[str, Any], model: str, check: str, error: str):
    """Any fault of an engine fails the running check, with an error of one line."""
    failures = find_failures(record, model)
    assert list(failures) == [check]
    assert failures[check].startswith(error)
    assert "\n" not in failures[check]


def test_checks_before_a_crash_are_recorded(record: dict[str, Any]):
    """A process that dies fails only the running check."""
    checks = [(check["name"], check["outcome"]) for check in find_cell(record, "aborts")["checks"]]
    assert checks == [("load", "ran"), ("device", "ran"), ("transcribe", "failed")]


def test_a_hanging_cell_is_ended(run_matrix: RunMatrix):
    """A check that exceeds the limit fails, and the run continues."""
    ran = run_matrix("--device", "cpu", "--limit", "15", "--json", engines=["faulty/hangs", "faulty/good"])
    assert ran.code == 1
    hanging, good = json.loads(ran.out)["cells"]
    assert hanging["checks"][-1]["error"] == "the cell does not end within 15 s"
    assert hanging["checks"][-1]["name"] == "transcribe"
    assert good["outcome"] == "ran"


def test_a_record_has_the_facts_of_the_run(record: dict[str, Any]):
    """A record has the machine, versions, date, and each cell's device and weights, and no name of the host."""
    assert (record["schema"], record["label"]) == (1, "here")
    assert abs((datetime.now(UTC) - datetime.fromisoformat(record["date"])).total_seconds()) < 600
    assert set(record["machine"]) == {"system", "architecture", "processor", "cores", "python"}
    assert {"asrlab", "numpy"} <= {package["name"] for package in record["packages"]}
    facts = find_cell(record, "good")["facts"]
    assert facts["device"] == {"requested": "cpu", "resolved": "cpu", "reason": "", "simulated": False}
    assert facts["info"]["weights_random"] is False
    text = json.dumps(record)
    assert str(Path.home()) not in text
    assert not node() or not re.search(rf"\b{re.escape(node())}\b", text)


def test_a_device_that_the_engine_does_not_support_is_refused(run_matrix: RunMatrix):
    """If no cell can run, the exit code is 3, and each reason is printed and counted."""
    ran = run_matrix("--device", "mps-sim", engines=["faulty", "absent"])
    assert ran.code == 3
    assert "2 cells: 0 ran, 0 failed, 2 skipped" in ran.out
    assert "  refused: faulty/good on mps-sim (simulated): no such backend" in ran.out
    missing = f"absent-package is not installed; run: {install_command('absent-package')}"
    assert f"  not here: absent/good on mps-sim (simulated): {missing}" in ran.out


def test_a_device_that_the_machine_lacks_is_not_here(run_matrix: RunMatrix):
    """The reason states that the machine has no such device."""
    if machine_has("cuda"):
        pytest.skip("this machine has a CUDA device")
    ran = run_matrix("--device", "cuda", engines=["faulty"])
    assert ran.code == 3
    assert "  not here: faulty/good on cuda: this machine has no cuda device (no such backend)" in ran.out


def test_a_skipped_device_does_not_fail_what_ran(run_matrix: RunMatrix):
    """One cell that ran and one that was skipped give exit code 0."""
    ran = run_matrix("--device", "cpu", "--device", "mps-sim", engines=["echo"])
    assert ran.code == 0
    assert "2 cells: 1 ran, 0 failed, 1 skipped" in ran.out
    assert re.search(r"\| echo/echo +\| 4 ran +\| refused +\|", ran.out)
    assert "no weights" in ran.out


def test_a_missing_model_names_its_weights(run_matrix: RunMatrix):
    """A model without local weights is skipped; the reason names the weights and the command that fetches them."""
    ran = run_matrix("--device", "cpu", engines=["faster-whisper/small"])
    assert ran.code == 3
    assert "Systran/faster-whisper-small @ 536b0662742c" in ran.out
    assert "run: asrlab pull faster-whisper/small" in ran.out


def test_records_merge_into_one_table(run_matrix: RunMatrix, tmp_path: Path):
    """Each device of each record is a column with the record's label; a failure in any record is exit code 1."""
    first, second = tmp_path / "a.json", tmp_path / "b.json"
    assert run_matrix("--device", "cpu", "--record", first, "--label", "one", engines=["echo"]).code == 0
    assert (
        run_matrix("--device", "cpu", "--record", second, "--label", "two", engines=["echo", "faulty/fails"]).code == 1
    )
    merged = run_matrix("--merge", first, second)
    assert merged.code == 1
    assert re.search(r"\| one +\| two +\|", merged.out)
    assert "3 cells: 2 ran, 1 failed, 0 skipped" in merged.out
    assert "failed: faulty/fails on cpu two: transcribe: ValueError: no such kernel" in merged.out
    assert run_matrix("--merge", first).code == 0


def test_the_output_does_not_claim_that_something_works(run_matrix: RunMatrix):
    """The output states what ran. Whether something works is for its reader to decide."""
    ran = run_matrix("--device", "cpu", "--device", "mps-sim", engines=["echo", "faulty/fails"])
    assert "ran" in ran.out
    assert not re.search(r"\bwork(s|ing|ed)?\b", ran.out + ran.err, re.IGNORECASE)


@pytest.mark.parametrize(
    ("arguments", "code", "expected"),
    [
        (("--merge",), 2, "give FILES with --merge"),
        (("record.json",), 2, "give FILES with --merge"),
        (("--device", "tpu"), 2, "'tpu' is not one of 'cpu', 'mps-sim', 'mps', 'cuda'"),
        (("--engine", "whisperer"), 2, "there is no model 'whisperer'"),
        (("--merge", "nowhere.json"), 4, "cannot read the record nowhere.json"),
    ],
)
def test_a_usage_error_has_an_exit_code(run_matrix: RunMatrix, arguments: tuple[str, ...], code: int, expected: str):
    """An unknown name or a missing record is one sentence with an exit code."""
    ran = run_matrix(*arguments)
    assert ran.code == code
    assert expected in ran.err


@pytest.mark.parametrize(
    ("damage", "expected"),
    [
        ({"schema": 2}, "of schema 1, but of 2"),
        ({"cells": [{"model": 1}]}, "is damaged"),
        ({"machine": None}, "is damaged"),
    ],
)
def test_a_record_that_cannot_be_read_is_refused(
    run_matrix: RunMatrix, record: dict[str, Any], tmp_path: Path, damage: dict[str, Any], expected: str
):
    """A record of another version, or with missing parts, is refused with the next step."""
    path = tmp_path / "damaged.json"
    path.write_text(json.dumps(record | damage), encoding="utf-8")
    ran = run_matrix("--merge", path)
    assert ran.code == 4
    assert expected in ran.err


@pytest.fixture(scope="module")
def real_cell(run_matrix: RunMatrix, weights_cache: Path) -> dict[str, Any]:
    """Return the cell of a real engine with real weights on the CPU."""
    pytest.importorskip("faster_whisper")
    ran = run_matrix("--device", "cpu", "--json", engines=["faster-whisper/base"], ASRLAB_CACHE=str(weights_cache))
    (cell,) = json.loads(ran.out)["cells"]
    assert ran.code == 0, cell
    result: dict[str, Any] = cell
    return result


def test_a_real_engine_is_checked_on_real_speech(real_cell: dict[str, Any]):
    """Whisper base has at most two errors in the 70 words of smoke, and every check is reported."""
    checks = {check["name"]: check for check in real_cell["checks"]}
    assert {check["outcome"] for check in checks.values()} == {"ran"}
    assert {"load", "device", "transcribe", "segments", "text", "language", "word times", "patches"} <= set(checks)
    assert re.match(r"[0-2] errors in 70 words", checks["text"]["detail"])
    assert real_cell["facts"]["info"]["weights_sha256"].startswith("d01c3014")
    assert "faster-whisper" in {package["name"] for package in real_cell["facts"]["packages"]}
