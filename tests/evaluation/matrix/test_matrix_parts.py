from __future__ import annotations

import numpy as np
import pytest

import asrlab
from asrlab.errors import AsrlabError, EngineNotFoundError
from asrlab.evaluation.matrix.cell_context import CellContext, first_line
from asrlab.evaluation.matrix.measure import difference, disorder, joined_smoke, word_errors, word_times
from asrlab.evaluation.matrix.messages import CheckStarted, Job
from asrlab.evaluation.matrix.plan import plan, suite_of
from asrlab.evaluation.matrix.records import COLUMNS, CellResult, CheckResult, Figure, Outcome, machine_has
from asrlab.transcript import Segment, Timings, Word


@pytest.mark.parametrize(
    ("found", "largest", "within"),
    [
        ([1.0, 2.0], 0.0, True),
        ([1.0, 2.0001], 0.0001, True),
        ([1.0, 2.1], 0.1, False),
        ([1.0, float("nan")], None, False),
        ([1.0, float("inf")], None, False),
        ([1.0], None, False),
    ],
)
def test_a_difference_is_held_against_the_tolerance(found: list[float], largest: float | None, within: bool):  # noqa: FBT001 - a parameter of the test
    """Numbers that differ by more than the tolerance, are not finite, or of another shape, are out of it."""
    figure = difference("logits", np.array(found), np.array([1.0, 2.0]), tolerance=1e-3)
    assert figure.largest == (None if largest is None else pytest.approx(largest))
    assert figure.within is within


def test_a_difference_is_relative_to_the_largest_value():
    """An absolute difference of 1 is nothing where the values are in the millions."""
    assert difference("logits", np.array([1e6 + 1]), np.array([1e6]), tolerance=1e-4).within


def words(*times: tuple[str, float, float]) -> tuple[Word, ...]:
    """Words with their times."""
    return tuple(Word(text=text, start=start, end=end) for text, start, end in times)


def test_the_times_of_the_same_words_are_compared():
    """The largest distance of a start or an end counts."""
    reference = words(("a", 0.0, 0.5), ("b", 0.5, 1.0))
    near = word_times(words(("a", 0.0, 0.5), ("b", 0.52, 1.0)), reference, demanded=True)
    far = word_times(words(("a", 0.0, 0.5), ("b", 0.5, 1.1)), reference, demanded=True)
    assert near is not None
    assert near.within
    assert far is not None
    assert far.largest == pytest.approx(0.1)
    assert not far.within


def test_the_times_of_other_words_are_not_compared():
    """Where the words differ there is nothing to measure."""
    assert word_times(words(("a", 0.0, 1.0)), words(("b", 0.0, 1.0)), demanded=True) is None


def transcript(segments: tuple[Segment, ...]) -> asrlab.Transcript:
    """A transcript of two seconds."""
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


def test_times_out_of_order_or_beyond_the_end_are_seen():
    """A word before the one that it follows, and a segment that ends after the audio, are told with their times."""
    back = (Segment(text="b a", start=0.0, end=2.0, words=words(("b", 1.0, 2.0), ("a", 0.5, 1.0))),)
    beyond = (Segment(text="a", start=0.0, end=2.5),)
    assert disorder(transcript((Segment(text="a", start=0.0, end=2.0),))) == ""
    assert disorder(transcript(back)) == "the word 'a' is at 0.50 to 1.00 s, after 1.00 s"
    assert disorder(transcript(beyond)) == "the segment 'a' is at 0.00 to 2.50 s, after 0.00 s"


def test_the_joined_clips_fit_into_one_window():
    """The five clips of smoke with their pauses are one window of Whisper, and 70 words."""
    speech = joined_smoke()
    assert 24 < speech.audio.duration < 30
    assert len(speech.text.split()) == 70
    assert joined_smoke(3).audio.duration == pytest.approx(3 * speech.audio.duration)
    assert word_errors(speech.text, speech.text.upper().replace("mister".upper(), "Mr.")).errors == 0


def staged() -> tuple[CellContext, list[object]]:
    """A stage, and what it has sent."""
    sent: list[object] = []
    return CellContext(job=Job(model="echo/echo", column="cpu", asked="echo"), send=sent.append), sent


def test_a_figure_beyond_its_tolerance_fails_the_check():
    """The figure is kept, and the error names what was found and what is the tolerance."""
    stage, sent = staged()
    with stage.check("numbers") as check:
        check.measured(Figure(name="logits", largest=3.0, relative=0.5, tolerance=0.1))
    began, result = sent
    assert began == CheckStarted(check="numbers")
    assert isinstance(result, CheckResult)
    assert result.outcome == "failed"
    assert result.error == "logits: 0.5 from the CPU's, where 0.1 is the tolerance"
    assert len(result.figures) == 1


def test_a_preliminary_step_is_told_only_where_it_ends_the_cell():
    """What shows nothing of the device counts as no check that ran."""
    stage, sent = staged()
    with stage.check("weights", preliminary=True):
        pass
    with stage.check("weights", preliminary=True) as check:
        check.stop("not here", "no weights")
    results = [message for message in sent if isinstance(message, CheckResult)]
    assert [(result.outcome, result.detail) for result in results] == [("not here", "no weights")]


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
def test_a_cell_is_as_bad_as_its_worst_check(outcomes: tuple[Outcome, ...], whole: str):
    """One failed check fails the cell; a cell in which nothing ran is no cell that ran."""
    checks = tuple(CheckResult(name="a", outcome=outcome) for outcome in outcomes)
    assert CellResult(model="echo/echo", column="cpu", checks=checks).outcome == whole


def test_the_engines_own_errors_are_told_with_their_kind():
    """Messages of asrlab stand for themselves; the kind of any other error is a part of what it says."""
    assert first_line(AsrlabError("no such device")) == "no such device"
    assert first_line(RuntimeError("no kernel\nmore")) == "RuntimeError: no kernel"
    assert first_line(AssertionError()) == "AssertionError: AssertionError()"


def test_every_engine_is_planned_on_every_device():
    """Without a choice there is a row for each default model, and one for the tiny likeness of LFM2.5-Audio."""
    jobs = plan((), ())
    models = list(dict.fromkeys(job.model for job in jobs))
    built_in = ["faster-whisper/base", "openai-whisper/base", "liquid-audio/tiny", "liquid-audio/lfm2.5-audio-1.5b"]
    assert {*built_in, "echo/echo"} <= set(models)
    assert len(jobs) == len(models) * len(COLUMNS)


def test_a_choice_is_planned_as_it_was_given():
    """Engines and aliases become models, a device that was named twice is one column."""
    jobs = plan(("whisper", "liquid-audio/tiny"), ("mps", "cpu", "mps"))
    assert [(job.model, job.column) for job in jobs] == [
        ("openai-whisper/base", "cpu"),
        ("openai-whisper/base", "mps"),
        ("liquid-audio/tiny", "cpu"),
        ("liquid-audio/tiny", "mps"),
    ]
    with pytest.raises(EngineNotFoundError):
        plan(("whisperer",), ())


def test_real_weights_have_other_checks_than_random_ones():
    """The tiny likeness writes its own weights, and the real model needs those of the store."""
    assert suite_of("liquid-audio/tiny").own_weights
    assert not suite_of("liquid-audio/lfm2.5-audio-1.5b").own_weights
    assert suite_of("echo/echo") is suite_of("somebody/else")


def test_every_machine_has_a_cpu():
    """The CPU needs no looking for."""
    assert machine_has("cpu")
