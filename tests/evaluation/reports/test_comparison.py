"""Comparison of runs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import attrs
import pytest

from asrlab import TranscribeOptions
from asrlab.errors import DatasetError, OptionError
from asrlab.evaluation.metrics import Resampling
from asrlab.evaluation.reports.comparison import compare
from asrlab.evaluation.runs.manifest import BenchRequest
from asrlab.evaluation.runs.records import Failure, GateResult
from asrlab.evaluation.runs.result import ModelResult, RepeatResult

RESAMPLING = Resampling(resamples=2000)
SAID = "the quick brown fox jumps over the lazy dog today"


def wrong(errors: int) -> str:
    """Return the sentence with the given number of its ten words wrong."""
    return " ".join(["x"] * errors + SAID.split()[errors:])


def test_identical_systems_are_never_better(model: Any, compared: Any):
    """Systems with the same texts and times differ neither in errors nor in speed."""
    texts = [wrong(number % 3) for number in range(40)]
    found = compared(model("a/one", texts), model("b/two", texts))

    assert [each.verdict for each in found.wer.differences] == ["no difference shown"]
    assert found.speed is not None
    assert [each.verdict for each in found.speed.ratios] == ["no difference shown"]
    assert found.headline[0] == "b/two and a/one: WER 9.75 % each: no difference shown"
    assert not {"better", "faster"} & set(" ".join(found.headline).split())


def test_system_with_fewer_errors_everywhere_is_better(model: Any, compared: Any):
    """A system with half the errors in 40 utterances is better, and the headline states by how much."""
    more, fewer = model("a/one", [wrong(2)] * 40, seconds=2.0), model("b/two", [wrong(1)] * 40)
    speed = "b/two: RTFx 4.00, 2.00 times that of a/one: no difference shown (a single pass of each; a verdict on speed"
    sentences = (
        "b/two: WER 10.00 %, 10.00 points lower than a/one [10.00, 10.00], p < 0.001: better",
        f"{speed} needs the models in one run with --repeat 3)",
    )

    assert compared(more, fewer).headline == sentences
    assert compared(fewer, more).headline == sentences
    assert compared(fewer, more).wer.differences[0].verdict == "worse"


def test_lower_rate_without_proof_is_not_better(model: Any, compared: Any):
    """A system that is better in one of 40 utterances has the lower rate but no verdict."""
    found = compared(model("a/one", [wrong(1)] * 40), model("b/two", [wrong(0), *[wrong(1)] * 39]))

    assert found.headline[0].startswith("b/two: WER 9.75 %, 0.25 points lower than a/one [0.00, ")
    assert found.headline[0].endswith(": no difference shown")


def test_few_units_give_no_verdict(model: Any, compared: Any):
    """Five speakers give no verdict, however large the difference; a note states the minimum."""
    one, two = ([wrong(number)] * 40 for number in (5, 0))
    each = [f"s{number % 5}" for number in range(40)]
    systems = [
        attrs.evolve(
            made,
            utterances=tuple(
                attrs.evolve(utterance, speaker=speaker)
                for utterance, speaker in zip(made.utterances, each, strict=True)
            ),
        )
        for made in (model("a/one", one), model("b/two", two))
    ]
    found = compared(*systems)

    assert (found.bootstrap_unit, found.wer.blocks) == ("speaker", 5)
    assert found.headline[0] == "b/two: WER 0.00 %, 50.00 points lower than a/one: too few to tell (5 speakers)"
    assert any("fewer than 6 speakers" in note for note in found.notes)
    assert compared(*systems, bootstrap_unit="utterance").headline[0].endswith(": better")


def test_three_systems_are_adjusted_by_holm(model: Any, compared: Any):
    """With three systems every pair is compared, p is adjusted, and the headline names the lowest rate."""
    found = compared(
        model("a/one", [wrong(1)] * 32 + [wrong(2)] * 8),
        model("b/two", [wrong(1)] * 40),
        model("c/three", [wrong(0)] * 6 + [wrong(1)] * 34),
    )
    pairs = [(each.baseline, each.candidate) for each in found.wer.differences]

    assert pairs == [("a/one", "b/two"), ("a/one", "c/three"), ("b/two", "c/three")]
    assert [each.p_adjusted / each.p_value for each in found.wer.differences] == pytest.approx([2, 3, 1], abs=0.01)
    assert found.headline[0] == "c/three: lowest WER of 3, 8.50 %; better than a/one, b/two"


def test_failed_utterances_count_as_deletions(model: Any, compared: Any):
    """Four failed utterances count as 40 deletions, and are not in the rate of the finished ones."""
    found = compared(model("a/one", [wrong(1)] * 40), model("b/two", [None] * 4 + [wrong(1)] * 36))
    _, two = found.systems

    assert (two.failed, two.words.deletions, two.words.errors) == (4, 40, 76)
    assert (two.finished.errors, two.finished.reference_length, two.finished.rate) == (36, 360, 0.1)
    assert "b/two: 4 of 40 utterances failed and count as deletions" in found.notes
    assert found.speed is not None
    assert found.speed.utterances == 36


def test_utterances_without_reference_are_in_the_speed_only(model: Any, compared: Any):
    """Utterances without a reference are counted, and are in no error rate."""
    references = [SAID] * 10 + [None] * 2
    systems = [model(name, [wrong(0)] * 12, references=references) for name in ("a/one", "b/two")]
    found = compared(*systems)

    assert (found.utterances, found.unscored, found.wer.utterances) == (12, 2, 10)
    assert found.speed is not None
    assert found.speed.utterances == 12


@pytest.mark.parametrize(
    ("references", "message"),
    [
        ([SAID] * 9, r"utterance 'u9' is only in monday \(10 and 9 utterances\)"),
        ([SAID] * 11, r"utterance 'u10' is only in tuesday"),
        (
            [SAID] * 3 + ["another"] * 7,
            "reference of 'u3' is 'the quick .*' in one and 'another' in the other",
        ),
        ([SAID] * 10, "the fingerprints of their data sets differ"),
    ],
    ids=["one less", "one more", "another reference", "another fingerprint"],
)
def test_other_utterances_are_refused(references: list[str], message: str, model: Any, run: Any):
    """Runs over different data are refused; the error names the first difference and the remedy."""
    other = model("b/two", [SAID] * len(references), references=references)
    runs = [run(model("a/one", [SAID] * 10)), run(other, name="tuesday", fingerprint="g")]

    with pytest.raises(DatasetError, match=f"(?s){message}.*--shared-only"):
        compare(runs)


def test_shared_utterances_can_be_compared(model: Any, run: Any):
    """With only_shared, utterances with the same id, reference and length are compared, and the others counted."""
    references = [SAID] * 8 + ["another"] * 4
    other = model("b/two", [wrong(0)] * 12, references=references)
    shorter = attrs.evolve(other.utterances[0].transcript, duration=3.0)
    utterances = (attrs.evolve(other.utterances[0], transcript=shorter), *other.utterances[1:])
    runs = [
        run(model("a/one", [wrong(1)] * 10)),
        run(attrs.evolve(other, utterances=utterances), name="tuesday", fingerprint="g"),
    ]
    found = compare(runs, only_shared=True, resampling=RESAMPLING)

    assert (found.utterances, found.left_out) == (7, 5)
    assert "5 utterances are not shared by all and were left out" in found.notes
    assert found.headline[0].endswith("better")


def test_nothing_shared_is_refused(model: Any, run: Any):
    """Runs that share no utterance cannot be compared at all."""
    runs = [
        run(model("a/one", [wrong(1)])),
        run(model("b/two", [wrong(1)], references=["another"]), name="tuesday", fingerprint="g"),
    ]

    with pytest.raises(DatasetError, match="no utterance is in all 2 systems"):
        compare(runs, only_shared=True)


def test_run_that_is_not_complete_is_refused(model: Any, run: Any):
    """An incomplete run is refused, and the error names the command that resumes it."""
    runs = [run(model("a/one", [SAID])), run(model("b/two", [SAID]), name="tuesday", complete=False)]

    with pytest.raises(DatasetError, match=r"tuesday is not complete.*asrlab resume /runs/tuesday"):
        compare(runs, only_shared=True)


def test_one_system_is_refused(model: Any, compared: Any):
    """One model cannot be compared; the error names a second model that did not load."""
    broken = ModelResult(model="b/two", failure=Failure(kind="WeightsError", message="no"))

    with pytest.raises(OptionError, match="only a/one, b/two did not load; give a second run"):
        compared(model("a/one", [SAID]), broken)


def test_model_that_did_not_load_is_left_out(model: Any, compared: Any):
    """The loaded systems are compared, and a note names the model that did not load."""
    broken = ModelResult(model="c/three", failure=Failure(kind="WeightsError", message="no"))
    found = compared(model("a/one", [SAID] * 6), model("b/two", [SAID] * 6), broken)

    assert len(found.systems) == 2
    assert "c/three of monday is not compared: it did not load (WeightsError)" in found.notes


def test_same_model_of_two_runs_is_named_with_its_run(model: Any, run: Any):
    """Two systems of the same model are named with the run's name, or else its path."""
    monday, tuesday = (run(model("a/one", [SAID] * 6), name=name) for name in ("monday", "tuesday"))
    moved = attrs.evolve(monday, run=Path("/elsewhere/monday"))

    assert [each.name for each in compare([monday, tuesday]).systems] == ["a/one @ monday", "a/one @ tuesday"]
    assert [each.name for each in compare([monday, moved]).systems] == [
        "a/one @ /runs/monday",
        "a/one @ /elsewhere/monday",
    ]
    with pytest.raises(OptionError, match="was given twice"):
        compare([monday, monday])


