"""Runs on the command line: kept, listed, shown again, resumed, exported."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path
from typing import Any

import pytest


@pytest.fixture(scope="module")
def command(asrlab_cli: Any, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """The command line with a folder for runs that no other test writes to."""
    return partial(asrlab_cli, ASRLAB_RUNS=str(tmp_path_factory.mktemp("own")))


@pytest.fixture(scope="module")
def run(command: Any, small_folder: Path) -> Path:
    """A finished run with a name of its own, of two rounds."""
    path = Path(command.keywords["ASRLAB_RUNS"]) / "tones"
    ran = command("bench", small_folder, "-m", "echo", "--run", path, "--repeat", "2", "--warmup", "1")
    assert ran.code == 0
    assert f"run: {path}" in ran.out
    assert "tones: 1 models, 2 times" in ran.out
    return path


def test_runs_are_listed_the_latest_first_from_their_records(command: Any, run: Path, small_folder: Path):
    """The list has each run's figures; a damaged index is made again, a damaged run is a line with its error."""
    command("bench", small_folder, "-m", "echo", "--run", run.parent / "another", "--only-table")
    for _ in range(2):
        found = command("runs", "--json").json
        assert found["folder"] == str(run.parent)
        assert {each["run"]: (each["done"], each["complete"]) for each in found["runs"]} == {
            "tones": (6, True),
            "another": (3, True),
        }
        (run.parent / "index.sqlite").write_bytes(b"no database" * 100)
    ledger = run.parent / "another" / "ledger.jsonl"
    ledger.write_bytes(ledger.read_bytes() + b"{}\n")
    listed = command("runs")
    assert listed.code == 0
    assert "ledger.jsonl, line" in listed.out


def test_a_run_is_shown_again_by_its_name(command: Any, run: Path):
    """The table and texts are those of the bench, and other normalizers stand beside; a mistyped name has a hint."""
    shown = command("runs", "tones", "--normalizers", "english,none")
    assert shown.code == 0
    assert "tones: 1 models, 2 times" in shown.out
    assert "normalizers" in shown.out
    assert len(command("runs", "tones", "--json").json["models"][0]["utterances"]) == 3
    missing = command("runs", "tonse")
    assert missing.code == 4
    assert "did you mean 'tones'?" in missing.err


def test_an_exported_run_is_one_small_file_with_the_same_figures(command: Any, run: Path, tmp_path: Path):
    """The file is read like the folder; segments and the way there are left out; a part of a run is not exported."""
    file = tmp_path / "tones.jsonl"
    assert command("runs", "tones", "--export", file).code == 0
    whole, small = (command("runs", which, "--json").json for which in ("tones", file))
    assert small["models"][0]["score"] == whole["models"][0]["score"]
    assert small["models"][0]["rtfx_by_repeat"] == whole["models"][0]["rtfx_by_repeat"]
    assert small["models"][0]["utterances"][0]["transcript"]["segments"] == []
    assert {json.loads(line)["record"] for line in file.read_text().splitlines()} == {
        "manifest", "utterance", "session", "session-end", "loaded", "pass", "outcome"
    }  # fmt: skip
    lines = (run / "ledger.jsonl").read_text().splitlines(keepends=True)
    part = tmp_path / "part"
    part.mkdir()
    for name in ("manifest.json", "utterances.jsonl"):
        (part / name).write_bytes((run / name).read_bytes())
    (part / "ledger.jsonl").write_text("".join(lines[:4]))
    refused = command("runs", part, "--export", tmp_path / "part.jsonl")
    assert refused.code == 4
    assert f"not complete; resume it with: asrlab resume {part}" in refused.err
    assert command("resume", part, "--only-table").code == 0
    assert command("runs", part, "--export", tmp_path / "part.jsonl").code == 0


def test_a_run_of_something_else_is_not_gone_on_with(command: Any, run: Path, small_folder: Path):
    """The command exits with 4 and names what changed."""
    refused = command("bench", small_folder, "-m", "echo", "--run", run, "--repeat", "3")
    assert refused.code == 4
    assert "the option repeat was 2 and is 3" in refused.err
    assert "the option repeat was 2 and is 3" in refused.err


def test_no_runs_is_said_with_how_to_make_one(command: Any, tmp_path: Path):
    """An empty list has the command that makes a run."""
    ran = command("runs", ASRLAB_RUNS=str(tmp_path / "none"))
    assert (ran.code, ran.out) == (0, "")
    assert "start one with: asrlab bench" in ran.err
