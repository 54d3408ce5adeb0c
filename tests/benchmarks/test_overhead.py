from __future__ import annotations

import json
import math
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def quick(tmp_path_factory: pytest.TempPathFactory, weights_cache: Path) -> tuple[str, dict[str, Any]]:
    """The tables and the record of a quick run: both engines, one clip, one round."""
    record = tmp_path_factory.mktemp("overhead") / "overhead.json"
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.overhead", "--quick", "--record", str(record)],
        cwd=ROOT,
        env=os.environ | {"ASRLAB_CACHE": str(weights_cache), "ASRLAB_OFFLINE": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout, json.loads(record.read_text(encoding="utf-8"))


def test_both_engines_are_in_the_table(quick: tuple[str, dict[str, Any]]):
    """Each engine has a heading with its precision and threads, and a row for samples and one for the file."""
    table, record = quick
    for engine, precision in (("faster-whisper", "int8"), ("openai-whisper", "float32")):
        assert f"\n{engine}/base, {precision}" in table
    rows = [line.split()[0] for line in table.splitlines() if line.startswith("  ")]
    assert rows.count("array") == rows.count("file") == 2
    assert [run["model"] for run in record["engines"]] == ["faster-whisper/base", "openai-whisper/base"]


def test_both_ways_give_the_same_text(quick: tuple[str, dict[str, Any]]):
    """The engine's own API and asrlab transcribe the clip alike, so that like is compared with like."""
    table, record = quick
    assert "texts differ" not in table
    assert [clip["same_text"] for clip in every_clip(record)] == [True] * 4


def test_the_ratios_are_of_times(quick: tuple[str, dict[str, Any]]):
    """Each ratio is a positive finite number, and each clip took some time."""
    _, record = quick
    figures = [clip[name] for clip in every_clip(record) for name in ("wall", "cpu", "raw")]
    assert all(math.isfinite(value) and value > 0 for value in figures)


def test_what_is_over_its_target_is_marked(quick: tuple[str, dict[str, Any]]):
    """A row says OVER once for each of its two worst ratios that is above 1.02."""
    table, record = quick
    over = [clip[name] > record["targets"]["ratio_per_clip"] for clip in every_clip(record) for name in ("wall", "cpu")]
    memory = [decoding["extra_mib"] > record["targets"]["decoding_mib"] for decoding in record["decodings"]]
    assert table.count("OVER") == sum(over) + sum(memory)


def test_asrlab_alone_is_timed(quick: tuple[str, dict[str, Any]]):
    """The clip goes through the echo engine as samples and as a file, and through soundfile alone."""
    table, record = quick
    (wrapper,) = record["wrappers"]
    assert wrapper["id"] in table
    assert all(0 < wrapper[name] < math.inf for name in ("array_ms", "file_ms", "decode_ms"))


def test_starting_is_slower_than_python_alone(quick: tuple[str, dict[str, Any]]):
    """The interpreter, the import and the help are timed."""
    _, record = quick
    assert [start["name"] for start in record["starts"]] == ["python -c pass", "import asrlab", "asrlab --help"]
    assert all(start["median_ms"] > 1 for start in record["starts"])


def test_decoding_is_measured_to_the_end_of_the_file(quick: tuple[str, dict[str, Any]]):
    """A minute in three formats is decoded whole, in more memory than the interpreter alone."""
    _, record = quick
    decodings = record["decodings"]
    assert [decoding["format"] for decoding in decodings] == ["flac", "m4a", "mp3"]
    assert [round(decoding["seconds"]) for decoding in decodings] == [60, 60, 60]
    assert all(decoding["peak_bytes"] > decoding["interpreter_bytes"] > 2**20 for decoding in decodings)


def test_the_record_says_what_it_was_taken_on(quick: tuple[str, dict[str, Any]]):
    """Machine, versions, weights, rounds and clips stand beside the figures."""
    _, record = quick
    assert record["machine"]["cores"] >= 1
    assert {"asrlab", "faster-whisper", "openai-whisper", "torch"} <= record["machine"]["packages"].keys()
    assert {run["weights_sha256"] for run in record["engines"]} == {
        "d01c3014881c9c6f3133c182f3d2887eb6ca1c789a7538c5c007196857a0a6a9"
    }
    assert (record["rounds"], record["clips"]) == (1, 1)


def every_clip(record: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the clips of all cases of all engines."""
    return [clip for run in record["engines"] for case in run["cases"] for clip in case["clips"]]