def test_speed_is_not_compared_across_machines(model: Any, run: Any):
    """Times of two machines are not compared, and the reason names the differences."""
    other = attrs.evolve(run().manifest.machine, processor="two")
    found = compare(
        [
            run(model("a/one", [SAID] * 8, seconds=2.0)),
            run(model("b/two", [SAID] * 8), name="tuesday", machine=other),
        ]
    )

    assert found.speed is None
    assert found.why_no_speed == "a/one and b/two ran on different machines (processor one and two)"
    assert "faster" not in " ".join(found.headline)


def test_speed_takes_the_median_of_repeats(model: Any, compared: Any):
    """The median of three repeats ignores a slow one."""
    steady = model("a/one", [SAID] * 8, each={"repeats": (RepeatResult(text=SAID, seconds=1.0),) * 2})
    once_slow = model(
        "b/two",
        [SAID] * 8,
        each={"repeats": (RepeatResult(text=SAID, seconds=9.0), RepeatResult(text=SAID, seconds=1.0))},
    )
    found = compared(steady, once_slow)

    assert found.speed is not None
    assert dict(found.speed.systems) == {"a/one": 4.0, "b/two": 4.0}


def test_random_weights_are_in_the_headline(model: Any, compared: Any):
    """A comparison with random weights states this first, gives no verdict and compares no speed."""
    found = compared(model("a/one", [wrong(0)] * 40), model("b/tiny", [wrong(9)] * 40, random=True))

    assert found.headline == (
        "b/tiny has random weights, so these error rates mean nothing: WER a/one 0.00 %, b/tiny 90.00 %",
    )
    assert found.speed is None
    assert "random weights" in found.why_no_speed
    assert found.figures.suspects is None


