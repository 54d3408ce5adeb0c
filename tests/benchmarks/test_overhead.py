from __future__ import annotations

import importlib
import json
import math
import os
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def quick(tmp_path_factory: pytest.TempPathFactory, weights_cache: Path) -> tuple[str, dict[str, Any]]:
    """Return the tables and the record of a quick run of both engines with one clip and one round."""
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
    """Each engine has a heading with its precision, a row for samples and a row for a file."""
    table, record = quick
    for engine, precision in (("faster-whisper", "int8"), ("openai-whisper", "float32")):
        assert f"\n{engine}/base, {precision}" in table
    rows = [line.split()[0] for line in table.splitlines() if line.startswith("  ")]
    assert rows.count("array") == rows.count("file") == 2
    assert [run["model"] for run in record["engines"]] == ["faster-whisper/base", "openai-whisper/base"]


def test_both_ways_have_the_same_text(quick: tuple[str, dict[str, Any]]):
    """The engine's own API and asrlab return the same text of the clip."""
    table, record = quick
    assert "texts differ" not in table
    assert [clip["same_text"] for clip in all_clips(record)] == [True] * 4


def test_ratios_are_positive_and_finite(quick: tuple[str, dict[str, Any]]):
    """Each ratio and each time is a positive finite number."""
    _, record = quick
    figures = [clip[name] for clip in all_clips(record) for name in ("wall", "cpu", "raw")]
    assert all(math.isfinite(value) and value > 0 for value in figures)


def test_asrlab_is_timed_without_an_engine(quick: tuple[str, dict[str, Any]]):
    """The clip is timed with the echo engine as samples and as a file, and with soundfile alone."""
    table, record = quick
    (wrapper,) = record["wrappers"]
    assert wrapper["id"] in table
    assert all(0 < wrapper[name] < math.inf for name in ("array_ms", "file_ms", "decode_ms"))


def test_startup_is_timed(quick: tuple[str, dict[str, Any]]):
    """The start of the interpreter, the import, and the help of two commands are timed."""
    _, record = quick
    names = [start["name"] for start in record["starts"]]
    assert names == ["python -c pass", "import asrlab", "asrlab --help", "asrlab bench --help"]
    assert all(start["median_ms"] > 1 for start in record["starts"])


def test_decoding_is_measured_to_the_end_of_the_file(quick: tuple[str, dict[str, Any]]):
    """A minute in three formats is decoded whole, with more memory than the interpreter alone."""
    _, record = quick
    decodings = record["decodings"]
    assert [decoding["format"] for decoding in decodings] == ["flac", "m4a", "mp3"]
    assert [round(decoding["seconds"]) for decoding in decodings] == [60, 60, 60]
    assert all(decoding["peak_bytes"] > decoding["interpreter_bytes"] > 2**20 for decoding in decodings)


def test_the_record_has_the_conditions(quick: tuple[str, dict[str, Any]]):
    """The record has the machine, versions, weights, rounds and clips of the measurement."""
    _, record = quick
    assert record["machine"]["cores"] >= 1
    assert {"asrlab", "faster-whisper", "openai-whisper", "torch"} <= record["machine"]["packages"].keys()
    assert {run["weights_sha256"] for run in record["engines"]} == {
        "d01c3014881c9c6f3133c182f3d2887eb6ca1c789a7538c5c007196857a0a6a9"
    }
    assert (record["rounds"], record["clips"]) == (1, 1)


@pytest.fixture
def overhead(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """Import the package of the benchmark, which requires the root of the repository on Python's path."""
    monkeypatch.syspath_prepend(ROOT)
    importlib.import_module("benchmarks.overhead.report")
    return importlib.import_module("benchmarks.overhead")


def test_the_order_of_both_ways_alternates(overhead: ModuleType):
    """After a warm-up round, the raw way is first in one round and second in the next."""
    calls: list[str] = []
    work = overhead.pairs.ClipWork(
        clip="a", raw=lambda: calls.append("raw") or ["x"], other=lambda: calls.append("other") or ["x"]
    )
    comparison = overhead.pairs.compare([work], rounds=2)
    assert calls == ["raw", "other", "raw", "other", "other", "raw"]
    assert len(comparison.rounds_wall) == len(comparison.rounds_cpu) == 2


def test_different_texts_are_reported(overhead: ModuleType):
    """A clip whose texts differ between both ways is reported; whitespace around segments is ignored."""
    pairs = overhead.pairs
    work = [
        pairs.ClipWork(clip="a", raw=lambda: [" one", " two"], other=lambda: ["one two"]),
        pairs.ClipWork(clip="b", raw=lambda: ["one"], other=lambda: ["won"]),
    ]
    comparison = pairs.compare(work, rounds=1)
    assert [clip.same_text for clip in comparison.clips] == [True, False]


def test_figures_over_their_target_are_marked(overhead: ModuleType):
    """A case is marked if its worst clip exceeds the target, and a format if its memory does; the control never is."""
    clips = [
        overhead.pairs.Clip(id=f"{wall}", wall=wall, cpu=1.02, raw=1, extra_ms=0, same_text=True) for wall in (1, 1.021)
    ]
    comparison = overhead.pairs.Comparison(clips=tuple(clips), rounds_wall=(1.0,), rounds_cpu=(1.0,))
    names = ("raw against itself", "array")
    cases = tuple((overhead.engines.Case(name=name, control=name != "array"), comparison) for name in names)
    run = overhead.engines.EngineRun(
        model="e/m", weights_sha256=None, compute_type="int8", threads=1, other_beam=1, cases=cases
    )
    decodings = [
        overhead.memory.Decoding(
            format=name, decoder="d", seconds=1, decoding_seconds=1, interpreter_bytes=2**20, peak_bytes=mib * 2**20
        )
        for name, mib in (("flac", 121), ("mp3", 122))
    ]
    machine = overhead.machine.Machine(system="", processor="", cores=1, python="", packages={}, load=None)
    start = overhead.startup.Startup(name="python -c pass", median_ms=1, least_ms=1, ratio=1, runs=1)
    figures = overhead.report.Figures(
        machine=machine,
        load_after=None,
        rounds=1,
        clips=2,
        clip_seconds=1,
        wrappers=(),
        engines=[run],
        starts=[start],
        decodings=decodings,
    )
    marked = [line.split() for line in overhead.report.as_text(figures).splitlines() if "OVER" in line]
    assert [(words[0], words.count("OVER")) for words in marked] == [("array", 1), ("mp3", 1)]


def all_clips(record: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the clips of all cases of all engines."""
    return [clip for run in record["engines"] for case in run["cases"] for clip in case["clips"]]
