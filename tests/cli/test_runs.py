"""Runs on the command line: stored, listed, shown, resumed and exported."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path
from typing import Any

import pytest


@pytest.fixture(scope="module")
def command(asrlab_cli: Any, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """Return the command line with a folder for runs that no other test module writes to."""
    return partial(asrlab_cli, ASRLAB_RUNS=str(tmp_path_factory.mktemp("own")))


@pytest.fixture(scope="module")
def run(command: Any, small_folder: Path) -> Path:
    """Return a finished and named run with two repeats."""
    path = Path(command.keywords["ASRLAB_RUNS"]) / "tones"
    result = command("bench", small_folder, "-m", "echo", "--run", path, "--repeat", "2", "--warmup", "1")
    assert result.code == 0
    assert f"run: {path}" in result.out
    assert "tones: 1 model, 2 times" in result.out
    return path


def test_runs_are_listed_from_their_records(command: Any, run: Path, small_folder: Path):
    """The list has each run's figures, a damaged index is rebuilt, and a damaged run has an error."""
    command("bench", small_folder, "-m", "echo", "--run", run.parent / "another", "--only-table")
    for _ in range(2):
        listing = command("runs", "--json").json
        assert listing["folder"] == str(run.parent)
        assert {entry["run"]: (entry["done"], entry["complete"]) for entry in listing["runs"]} == {
            "tones": (6, True),
            "another": (3, True),
        }
        (run.parent / "index.sqlite").write_bytes(b"no database" * 100)
    ledger = run.parent / "another" / "ledger.jsonl"
    ledger.write_bytes(ledger.read_bytes() + b"{}\n")
    table = command("runs")
    assert table.code == 0
    assert "ledger.jsonl, line" in table.out


def test_a_run_is_shown_again_by_its_name(command: Any, run: Path):
    """A run is shown by its name, also with other normalizers, and an unknown name gets a suggestion."""
    displayed = command("runs", "tones", "--normalizers", "english,none")
    assert displayed.code == 0
    assert "tones: 1 model, 2 times" in displayed.out
    assert "normalizers" in displayed.out
    assert len(command("runs", "tones", "--json").json["models"][0]["utterances"]) == 3
    missing = command("runs", "tonse")
    assert missing.code == 4
    assert "did you mean 'tones'?" in missing.err


def test_an_exported_run_is_one_small_file_with_the_same_figures(command: Any, run: Path, tmp_path: Path):
    """An exported run has the same scores without the segments, and an incomplete run is refused."""
    export_path = tmp_path / "tones.jsonl"
    assert command("runs", "tones", "--export", export_path).code == 0
    original, exported = (command("runs", source, "--json").json for source in ("tones", export_path))
    assert exported["models"][0]["score"] == original["models"][0]["score"]
    assert exported["models"][0]["rtfx_by_repeat"] == original["models"][0]["rtfx_by_repeat"]
    assert exported["models"][0]["utterances"][0]["transcript"]["segments"] == []
    assert {json.loads(line)["record"] for line in export_path.read_text().splitlines()} == {
        "manifest", "utterance", "session", "session-end", "loaded", "pass", "outcome"
    }  # fmt: skip
    lines = (run / "ledger.jsonl").read_text().splitlines(keepends=True)
    partial = tmp_path / "part"
    partial.mkdir()
    for name in ("manifest.json", "utterances.jsonl"):
        (partial / name).write_bytes((run / name).read_bytes())
    (partial / "ledger.jsonl").write_text("".join(lines[:4]))
    refused = command("runs", partial, "--export", tmp_path / "part.jsonl")
    assert refused.code == 4
    assert f"not complete; resume it with: asrlab resume {partial}" in refused.err
    assert command("resume", partial, "--only-table").code == 0
    assert command("runs", partial, "--export", tmp_path / "part.jsonl").code == 0


def test_a_run_with_other_options_is_not_resumed(command: Any, run: Path, small_folder: Path):
    """A run that was started with other options exits with 4, and the error names the change."""
    refused = command("bench", small_folder, "-m", "echo", "--run", run, "--repeat", "3")
    assert refused.code == 4
    assert "the option repeat was 2 and is 3" in refused.err
    assert "the option repeat was 2 and is 3" in refused.err


def test_an_empty_list_of_runs_suggests_a_bench(command: Any, tmp_path: Path):
    """An empty list of runs prints the command that starts one."""
    result = command("runs", ASRLAB_RUNS=str(tmp_path / "none"))
    assert (result.code, result.out) == (0, "")
    assert "start one with: asrlab bench" in result.err
