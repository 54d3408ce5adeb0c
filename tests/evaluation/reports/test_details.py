"""Details of runs below the headline."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import attrs
import pytest

from asrlab.evaluation import compare
from asrlab.evaluation.metrics import ErrorCounts, Resampling, wer_interval
from asrlab.evaluation.reports.details import Details, build_details
from asrlab.evaluation.reports.scored_system import N_BINS, alignment_spans
from asrlab.evaluation.reports.systems import ComparisonOptions
from asrlab.evaluation.runs.records import GateResult

if TYPE_CHECKING:
    from collections.abc import Callable

    from asrlab.evaluation.runs.result import BenchResult, ModelResult

SAID = "the quick brown fox jumps over the lazy dog today"
FEW = Resampling(resamples=500)


@pytest.fixture
def details(run: Callable[..., BenchResult]) -> Callable[..., Details]:
    """A function that builds the details of several models of one run."""
    return lambda *models, **options: build_details([run(*models)], ComparisonOptions(resampling=FEW, **options))


def spoken(made: ModelResult, durations: list[float], speakers: list[str | None]) -> ModelResult:
    """Return *model* with the given lengths and speakers of its utterances."""
    utterances = tuple(
        attrs.evolve(
            each,
            speaker=speaker,
            transcript=each.transcript and attrs.evolve(each.transcript, duration=duration),
        )
        for each, duration, speaker in zip(made.utterances, durations, speakers, strict=True)
    )
    return attrs.evolve(made, utterances=utterances)


def test_figures_equal_those_of_the_comparison(model: Any, run: Any):
    """Errors and words equal those of compare for the same runs, with each normalizer."""
    one, two = [SAID, "the quick", None], [SAID, f"well {SAID} too", "Twenty one"]
    result = run(model("a/one", one * 3), model("b/two", two * 3))
    for normalizer in ("english", "none", "leaderboard"):
        compared = compare([result], normalizer=normalizer, resampling=FEW)
        found = build_details([result], ComparisonOptions(normalizer=normalizer, resampling=FEW))
        assert [(each.name, each.words) for each in found.systems] == list(compared.wer.systems)


def test_groups_add_up_to_all_errors(details: Any, model: Any):
    """Each utterance is in one group of each breakdown, and the groups add up."""
    one = spoken(model("a/one", [SAID, "the", "fox", "dog"]), [1.0, 2.0, 61.0, 5.0], ["ann", "bob", "ann", None])
    found = details(one, model("b/two", [SAID, SAID, "well", SAID]))

    assert [each.grouped_by for each in found.breakdowns] == ["length", "speaker"]
    for breakdown in found.breakdowns:
        for place, system in enumerate(found.systems):
            assert sum((group.errors[place] for group in breakdown.groups), start=ErrorCounts()) == system.words
        assert sum(group.utterances for group in breakdown.groups) == 4
    lengths, speakers = (tuple(group.name for group in each.groups) for each in found.breakdowns)
    assert lengths == ("under 2 s", "2 to 5 s", "5 to 10 s", "60 s and more")
    assert speakers == ("ann", "bob", "unknown")


def test_a_failed_utterance_has_the_length_from_another_system(details: Any, model: Any):
    """The length of a failed utterance comes from another system's transcript."""
    failed = model("a/one", [None, SAID])
    other = spoken(model("b/two", [SAID, SAID]), [1.0, 30.0], [None, None])
    found = details(failed, other).breakdowns[0].groups
    assert [(group.name, group.errors[0].errors) for group in found] == [("under 2 s", 10), ("2 to 5 s", 0)]


def test_latencies_are_all_in_the_bins(details: Any, model: Any):
    """Every measured time is in a shared bin; without times there are no bins."""
    found = details(model("a/one", [SAID] * 3, seconds=0.5), model("b/two", [SAID, None, SAID], seconds=4.0)).latency

    assert len(found.edges) == N_BINS + 1
    assert [sum(each.counts) for each in found.systems] == [3, 2]
    assert found.systems[0].counts[0] == 3
    assert found.systems[1].counts[-1] == 2
    assert found.systems[1].summary.p50 == 4.0
    assert details(model("a/one", [None, None])).latency.edges == ()


