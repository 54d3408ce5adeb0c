"""Extra metrics of runs: normalizers, entities, suspect references and word differences."""

from __future__ import annotations

from typing import Any

import pytest

from asrlab.evaluation.reports.extra_metrics import run_metrics
from asrlab.evaluation.runs.records import Failure
from asrlab.evaluation.runs.result import ModelResult

SAID = "the quick brown fox jumps over the lazy dog today"


def wrong(errors: int) -> str:
    """Return the sentence with the given number of its ten words wrong."""
    return " ".join(["x"] * errors + SAID.split()[errors:])


def test_differences_between_normalizers_show(model: Any, compared: Any):
    """Spelling and digits count as errors under the profile none, but not under english."""
    references = ["the colour of twenty five cars"] * 20
    systems = [
        model("a/one", ["the color of 25 cars"] * 20, references=references),
        model("b/two", references, references=references),
    ]
    figures = compared(*systems, normalizers=("english", "none")).figures
    english, none = figures.normalizers

    assert [english.normalizer, none.normalizer] == ["english", "none"]
    assert english.order == (("a/one", "b/two"),)
    assert none.order == (("b/two",), ("a/one",))
    assert (english.order_changes, none.order_changes) == (False, True)
    assert compared(*systems, normalizer="none").headline[0].endswith(": better")
    assert compared(*systems).headline[0].endswith(": no difference shown")


@pytest.mark.parametrize(
    ("second", "sha256", "suspects"),
    [("b/two", "other", 6), ("b/two", "same", None), ("b/one", "other", None)],
    ids=["other weights", "the same checksum", "the same model in another engine"],
)
def test_systems_with_the_same_weights_count_once(
    second: str, sha256: str, suspects: int | None, model: Any, compared: Any
):
    """Two models make a reference suspect only if their weights differ."""
    systems = [
        model(name, ["a more amiable man"] * 6, references=["a more a amiable man"] * 6, sha256=weights)
        for name, weights in (("a/one", "same"), (second, sha256))
    ]
    report = compared(*systems).figures.suspects

    assert (report and len(report.suspects)) == suspects
    if report:
        assert [(row.words.errors, row.without.errors) for row in report.systems] == [(6, 0), (6, 0)]


def test_most_missed_entities_come_first(model: Any, compared: Any):
    """An entity that both systems miss comes before an entity that one misses."""
    references = ["we paid twenty dollars", "the answer is forty two", *[SAID] * 4]
    found = compared(
        model("a/one", ["we paid thirty dollars", "the answer is", *[SAID] * 4], references=references),
        model("b/two", ["we paid twenty dollars", "the answer is 43", *[SAID] * 4], references=references),
    ).figures
    misses = [(each.id, each.kind, each.reference, dict(each.instead)) for each in found.missed]

    assert misses == [
        ("u1", "number", "forty two", {"a/one": "", "b/two": "43"}),
        ("u0", "money", "twenty dollars", {"a/one": "thirty dollars"}),
    ]
    assert {name: score.rate for name, score in found.entities} == {"a/one": 1.0, "b/two": 0.5}


def test_entities_are_counted_in_english_only(model: Any, compared: Any):
    """Without an English utterance there are no entity figures, and a note gives the reason."""
    found = compared(*(model(name, [SAID] * 6, each={"language": "de"}) for name in ("a/one", "b/two"))).figures

    assert found.entities == ()
    assert any("no utterance is marked as English" in note for note in found.notes)


def test_word_differences_compare_with_the_first_system(model: Any, compared: Any):
    """The first system is compared word by word with each other system."""
    found = compared(
        model("a/one", [wrong(1)] * 6), model("b/two", [wrong(0)] * 6), model("c/three", [wrong(2)] * 6)
    ).differences

    assert [(each.baseline, each.candidate) for each in found] == [("a/one", "b/two"), ("a/one", "c/three")]
    assert [(each.baseline_only, each.candidate_only, each.neither) for each in found] == [(0, 6, 0), (6, 0, 6)]


def test_run_metrics_of_one_run(model: Any, run: Any):
    """The metrics of a run cover the utterances that every model has tried, and need no second model."""
    one, two = model("a/one", [wrong(1)] * 8), model("b/two", [wrong(1)] * 5)
    both = run_metrics(run(one, two, complete=False), normalizers=["none"])
    alone = run_metrics(run(one), normalizers=[])

    assert [score.utterances for _, score in both.normalizers[1].scores] == [5, 5]
    assert both.suspects is not None
    assert len(both.suspects.suspects) == 5
    assert (alone.systems, alone.normalizers, alone.suspects) == (("a/one",), (), None)
    assert not any("suspect" in note for note in alone.notes)  # nobody expects them of one
    same = run_metrics(run(one, model("b/one", [wrong(1)] * 8)), normalizers=[])  # one witness: the same model
    assert same.suspects is None
    assert any("two models of different weights" in note for note in same.notes)


def test_run_metrics_without_systems(run: Any):
    """A run in which no model loaded has no metrics, and is accepted."""
    broken = ModelResult(model="a/one", failure=Failure(kind="WeightsError", message="no"))

    assert run_metrics(run(broken), normalizers=["none"]).systems == ()
