"""A record is repeated here, and it is said how far the two agree."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

import asrlab
from asrlab.errors import DatasetError
from asrlab.evaluation.claims.rerun import ReproductionReport, rerun
from asrlab.evaluation.runs.export import export
from asrlab.evaluation.runs.load import load_run_records

if TYPE_CHECKING:
    from collections.abc import Callable


@pytest.fixture(scope="module")
def record(tmp_path_factory: pytest.TempPathFactory, small_folder: Path) -> Path:
    """An exported run of the echo engine."""
    folder = tmp_path_factory.mktemp("rerun")
    asrlab.evaluation.bench(small_folder, models="echo", run=folder / "run")
    export(load_run_records(folder / "run"), folder / "echo.jsonl")
    return folder / "echo.jsonl"


@pytest.fixture
def changed(record: Path, tmp_path: Path) -> Callable[[Callable[[dict[str, Any]], object]], Path]:
    """A maker of a copy of it, each of whose lines was changed by a function."""

    def made(change: Callable[[dict[str, Any]], object]) -> Path:
        lines = [json.loads(line) for line in record.read_text(encoding="utf-8").splitlines()]
        for line in lines:
            change(line)
        path = tmp_path / "changed.jsonl"
        path.write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
        return path

    return made


@pytest.fixture(scope="module")
def again(record: Path) -> ReproductionReport:
    """The repetition."""
    return rerun(record)


def test_the_same_run_agrees_with_itself(again: ReproductionReport):
    """Every text is equal, the WER too, and the machine is the same."""
    (model,) = again.models
    assert (again.reproduced, model.same_texts, model.wer_difference, again.machine_changes) == (True, 3, 0.0, ())
    assert model.speed_ratio is None or model.speed_ratio > 0
    told = "\n".join(again.lines())
    assert "machine now: the same" in told
    assert "echo/echo: reproduced\n  texts equal: 3 of 3; failed: 0, then 0" in told


def test_other_texts_and_another_wer_do_not_agree(changed: Any):
    """The record says that all was right, the engine says otherwise here."""

    def better(line: dict[str, Any]) -> None:
        if line["record"] == "outcome":
            line["hypothesis"] = line["reference"]
        if line["record"] == "manifest":
            line["machine"]["cores"] = 999

    agreement = rerun(changed(better))
    (model,) = agreement.models
    assert (agreement.reproduced, model.same_texts) == (False, 0)
    assert model.wer_difference is not None
    assert model.wer_difference > model.tolerance == pytest.approx(1 / 3)
    assert any(line.startswith("cores: 999 then, ") for line in agreement.machine_changes)
    assert "echo/echo: NOT REPRODUCED" in "\n".join(agreement.lines())


def test_a_record_of_another_profile_is_scored_by_it(changed: Any):
    """Both error rates come from the record's profile, also where today's choice would be another one."""

    def older(line: dict[str, Any]) -> None:
        if line.get("record") == "manifest":
            line["normalizer"] = "none"
            line["request"]["normalizer"] = None

    [model] = rerun(changed(older)).models
    assert (model.then.normalizer, model.now.normalizer) == ("none", "none")
    assert model.reproduced


def test_other_versions_are_told_and_do_not_count(changed: Any):
    """They are a reason, not a verdict."""

    def older(line: dict[str, Any]) -> None:
        if line["record"] == "loaded":
            line["info"]["packages"] = [{"name": "numpy", "version": "1.0"}]

    agreement = rerun(changed(older))
    assert agreement.reproduced
    assert any(line.startswith("numpy: 1.0 then, ") for line in agreement.models[0].differences)


@pytest.mark.parametrize(
    ("request_", "facts", "told"),
    [
        ({"dataset": "/nowhere/at/all"}, {}, "its data set is not available"),
        ({"dataset": None}, {}, "its data set was passed as an object"),
        ({}, {"fingerprint": "other"}, "here differs from the recorded one"),
    ],
    ids=["gone", "object", "other"],
)
def test_a_record_whose_data_set_is_not_here_cannot_be_repeated(
    changed: Any, request_: dict[str, Any], facts: dict[str, Any], told: str
):
    """Nothing is run."""

    def other(line: dict[str, Any]) -> None:
        if line["record"] == "manifest":
            line["request"] |= request_
            line["dataset"] |= facts

    with pytest.raises(DatasetError, match=told):
        rerun(changed(other))


def test_other_weights_cannot_repeat_a_record(changed: Any):
    """Both checksums are told."""

    def other(line: dict[str, Any]) -> None:
        if line["record"] == "manifest":
            line["models"][0]["info"]["weights_sha256"] = "abc"

    with pytest.raises(asrlab.WeightsError, match=r"the weights of echo/echo here have the sha256 None, .* abc"):
        rerun(changed(other))