def test_the_worst_have_the_most_errors_over_all(details: Any, model: Any):
    """The worst utterances are ranked by the errors of all systems, and all have an error."""
    found = details(model("a/one", [SAID, "the", "fox", SAID]), model("b/two", [SAID, SAID, "fox", "the"]), worst_n=2)

    assert [(each.id, each.errors) for each in found.worst] == [("u2", 18), ("u1", 9)]


def test_alignments_are_grouped_into_spans(details: Any, model: Any):
    """Equal words form a span, and so do different words, with both texts."""
    found = details(model("a/one", ["the quick red fox leaps over the lazy dog"]), worst_n=1)

    spans = [(each.is_equal, each.reference, each.hypothesis) for each in alignment_spans(found.worst[0].first.words)]
    assert spans == [
        (True, "the quick", "the quick"),
        (False, "brown", "red"),
        (True, "fox", "fox"),
        (False, "jumps", "leaps"),
        (True, "over the lazy dog", "over the lazy dog"),
        (False, "today", ""),
    ]


def test_gates_are_counted_and_findings_listed(details: Any, model: Any):
    """Failures, failed gates and unstable texts are findings; each gate is counted for each system."""
    made = model("a/one", [SAID, None])
    looped = (
        GateResult(gate="repetition-loop", outcome="failed", detail="bye"),
        GateResult(gate="device", outcome="passed"),
    )
    first, second = made.utterances
    unchecked = (GateResult(gate="device", outcome="not-checked"),)
    utterances = (attrs.evolve(first, gates=looped), attrs.evolve(second, gates=unchecked))
    found = details(attrs.evolve(made, utterances=utterances))

    assert [(gate.gate, gate.systems) for gate in found.gates] == [
        ("repetition-loop", ((0, 1, 0),)),
        ("device", ((1, 0, 1),)),
    ]
    assert [(each.id, each.kind, each.detail) for each in found.findings] == [
        ("u0", "repetition-loop", "bye"),
        ("u1", "crashed", "gone"),
    ]


def test_caveats_name_what_limits_the_figures(model: Any, run: Any):
    """Caveats name random weights, simulated devices, incomplete runs and models that did not load."""
    made_up = model("a/one", [SAID], random=True, simulated=True)
    found = build_details([run(made_up, complete=False)], ComparisonOptions(resampling=FEW)).caveats

    assert [line.split(" has ")[-1].split(" ran ")[-1].split(":")[0].split(";")[0] for line in found] == [
        "random weights",
        "on a simulated cpu",
        "the run monday is not complete",
    ]


def test_an_incomplete_run_is_shown_for_common_utterances(model: Any, run: Any):
    """The details of an incomplete run cover the utterances that every system has tried."""
    result = run(model("a/one", [SAID] * 3), model("b/two", [SAID] * 2), complete=False)

    assert [len(each.utterances) for each in build_details([result], ComparisonOptions(resampling=FEW)).systems] == [
        2,
        2,
    ]


def test_without_any_model_nothing_is_shown(run: Any):
    """A run whose models did not load has no systems, and is accepted."""
    found = build_details([run()])
    assert (found.systems, found.worst, found.latency.edges) == ((), (), ())


def test_an_interval_covers_the_rate_and_narrows_with_more():
    """The interval contains the rate, narrows with more utterances, and needs six units."""
    rows = {f"u{number}": ErrorCounts(hits=8 + number % 3, substitutions=number % 3) for number in range(60)}
    whole = wer_interval(rows, resampling=FEW)
    part = wer_interval(dict(list(rows.items())[:12]), resampling=FEW)
    rate = sum(rows.values(), start=ErrorCounts()).rate

    assert whole is not None
    assert part is not None
    assert rate is not None
    assert whole.low < rate < whole.high
    assert whole.high - whole.low < part.high - part.low
    assert wer_interval(dict(list(rows.items())[:5]), resampling=FEW) is None
    assert wer_interval(rows, blocks=dict.fromkeys(rows, "one"), resampling=FEW) is None
