"""Runs, comparisons and scores as a user meets them: a line in a prompt, a table in Jupyter, rows and data frames."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import attrs
import pytest

from asrlab.evaluation import BenchResult, Comparison, ModelResult, score
from asrlab.evaluation.runs.records import Failure

REFERENCE = "the quick brown fox"
TEXTS = ("the quick brown fox", "the quack fox", None, "<b>the</b> quick brown fox")
HOSTILE = "<img src=x onerror=alert(1)>\x1b$x$"


def test_a_row_of_a_run_is_an_utterance_and_a_model(run: Callable[..., BenchResult], model: Callable[..., ModelResult]):
    """A run of two models has a row an utterance and model, whose errors add up to the model's score."""
    references = [REFERENCE] * 4
    first, second = (model(name, TEXTS, references=references) for name in ("echo/a", "echo/b"))
    result = run(first, second, attrs.evolve(model("echo/c", []), info=None, failure=Failure(kind="x", message="y")))
    rows = result.to_dicts()
    assert [(row["model"], row["id"]) for row in rows] == [
        (name, f"u{number}") for name in ("echo/a", "echo/b") for number in range(4)
    ]
    assert {(row["run"], row["dataset"], row["device"]) for row in rows} == {("monday", "set", "cpu")}
    assert [row["hypothesis"] for row in rows[:4]] == list(TEXTS)
    assert [(row["errors"], row["words"]) for row in rows[:3]] == [(0, 4), (2, 4), (4, 4)]
    assert [row["failure"] for row in rows[:4]] == [None, None, "crashed", None]
    assert first.score is not None
    for name in ("errors", "substitutions", "deletions", "insertions"):
        assert sum(row[name] for row in rows[:4]) == getattr(first.score.words, name)
    assert sum(row["words"] for row in rows[:4]) == first.score.words.reference_length


def test_an_utterance_without_a_scored_reference_has_no_errors(model: Callable[..., ModelResult]):
    """A missing reference and one that is empty after normalization give None, as they are in no error rate."""
    rows = model("echo/a", ["some", "thing"], references=[None, "(noise)"]).to_dicts()
    assert [(row["words"], row["errors"], row["wer"]) for row in rows] == [(None, None, None)] * 2
    assert [row["reference"] for row in rows] == [None, "(noise)"]


def test_a_row_of_a_comparison_is_a_model(compared: Callable[..., Comparison], model: Callable[..., ModelResult]):
    """The first model has no difference; the others have theirs from it, with interval, p-value and verdict."""
    good = ["the quick brown fox jumps over the lazy dog today"] * 30
    comparison = compared(model("echo/a", good), model("echo/b", ["the"] * 30, seconds=2.0))
    first, second = comparison.to_dicts()
    [difference] = comparison.wer.differences
    assert (first["model"], first["wer"], first["wer_difference"], first["compared_with"]) == (
        "echo/a",
        0.0,
        None,
        None,
    )
    assert (second["model"], second["words"], second["errors"]) == ("echo/b", 300, 270)
    assert second["wer_difference"] == difference.difference == pytest.approx(0.9)
    assert second["wer_difference_verdict"] == "worse"
    assert second["wer_difference_low"] == difference.interval.low
    assert (first["rtfx"], second["rtfx"], second["rtfx_ratio"]) == (4.0, 2.0, 0.5)


def test_too_few_utterances_give_no_interval(compared: Callable[..., Comparison], model: Callable[..., ModelResult]):
    """With too few units for a verdict, interval and p-value are None, as in the terminal."""
    [_, row] = compared(model("echo/a", ["x"] * 2), model("echo/b", ["y"] * 2)).to_dicts()
    assert row["wer_difference_verdict"] == "too few to tell"
    assert (row["wer_difference_low"], row["wer_difference_p_adjusted"]) == (None, None)


def test_frames_have_the_columns_of_the_rows(
    run: Callable[..., BenchResult], model: Callable[..., ModelResult], compared: Callable[..., Comparison]
):
    """Every data frame has the keys of the rows as columns, in their order, even without rows."""
    pytest.importorskip("pandas", reason="pandas is not installed")
    models = model("echo/a", TEXTS), model("echo/b", TEXTS)
    for result in (run(*models), models[0], compared(*models)):
        frame, rows = result.to_pandas(), result.to_dicts()
        assert list(frame.columns) == list(rows[0])
        assert len(frame) == len(rows)
    assert list(run().to_pandas().columns) == list(run(*models).to_pandas().columns)


def test_a_scored_file_is_a_row(tmp_path: Path):
    """The result of scored files has a row a file, and its JSON values are those of its document."""
    (tmp_path / "said.trn").write_text("hello there (a)\ngood bye (b)\n", encoding="utf-8")
    (tmp_path / "written.csv").write_text("utt_id,text\na,hello there\n", encoding="utf-8")
    scoring = score(tmp_path / "written.csv", references=tmp_path / "said.trn")
    [row] = scoring.to_dicts()
    assert (row["name"], row["words"], row["errors"], row["wer"], row["missing"]) == ("written.csv", 4, 2, 0.5, 1)
    assert repr(scoring) == "<Scoring of 2 utterances: written.csv WER 50.00 %>"
    assert scoring.to_dict() == json.loads(scoring.to_json())


def test_a_line_names_run_and_models(
    run: Callable[..., BenchResult], model: Callable[..., ModelResult], compared: Callable[..., Comparison]
):
    """The repr of a run, a model, an utterance and a comparison has what a reader looks for, in 240 columns at most."""
    models = model("echo/a", TEXTS), model("echo/b", TEXTS)
    assert repr(run(*models, complete=False)) == "<BenchResult monday: set with echo/a, echo/b; 2 failed, not complete>"
    assert repr(models[0]) == "<ModelResult echo/a on cpu: 4 utterances, 1 failed>"
    assert repr(models[0].utterances[2]).startswith("<UtteranceResult u2: crashed: gone (reference 'the quick")
    assert repr(compared(*models)).startswith("<Comparison of echo/a, echo/b over 4 utterances: ")
    long = tuple(model(f"echo/{'x' * 90}{number}", [HOSTILE * 90] * 2) for number in range(4))
    for result in (run(*long), long[0], long[0].utterances[0], compared(*long)):
        assert len(repr(result)) <= 240
        assert "\x1b" not in repr(result)


def test_jupyter_shows_names_and_texts_as_text(
    run: Callable[..., BenchResult], model: Callable[..., ModelResult], compared: Callable[..., Comparison]
):
    """No name, id, text or failure is HTML in Jupyter."""
    models: list[Any] = [model(f"echo/{HOSTILE}{number}", [HOSTILE, None]) for number in range(2)]
    broken = attrs.evolve(models[0], info=None, failure=Failure(kind=HOSTILE, message=HOSTILE))
    for result in (run(*models, broken), *models, *models[0].utterances, compared(*models)):
        html = result._repr_html_()
        assert "<table>" in html
        assert "<img" not in html
        assert "\x1b" not in html
    assert "&lt;img" in run(*models)._repr_html_()