def test_simulated_device_is_in_the_headline(model: Any, compared: Any):
    """A simulated device is stated first, and its speed is not compared."""
    found = compared(model("a/one", [wrong(0)] * 40), model("b/two", [wrong(1)] * 40, simulated=True))

    assert found.headline[0] == "b/two ran on a simulated device, which proves nothing about a real one"
    assert found.speed is None
    assert "simulated" in found.why_no_speed


def test_notes_state_the_limits_of_the_comparison(model: Any, run: Any):
    """Notes name failed gates, repeats with other texts, a busy machine and different options."""
    gate = GateResult(gate="repetition-loop", outcome="failed", detail="x x x")
    odd = model("b/two", [SAID] * 6, each={"gates": (gate,), "repeats": (RepeatResult(text="else", seconds=1.0),)})
    request = BenchRequest(dataset="set", models=("b/two",), options=TranscribeOptions(beam_size=5))
    notes = compare(
        [
            run(model("a/one", [SAID] * 6)),
            run(odd, name="tuesday", request=request, load_averages=((0.1, 0.0, 0.0), (2.5, 1.0, 0.5))),
        ]
    ).notes

    assert "b/two: failed gates: repetition-loop in 6 of 6 utterances" in notes
    assert any("b/two: not repeatable: 6 of 6 utterances gave another text when repeated" in note for note in notes)
    assert "monday and tuesday ran with different options: beam_size None and 5" in notes
    assert any(note.startswith("tuesday began on a busy machine (load average 2.5 on 4 cores)") for note in notes)
    assert not any(note.startswith("monday began") for note in notes)


@pytest.mark.parametrize(
    ("labels", "by", "expected"),
    [
        ({"speaker": "s", "recording": "r"}, "auto", "speaker"),
        ({"recording": "r"}, "auto", "recording"),
        ({}, "auto", "utterance"),
        ({"speaker": "s"}, "utterance", "utterance"),
    ],
)
def test_bootstrap_units_are_chosen_by_metadata(
    labels: dict[str, str], by: Any, expected: str, model: Any, compared: Any
):
    """Speakers are preferred to recordings, and recordings to utterances; the result names the unit."""
    found = compared(*(model(name, [SAID] * 6, each=labels) for name in ("a/one", "b/two")), bootstrap_unit=by)

    assert found.bootstrap_unit == expected
    assert found.wer.blocks == (6 if expected == "utterance" else 1)


def test_a_missing_bootstrap_unit_is_refused(model: Any, compared: Any):
    """Choosing speakers that are unknown is an error that names the remedy."""
    with pytest.raises(OptionError, match="no utterance has a speaker; choose --bootstrap-unit utterance"):
        compared(*(model(name, [SAID] * 6) for name in ("a/one", "b/two")), bootstrap_unit="speaker")


def test_json_has_everything_to_repeat_it(model: Any, compared: Any):
    """The JSON has seed, resamples, versions, runs with dates, and the data set with its fingerprint."""
    found = compared(model("a/one", [wrong(1)] * 8), model("b/two", [wrong(0)] * 8), normalizers=("none",))
    plain = json.loads(found.to_json())

    assert plain["wer"]["resampling"] == {"resamples": 2000, "seed": 0, "confidence": 0.95}
    assert plain["numpy"].count(".") == 2
    assert (
        plain["systems"][0]
        | {
            "run": "monday",
            "created": "2026-01-02T03:04:05+00:00",
            "dataset": "set",
            "fingerprint": "f",
            "wer": 0.1,
        }
        == plain["systems"][0]
    )
    assert plain["figures"]["normalizers"][1]["scores"]["a/one"]["wer"] == 0.1
    assert "whisper-normalizer" in plain["wer"]["normalizer_version"]
    assert plain["headline"] == list(found.headline)
