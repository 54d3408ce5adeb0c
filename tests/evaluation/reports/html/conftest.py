"""Runs and pages for the tests of HTML reports."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import attrs
import pytest

from asrlab.evaluation import report
from asrlab.evaluation.metrics import Resampling
from asrlab.evaluation.runs.records import GateResult

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from asrlab.evaluation.runs.result import BenchResult

FEW = Resampling(resamples=200)
SPOKEN = "the quick brown fox jumps over the lazy dog today"


@pytest.fixture(scope="session")
def two_models(model: Callable[..., Any], run: Callable[..., BenchResult]) -> BenchResult:
    """A run of 120 utterances: a/right has no errors, b/wrong has an error in every third utterance."""
    wrong = [SPOKEN.replace("fox", "box") if number % 3 == 0 else SPOKEN for number in range(120)]
    wrong[7] = None
    right = model("a/right", [SPOKEN] * 120, seconds=0.5)
    other = model("b/wrong", wrong, seconds=2.0)
    found = (GateResult(gate="repetition-loop", outcome="failed", detail='"bye" is there 9 times in a row'),)
    speakers = ("ann", "bob", "cem")
    utterances = tuple(
        attrs.evolve(each, speaker=speakers[index % 3], gates=found if index == 9 else ())
        for index, each in enumerate(other.utterances)
    )
    first = tuple(attrs.evolve(each, speaker=speakers[index % 3]) for index, each in enumerate(right.utterances))
    return run(attrs.evolve(right, utterances=first), attrs.evolve(other, utterances=utterances))


@pytest.fixture(scope="session")
def page(two_models: BenchResult, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The file of the report on *two_models*."""
    path = tmp_path_factory.mktemp("page") / "report.html"
    report(two_models, bootstrap_unit="utterance", resampling=FEW).write(path)
    return path
