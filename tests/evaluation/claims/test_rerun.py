"""A recorded run is repeated, and the two are compared."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

import asrlab
from asrlab.errors import DatasetError
from asrlab.evaluation.claims.verify import ReproductionReport, rerun
from asrlab.evaluation.runs.export import render_export
from asrlab.evaluation.runs.load import load_run_records

if TYPE_CHECKING:
    from collections.abc import Callable


@pytest.fixture(scope="module")
def record(tmp_path_factory: pytest.TempPathFactory, small_folder: Path) -> Path:
    """An exported run of the echo engine."""
    folder = tmp_path_factory.mktemp("rerun")
    asrlab.evaluation.bench(small_folder, models="echo", run=folder / "run")
    (folder / "echo.jsonl").write_bytes(render_export(load_run_records(folder / "run")))
    return folder / "echo.jsonl"


@pytest.fixture
def changed(record: Path, tmp_path: Path) -> Callable[[Callable[[dict[str, Any]], object]], Path]:
    """A function that copies the record, with each line changed by a given function."""

    def change_record(change: Callable[[dict[str, Any]], object]) -> Path:
        lines = [json.loads(line) for line in record.read_text(encoding="utf-8").splitlines()]
        for line in lines:
            change(line)
        path = tmp_path / "changed.jsonl"
        path.write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
        return path

    return change_record


@pytest.fixture(scope="module")
def again(record: Path) -> ReproductionReport:
    """The repetition of the unchanged record."""
    return rerun(record)


def test_an_unchanged_record_is_reproduced(again: ReproductionReport):
    """Texts, WER and machine are the same."""
    (model,) = again.models
    assert (again.reproduced, model.same_texts, model.wer_difference, again.machine_changes) == (True, 3, 0.0, ())
    assert model.speed_ratio is None or model.speed_ratio > 0
    report = "\n".join(again.lines())
    assert "machine now: the same" in report
    assert "echo/echo: reproduced\n  texts equal: 3 of 3; failed: 0, then 0" in report


def test_another_wer_is_not_reproduced(changed: Any):
    """A record with perfect texts is not reproduced by an engine that gets them wrong."""

    def better(line: dict[str, Any]) -> None:
        if line["record"] == "outcome":
            line["hypothesis"] = line["reference"]
        if line["record"] == "manifest":
            line["machine"]["cores"] = 999

    reproduction = rerun(changed(better))
    (model,) = reproduction.models
    assert (reproduction.reproduced, model.same_texts) == (False, 0)
    assert model.wer_difference is not None
    assert model.wer_difference > model.tolerance == pytest.approx(1 / 3)
    assert any(line.startswith("cores: 999 then, ") for line in reproduction.machine_changes)
    assert "echo/echo: NOT REPRODUCED" in "\n".join(reproduction.lines())


def test_a_record_is_scored_with_its_own_profile(changed: Any):
    """Both error rates come from the record's profile, even if the present default is another."""

    def older(line: dict[str, Any]) -> None:
        if line.get("record") == "manifest":
            line["normalizer"] = "none"
            line["request"]["normalizer"] = None

    [model] = rerun(changed(older)).models
    assert (model.then.normalizer, model.now.normalizer) == ("none", "none")
    assert model.reproduced


def test_other_package_versions_are_reported_only(changed: Any):
    """Changed package versions are listed but do not change the verdict."""

    def older(line: dict[str, Any]) -> None:
        if line["record"] == "loaded":
            line["info"]["packages"] = [{"name": "numpy", "version": "1.0"}]

    reproduction = rerun(changed(older))
    assert reproduction.reproduced
    assert any(line.startswith("numpy: 1.0 then, ") for line in reproduction.models[0].differences)


@pytest.mark.parametrize(
    ("request_", "facts", "message"),
    [
        ({"dataset": "/nowhere/at/all"}, {}, "its data set is not available"),
        ({"dataset": None}, {}, "its data set was passed as an object"),
        ({}, {"fingerprint": "other"}, "here differs from the recorded one"),
    ],
    ids=["gone", "object", "other"],
)
def test_a_missing_or_changed_data_set_is_refused(
    changed: Any, request_: dict[str, Any], facts: dict[str, Any], message: str
):
    """A record cannot be repeated without its exact data set."""

    def other(line: dict[str, Any]) -> None:
        if line["record"] == "manifest":
            line["request"] |= request_
            line["dataset"] |= facts

    with pytest.raises(DatasetError, match=message):
        rerun(changed(other))


def test_other_weights_are_refused(changed: Any):
    """The error names both checksums."""

    def other(line: dict[str, Any]) -> None:
        if line["record"] == "manifest":
            line["models"][0]["info"]["weights_sha256"] = "abc"

    with pytest.raises(asrlab.WeightsError, match=r"the weights of echo/echo here have the sha256 None, .* abc"):
        rerun(changed(other))
