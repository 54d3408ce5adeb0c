"""Tests of ``asrlab report``: the written page, and equal facts in the page and in the terminal."""

from __future__ import annotations

import json
import re
from html import unescape
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
import soundfile

from asrlab.cli.main import main
from asrlab.evaluation import bench, load_run
from asrlab.testing.in_process import InProcessExecutor

if TYPE_CHECKING:
    from collections.abc import Callable

EVIDENCE = str(Path(__file__).resolve().parents[2] / "evidence" / "smoke-base.jsonl")


@pytest.fixture
def run_asrlab(capsys: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, str, str]]:
    """Return a function that runs a command in this process and returns its exit code, output and errors."""

    def run(*arguments: str) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as exit_info:
            main(arguments)
        captured = capsys.readouterr()
        return int(exit_info.value.code or 0), captured.out, captured.err

    return run


def page_text(path: Path) -> str:
    """Return the text of a page without its tags."""
    return " ".join(unescape(re.sub(r"<[^>]*>", " ", path.read_text(encoding="utf-8"))).split())


def test_the_report_is_one_file_whose_path_is_printed(run_asrlab: Callable[..., tuple[int, str, str]], tmp_path: Path):
    """The command writes one file and prints its path on standard output."""
    path = tmp_path / "report.html"

    assert run_asrlab("report", EVIDENCE, "-o", str(path)) == (0, f"{path}\n", "")
    assert list(tmp_path.iterdir()) == [path]
    assert path.read_bytes().startswith(b"<!doctype html>")


def machine_description() -> str:
    """Return the description of the machine that made the evidence."""
    machine = load_run(EVIDENCE).manifest.machine
    return f"{machine.processor}, {machine.cores} cores, {machine.architecture}"


def test_the_page_and_the_terminal_have_the_same_facts(run_asrlab: Callable[..., tuple[int, str, str]], tmp_path: Path):
    """Latencies, error groups, gates, device, patches, weights and machine are in both outputs."""
    path = tmp_path / "report.html"
    run_asrlab("report", EVIDENCE, "-o", str(path))
    page = page_text(path)
    _, out, _ = run_asrlab("compare", EVIDENCE)
    terminal = " ".join(out.split())

    [model, _] = load_run(EVIDENCE).models
    assert model.info is not None
    for fact in (
        model.info.model.weights_sha256 or "",
        model.info.device.reason,
        "auto → cpu (int8_float32, 2 threads)",
        "faster-whisper-pyav-metadata-errors",
        "as in the catalogue",
        machine_description(),
        "sense_and_sensibility_01_austen_64kb",
        "5 to 10 s",
        "too few to tell",
    ):
        assert fact in page, fact
        assert fact in terminal, fact
    assert "errors by length" in terminal
    assert "gates, faster-whisper/base: 8 of 8 passed everywhere" in terminal


def test_a_comparison_in_json_has_the_details(run_asrlab: Callable[..., tuple[int, str, str]]):
    """The JSON object has latencies, groups, gates and provenance."""
    details = json.loads(run_asrlab("compare", EVIDENCE, "--json")[1])["details"]

    assert details["latency"]["systems"][0]["summary"]["samples"] == 15
    assert details["breakdowns"]["length"][0]["systems"]["openai-whisper/base"]["wer"] == 0
    assert details["gates"]["device"]["faster-whisper/base"] == {"passed": 5, "failed": 0, "not-checked": 0}
    assert details["runs"]["smoke-base"]["machine"] == machine_description()
    assert details["provenance"][1]["weights_known"] == "as in the catalogue"


def test_clips_beyond_the_audio_limit_are_reported(run_asrlab: Callable[..., tuple[int, str, str]], tmp_path: Path):
    """Clips beyond --audio-limit are omitted, and standard error and the JSON object report this."""
    noise = np.random.default_rng(0).uniform(-0.5, 0.5, 16 * 16000)  # FLAC cannot make it smaller
    for name in ("one", "two", "three"):
        soundfile.write(tmp_path / f"{name}.wav", noise, 16000)
        (tmp_path / f"{name}.txt").write_text("said", encoding="utf-8")
    bench(str(tmp_path), models="echo", run=tmp_path / "run", executor=InProcessExecutor())
    path = tmp_path / "report.html"
    arguments = ("report", str(tmp_path / "run"), "-o", str(path), "--audio", "--audio-limit", "1")
    note = "2 of 3 clips are not in this file: together they would take more than 1 MiB (--audio-limit)"

    assert run_asrlab(*arguments) == (0, f"{path}\n", f"asrlab: {note}\n")
    code, out, _ = run_asrlab(*arguments, "--json")
    assert code == 0
    assert json.loads(out) == {"path": str(path), "bytes": path.stat().st_size, "notes": [note]}
    assert path.read_text(encoding="utf-8").count("data:audio/flac") == 1


def test_a_missing_run_is_named(run_asrlab: Callable[..., tuple[int, str, str]], tmp_path: Path):
    """The name of a missing run exits with 4, and no file is written."""
    code, _, err = run_asrlab("report", "no-such-run", "-o", str(tmp_path / "report.html"))

    assert code == 4
    assert "there is no run 'no-such-run'" in err
    assert list(tmp_path.iterdir()) == []
