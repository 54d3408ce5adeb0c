from __future__ import annotations

import numpy as np
import pytest

import asrlab
from asrlab.errors import AsrlabError, EngineNotFoundError
from asrlab.evaluation.matrix.cell import CellContext, CellJob, describe_error, find_suite
from asrlab.evaluation.matrix.checks import (
    concatenated_smoke,
    difference,
    timestamp_error,
    word_errors,
    word_time_difference,
)
from asrlab.evaluation.matrix.records import (
    COLUMNS,
    CellResult,
    CheckResult,
    CheckStatus,
    Figure,
    machine_has,
)
from asrlab.evaluation.matrix.supervise import plan_cells
from asrlab.transcript import Segment, Timings, Word


@pytest.mark.parametrize(
    ("values", "largest", "within"),
    [
        ([1.0, 2.0], 0.0, True),
        ([1.0, 2.0001], 0.0001, True),
        ([1.0, 2.1], 0.1, False),
        ([1.0, float("nan")], None, False),
        ([1.0, float("inf")], None, False),
        ([1.0], None, False),
    ],
)
def test_a_difference_is_compared_with_the_tolerance(values: list[float], largest: float | None, within: bool):  # noqa: FBT001 - a parameter of the test
    """Values that differ by more than the tolerance, are not finite, or have another shape, exceed the tolerance."""
    figure = difference("logits", np.array(values), np.array([1.0, 2.0]), tolerance=1e-3)
    assert figure.largest == (None if largest is None else pytest.approx(largest))
    assert figure.within is within


def test_a_difference_is_relative_to_the_largest_value():
    """An absolute difference of 1 is within the tolerance for values in the millions."""
    assert difference("logits", np.array([1e6 + 1]), np.array([1e6]), tolerance=1e-4).within


def words(*times: tuple[str, float, float]) -> tuple[Word, ...]:
    """Return words with times."""
    return tuple(Word(text=text, start=start, end=end) for text, start, end in times)


def test_the_times_of_equal_words_are_compared():
    """The figure is the largest difference of a start or an end."""
    reference = words(("a", 0.0, 0.5), ("b", 0.5, 1.0))
    near = word_time_difference(words(("a", 0.0, 0.5), ("b", 0.52, 1.0)), reference, required=True)
    far = word_time_difference(words(("a", 0.0, 0.5), ("b", 0.5, 1.1)), reference, required=True)
    assert near is not None
    assert near.within
    assert far is not None
    assert far.largest == pytest.approx(0.1)
    assert not far.within


def test_the_times_of_different_words_are_not_compared():
    """If the words differ, their times are not compared."""
    assert word_time_difference(words(("a", 0.0, 1.0)), words(("b", 0.0, 1.0)), required=True) is None


def transcript(segments: tuple[Segment, ...]) -> asrlab.Transcript:
    """Return a transcript of two seconds."""
    return asrlab.Transcript(
        text="",
        language=None,
        segments=segments,
        duration=2.0,
        device=asrlab.Device(requested="cpu", resolved="cpu"),
        compute_type="float32",
        timings=Timings(audio=0.0, inference=0.0, total=0.0),
        model=asrlab.ModelInfo(name="echo/echo", engine="echo"),
    )


def test_times_out_of_order_or_beyond_the_end_are_errors():
    """A word before its predecessor, and a segment that ends after the audio, are reported with their times."""
    back = (Segment(text="b a", start=0.0, end=2.0, words=words(("b", 1.0, 2.0), ("a", 0.5, 1.0))),)
    beyond = (Segment(text="a", start=0.0, end=2.5),)
    assert timestamp_error(transcript((Segment(text="a", start=0.0, end=2.0),))) == ""
    assert timestamp_error(transcript(back)) == "the word 'a' is at 0.50 to 1.00 s, after 1.00 s"
    assert timestamp_error(transcript(beyond)) == "the segment 'a' is at 0.00 to 2.50 s, after 0.00 s"


