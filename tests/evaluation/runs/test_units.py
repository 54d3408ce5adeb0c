"""Runs of engines that decode batches: utterances are sent together, recorded, and retried one by one."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

import asrlab
from asrlab import Batching, DatasetError, Transcript
from asrlab.evaluation.reports.sentences import describe_decoding_paths
from asrlab.evaluation.runs.load import load_run_records
from asrlab.evaluation.runs.result import ModelResult, UtteranceResult

FAULTY_ENGINE = Path(__file__).with_name("faulty_engine.py")


@pytest.fixture
def batch_data(tmp_path: Path, write_distribution: Any, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of eight clips, of which the fourth aborts the process, with the engine that does so installed."""
    plugin = write_distribution(tmp_path / "plugin", "faulty_engine", source=FAULTY_ENGINE.read_text(encoding="utf-8"))
    monkeypatch.syspath_prepend(plugin)
    (tmp_path / "traces").mkdir()
    monkeypatch.setenv("FAULTY_ENGINE", str(tmp_path / "traces"))
    folder = tmp_path / "clips"
    folder.mkdir()
    for name in ("a", "aa", "aaa", "abort", "b", "c", "d", "e"):
        soundfile.write(folder / f"{name}.wav", np.full(8000, 0.1, np.float32), 16000)
        (folder / f"{name}.txt").write_text(name)
    return folder


def started_ids(run: Path) -> list[list[str]]:
    """Return the ids of each unit, in order."""
    lines = map(json.loads, (run / "ledger.jsonl").read_text().splitlines())
    return [line["ids"] for line in lines if line["record"] == "started"]


def test_a_crash_costs_the_others_only_a_second_attempt(batch_data: Path, tmp_path: Path):
    """All eight are sent at once; after the crash those without an answer run one by one, and the culprit fails."""
    result = asrlab.evaluation.bench(batch_data, models="herd", run=tmp_path / "run")
    utterances = result.models[0].utterances
    texts = {
        utterance.id: utterance.failure.kind if utterance.failure else utterance.hypothesis for utterance in utterances
    }
    assert texts == {name: name if name != "abort" else "crashed" for name in texts}
    assert len(texts) == 8
    units = started_ids(tmp_path / "run")
    assert units[0] == ["a", "aa", "aaa", "abort", "b", "c", "d", "e"]
    assert sorted(units[1:]) == [["abort"], ["b"], ["c"], ["d"], ["e"]]
    attempts = {each.id: each.attempts for each in result.models[0].utterances}
    assert attempts == {name: 1 if name.startswith("a") and name != "abort" else 2 for name in attempts}


def test_one_by_one_is_the_callers_choice(batch_data: Path, tmp_path: Path):
    """With a batch size of 1 each utterance is a unit, and another batch size is another run."""
    (batch_data / "abort.wav").unlink()
    (batch_data / "abort.txt").unlink()
    asrlab.evaluation.bench(batch_data, models="herd", run=tmp_path / "run", batching=Batching(batch_size=1))
    assert [len(unit) for unit in started_ids(tmp_path / "run")] == [1] * 7
    with pytest.raises(DatasetError, match="the option batching"):
        asrlab.evaluation.bench(batch_data, models="herd", run=tmp_path / "run")


def test_a_run_records_its_effective_batching(use_weights: Path, tmp_path: Path):
    """faster-whisper decodes smoke in one unit; the record has its effective settings and each decoding path."""
    pytest.importorskip("faster_whisper", reason="faster-whisper is not installed")
    asked = Batching(batch_size=3, workers=2, threads=1)
    result = asrlab.evaluation.bench(
        "smoke", models="faster-whisper/tiny.en", device="cpu", run=tmp_path / "run", batching=asked
    )
    model = result.models[0]
    assert [len(unit) for unit in started_ids(tmp_path / "run")] == [5]
    assert model.batching is not None
    assert (model.batching.batch_size, model.batching.workers, model.batching.threads) == (3, 2, 1)
    assert None not in (model.batching.padding_s, model.batching.batch_encoder)
    assert model.decoding_paths == (asrlab.DecodingPath(batched=True),) * 5
    assert model.failed == 0
    records = load_run_records(tmp_path / "run")
    assert records.manifest.request.batching == asked
    assert json.loads(result.to_json())["models"][0]["decoding_paths"] == {"batched": 5}


def test_fallbacks_are_counted_by_reason():
    """The description counts utterances that were decoded in batches, and the reasons of those that fell back."""

    def utterance(path: str | None) -> UtteranceResult:
        transcript = Transcript.__new__(Transcript)
        object.__setattr__(transcript, "decoding", None if path is None else asrlab.DecodingPath.from_phrase(path))
        return UtteranceResult(id=str(path), reference="", transcript=transcript)

    paths = (
        "batched",
        "batched, 4 chunks",
        "batched, then full: repetition",
        "batched, 9 chunks, then full: cut off (2)",
    )
    model = ModelResult(model="a/b", utterances=tuple(map(utterance, paths)))
    assert describe_decoding_paths(model) == (
        "2 of 4 utterances were decoded in batches; 2 used the fallback, at least in part: repetition 1, cut off 1"
    )
    assert describe_decoding_paths(ModelResult(model="a/b", utterances=(utterance(None), utterance("full")))) == ""


def test_a_resumed_run_names_a_model_that_does_not_load(batch_data: Path, tmp_path: Path, asrlab_cli: Any):
    """Earlier outcomes are kept; message and exit code are those of the load error."""
    done: list[int] = []
    run = tmp_path / "run"
    one_by_one = Batching(batch_size=1)
    asrlab.evaluation.bench(
        batch_data,
        models="herd/first-only",
        run=run,
        batching=one_by_one,
        progress=lambda progress: done.append(progress.done),
        should_stop=lambda: done[-1:] == [2],
    )
    ended = asrlab_cli("resume", run, plugins=[tmp_path / "plugin"], FAULTY_ENGINE=str(tmp_path / "traces"))
    assert ended.code == 3
    assert "herd/first-only did not load: EngineUnavailableError: " in ended.err
    assert "no weights in the box" in ended.err
    assert "ended early with 2 outcomes; to resume: asrlab resume" in ended.err
    assert "interrupted" not in ended.err
