"""``asrlab report`` as a user runs it, and that the terminal tells the same facts."""

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
def asrlab(capsys: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, str, str]]:
    """A command, in this process: its exit code, its output and its errors."""

    def run(*arguments: str) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as ended:
            main(arguments)
        told = capsys.readouterr()
        return int(ended.value.code or 0), told.out, told.err

    return run


def text_of(path: Path) -> str:
    """What a page says, without its tags."""
    return " ".join(unescape(re.sub(r"<[^>]*>", " ", path.read_text(encoding="utf-8"))).split())


def test_it_writes_one_file_and_names_it(asrlab: Callable[..., tuple[int, str, str]], tmp_path: Path):
    """The path is on standard output; nothing else is written."""
    path = tmp_path / "report.html"

    assert asrlab("report", EVIDENCE, "-o", str(path)) == (0, f"{path}\n", "")
    assert list(tmp_path.iterdir()) == [path]
    assert path.read_bytes().startswith(b"<!doctype html>")


def machine_told() -> str:
    """The machine of the evidence."""
    machine = load_run(EVIDENCE).manifest.machine
    return f"{machine.processor}, {machine.cores} cores, {machine.architecture}"


def test_the_terminal_tells_the_same_facts(asrlab: Callable[..., tuple[int, str, str]], tmp_path: Path):
    """Latencies, errors by length and speaker, gates, device, patches, weights, machine: each is in both."""
    path = tmp_path / "report.html"
    asrlab("report", EVIDENCE, "-o", str(path))
    page = text_of(path)
    _, out, _ = asrlab("compare", EVIDENCE)
    terminal = " ".join(out.split())

    [one, _] = load_run(EVIDENCE).models
    assert one.info is not None
    for fact in (
        one.info.model.weights_sha256 or "",
        one.info.device.reason,
        "auto → cpu (int8_float32, 2 threads)",
        "faster-whisper-pyav-metadata-errors",
        "as in the catalogue",
        machine_told(),
        "sense_and_sensibility_01_austen_64kb",
        "5 to 10 s",
        "too few to tell",
    ):
        assert fact in page, fact
        assert fact in terminal, fact
    assert "errors by length" in terminal
    assert "gates, faster-whisper/base: 8 of 8 passed everywhere" in terminal


def test_a_comparison_in_json_has_the_details(asrlab: Callable[..., tuple[int, str, str]]):
    """Latencies, groups, gates and provenance are in the JSON object, too."""
    details = json.loads(asrlab("compare", EVIDENCE, "--json")[1])["details"]

    assert details["latency"]["systems"][0]["summary"]["samples"] == 15
    assert details["breakdowns"]["length"][0]["systems"]["openai-whisper/base"]["wer"] == 0
    assert details["gates"]["device"]["faster-whisper/base"] == {"passed": 5, "failed": 0, "not-checked": 0}
    assert details["runs"]["smoke-base"]["machine"] == machine_told()
    assert details["provenance"][1]["weights_known"] == "as in the catalogue"


def test_what_did_not_fit_is_said(asrlab: Callable[..., tuple[int, str, str]], tmp_path: Path):
    """Clips beyond --audio-limit are left out, which standard error tells, and --json the same."""
    noise = np.random.default_rng(0).uniform(-0.5, 0.5, 16 * 16000)  # FLAC cannot make it smaller
    for name in ("one", "two", "three"):
        soundfile.write(tmp_path / f"{name}.wav", noise, 16000)
        (tmp_path / f"{name}.txt").write_text("said", encoding="utf-8")
    bench(str(tmp_path), models="echo", run=tmp_path / "run", executor=InProcessExecutor())
    path = tmp_path / "report.html"
    arguments = ("report", str(tmp_path / "run"), "-o", str(path), "--audio", "--audio-limit", "1")
    told = "2 of 3 clips are not in this file: together they would take more than 1 MiB (--audio-limit)"

    assert asrlab(*arguments) == (0, f"{path}\n", f"asrlab: {told}\n")
    code, out, _ = asrlab(*arguments, "--json")
    assert code == 0
    assert json.loads(out) == {"path": str(path), "bytes": path.stat().st_size, "notes": [told]}
    assert path.read_text(encoding="utf-8").count("data:audio/flac") == 1


def test_a_run_that_is_not_there_is_named(asrlab: Callable[..., tuple[int, str, str]], tmp_path: Path):
    """A mistyped run is bad input, and no file is written."""
    code, _, err = asrlab("report", "no-such-run", "-o", str(tmp_path / "report.html"))

    assert code == 4
    assert "there is no run 'no-such-run'" in err
    assert list(tmp_path.iterdir()) == []