def test_the_concatenated_clips_fit_into_one_window():
    """The five clips of smoke with their gaps fit into one window of Whisper, and have 70 words."""
    speech = concatenated_smoke()
    assert 24 < speech.audio.duration < 30
    assert len(speech.text.split()) == 70
    assert concatenated_smoke(3).audio.duration == pytest.approx(3 * speech.audio.duration)
    assert word_errors(speech.text, speech.text.upper().replace("mister".upper(), "Mr.")).errors == 0


def new_context() -> tuple[CellContext, list[CellResult]]:
    """Return a context, and the list of its saved results."""
    saved: list[CellResult] = []
    return CellContext(job=CellJob(model="echo/echo", column="cpu", load_name="echo"), save=saved.append), saved


def test_a_figure_beyond_its_tolerance_fails_the_check():
    """The figure is recorded, and the error has the difference and the tolerance."""
    context, saved = new_context()
    with context.check("numbers") as check:
        check.measure(Figure(name="logits", largest=3.0, relative=0.5, tolerance=0.1))
    started, ended = saved
    assert started.checks == (CheckResult(name="numbers", outcome="failed"),)
    (result,) = ended.checks
    assert result.outcome == "failed"
    assert result.error == "logits: difference 0.5 from the CPU exceeds the tolerance 0.1"
    assert len(result.figures) == 1


def test_a_preliminary_check_is_reported_only_if_it_does_not_pass():
    """A step that shows nothing about the device is not counted as a check that ran."""
    context, _ = new_context()
    with context.check("weights", preliminary=True):
        pass
    assert context.result.checks == ()
    with context.check("weights", preliminary=True) as check:
        check.skip("not here", "no weights")
    assert [(result.outcome, result.detail) for result in context.result.checks] == [("not here", "no weights")]


@pytest.mark.parametrize(
    ("outcomes", "whole"),
    [
        (("ran", "failed", "refused"), "failed"),
        (("ran", "refused"), "ran"),
        (("refused",), "refused"),
        (("not here",), "not here"),
        ((), "not here"),
    ],
)
def test_a_cell_has_the_status_of_its_worst_check(outcomes: tuple[CheckStatus, ...], whole: str):
    """One failed check fails the cell; a cell without a check that ran did not run."""
    checks = tuple(CheckResult(name="a", outcome=outcome) for outcome in outcomes)
    assert CellResult(model="echo/echo", column="cpu", checks=checks).outcome == whole


def test_errors_of_engines_are_described_with_their_type():
    """The description of an error has its type, except for the errors of asrlab."""
    assert describe_error(AsrlabError("no such device")) == "no such device"
    assert describe_error(RuntimeError("no kernel\nmore")) == "RuntimeError: no kernel"
    assert describe_error(AssertionError()) == "AssertionError: AssertionError()"


def test_every_engine_is_planned_on_every_device():
    """Without a selection there is a row for each default model, and one for the tiny checkpoint of LFM2.5-Audio."""
    jobs = plan_cells((), ())
    models = list(dict.fromkeys(job.model for job in jobs))
    built_in = ["faster-whisper/base", "openai-whisper/base", "liquid-audio/tiny", "liquid-audio/lfm2.5-audio-1.5b"]
    assert {*built_in, "echo/echo"} <= set(models)
    assert len(jobs) == len(models) * len(COLUMNS)


def test_a_selection_is_planned_in_order():
    """Engines and aliases become models, and a device that is named twice is one column."""
    jobs = plan_cells(("whisper", "liquid-audio/tiny"), ("mps", "cpu", "mps"))
    assert [(job.model, job.column) for job in jobs] == [
        ("openai-whisper/base", "cpu"),
        ("openai-whisper/base", "mps"),
        ("liquid-audio/tiny", "cpu"),
        ("liquid-audio/tiny", "mps"),
    ]
    with pytest.raises(EngineNotFoundError):
        plan_cells(("whisperer",), ())


def test_the_tiny_checkpoint_has_a_suite_of_its_own():
    """The suite of the tiny checkpoint writes its weights; the real model needs weights from the store."""
    assert find_suite("liquid-audio/tiny").own_weights
    assert not find_suite("liquid-audio/lfm2.5-audio-1.5b").own_weights
    assert find_suite("echo/echo") is find_suite("somebody/else")


def test_every_machine_has_a_cpu():
    """The CPU is always available."""
    assert machine_has("cpu")
