from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import attrs
import numpy as np
import pytest

import asrlab
from asrlab import Audio, Device, ModelInfo, Segment, Transcriber, Transcript
from asrlab.evaluation.runs.executor import ItemFinished
from asrlab.evaluation.runs.fingerprint import UtteranceFacts
from asrlab.evaluation.runs.gates import GATES, check_gates, has_words
from asrlab.evaluation.runs.records import Failure, GateResult
from asrlab.transcript import TranscriptWarning

RATE = 16_000
SPOKEN = "and mister john dashwood had then leisure to consider how much there might be prudently in his power to do"
LOOP = "so it goes on, " + "and on it goes, " * 20
TIME = 50_500  # a token of Whisper's that is a time
WORD = 290


@pytest.fixture(scope="module")
def echo() -> Iterator[Transcriber]:
    """The echo engine, loaded."""
    with asrlab.load("echo") as transcriber:
        yield transcriber


@pytest.fixture(scope="module")
def recognized(echo: Transcriber, clips: tuple[Path, ...]) -> Transcript:
    """The transcript of the echo engine for 7.1 s of speech."""
    return echo.transcribe(clips[0])


@pytest.fixture
def gate(recognized: Transcript) -> Callable[..., GateResult]:
    """The result of one gate for the transcript of a clip with changes."""

    def check(
        name: str,
        *,
        reference: str | None = SPOKEN,
        finished: ItemFinished | None = None,
        speech_s: float | None = None,
        requested: str = "cpu",
        warnings: tuple[tuple[str, str], ...] = (),
        **changes: object,
    ) -> GateResult:
        records = tuple(TranscriptWarning(code=code, message=message) for code, message in warnings)
        transcript = attrs.evolve(recognized, warnings=records, **{"text": SPOKEN, **changes})
        outcome = finished or ItemFinished(key=(0, 0), transcript=transcript, speech_s=speech_s)
        facts = UtteranceFacts(id="a", reference=reference, audio_sha256="")
        return {result.gate: result for result in check_gates(outcome, facts=facts, requested_device=requested)}[name]

    return check


def refused_outcome(echo: Transcriber, audio: object) -> ItemFinished:
    """The outcome of audio that the reader refuses."""
    error = next(echo.transcribe_many([audio])).error
    assert isinstance(error, asrlab.AudioError)
    return ItemFinished(key=(0, 0), failure=Failure(kind="AudioError", message=error.message, reason=error.reason))


def test_a_good_transcript_fails_no_gate(recognized: Transcript):
    """A good transcript passes all gates but the one about the limit of an unknown engine."""
    facts = UtteranceFacts(id="a", reference="loud loud loud", audio_sha256="")
    results = check_gates(ItemFinished(key=(0, 0), transcript=recognized), facts=facts, requested_device="cpu")
    assert tuple(result.gate for result in results) == GATES
    assert {result.outcome for result in results if result.gate != "output-truncated"} == {"passed"}
    assert all(result.detail for result in results)


def test_a_failed_utterance_passes_no_gate():
    """Every gate of a failed utterance is unchecked."""
    finished = ItemFinished(key=(0, 0), failure=Failure(kind="crashed", message="the worker died by signal 6"))
    facts = UtteranceFacts(id="a", reference=SPOKEN, audio_sha256="")
    results = check_gates(finished, facts=facts, requested_device="cpu")
    assert {result.outcome for result in results} == {"not-checked"}
    assert {result.detail for result in results} == {"there is no transcript (crashed)"}


def test_truncated_audio_fails_with_its_durations(echo: Transcriber, clips: tuple[Path, ...], tmp_path: Path):
    """A file that ends early fails the gate, whether it was refused or accepted."""
    samples = asrlab.load_audio(clips[1]).samples
    import soundfile

    soundfile.write(tmp_path / "whole.wav", samples, RATE)
    short = tmp_path / "short.wav"
    short.write_bytes((tmp_path / "whole.wav").read_bytes()[:-RATE])
    facts = UtteranceFacts(id="a", reference="loud", audio_sha256="")
    accepted = ItemFinished(key=(0, 0), transcript=echo.transcribe(short, allow_truncated=True))
    for finished in (refused_outcome(echo, short), accepted):
        first, *others = check_gates(finished, facts=facts, requested_device="auto")
        assert (first.gate, first.outcome) == ("audio-truncated", "failed")
        assert "declares 2.99 s, but 2.49 s" in first.detail
        assert "failed" not in {result.outcome for result in others}


def test_a_text_that_did_not_end_fails(gate: Callable[..., GateResult]):
    """The engine's warning about the end of a text fails the gate; other warnings do not."""
    result = gate("output-truncated", warnings=(("output-truncated", "the text of 0.00 to 7.10 s did not end"),))
    assert (result.outcome, result.detail) == ("failed", "the text of 0.00 to 7.10 s did not end")
    lfm = ModelInfo(name="liquid-audio/lfm2.5-audio-1.5b", engine="liquid-audio")
    assert gate("output-truncated", warnings=(("halved", "and ended"),), model=lfm).outcome == "passed"
    assert gate("output-truncated", warnings=(("truncated", "the file"),), model=lfm).outcome == "passed"


def windows(*tokens: tuple[int, ...]) -> tuple[Segment, ...]:
    """Return one segment per window of Whisper."""
    return tuple(
        Segment(text="x", start=30.0 * i, end=30.0 * i + 1, tokens=each, seek=3000 * i) for i, each in enumerate(tokens)
    )


@pytest.mark.parametrize(
    ("segments", "hotwords", "outcome"),
    [
        pytest.param(windows((TIME, WORD, TIME)), None, "passed", id="ended"),
        pytest.param(windows((WORD,) * 219), None, "passed", id="no-time-below-the-limit"),
        pytest.param(windows((TIME, WORD, TIME), (TIME,) + (WORD,) * 219), None, "failed", id="at-the-limit"),
        pytest.param(windows((TIME, *(WORD,) * 222, TIME)), None, "passed", id="at-the-limit-with-a-time"),
        pytest.param(windows((WORD,) * 100), "rare words", "not-checked", id="hotwords"),
        pytest.param((Segment(text="x", start=0, end=1),), None, "not-checked", id="no-tokens"),
        pytest.param((), None, "not-checked", id="no-text"),
    ],
)
def test_a_window_of_whisper_at_its_limit_is_cut_off(
    gate: Callable[..., GateResult], segments: tuple[Segment, ...], hotwords: str | None, outcome: str
):
    """A window of 220 tokens without a timestamp at its end fails the gate."""
    whisper = ModelInfo(name="faster-whisper/base", engine="faster-whisper")
    options = asrlab.TranscribeOptions(hotwords=hotwords)
    result = gate("output-truncated", segments=segments, model=whisper, options=options)
    assert result.outcome == outcome
    if outcome == "failed":
        assert "from 30.00 s has 220 tokens" in result.detail


def test_a_window_in_several_segments_passes(gate: Callable[..., GateResult]):
    """Whisper decodes again from the last pair of timestamps, so that nothing is lost."""
    whisper = ModelInfo(name="openai-whisper/base", engine="openai-whisper")
    both = tuple(Segment(text="x", start=i, end=i + 1, tokens=(TIME, *(WORD,) * 220), seek=0) for i in (0, 1))
    assert gate("output-truncated", segments=both, model=whisper).outcome == "passed"


def test_an_engine_without_a_report_is_not_checked(gate: Callable[..., GateResult]):
    """The gate passes nothing that it could not examine."""
    result = gate("output-truncated")
    assert (result.outcome, result.detail) == ("not-checked", "echo does not report whether a text reached its limit")


def test_a_repetition_is_found_in_any_text(gate: Callable[..., GateResult]):
    """The gate names phrase and count, passes a repetition of the reference, and fails on a warning alone."""
    result = gate("repetition-loop", text=LOOP)
    assert (result.outcome, result.detail) == ("failed", '"and on it goes" occurs 20 times in a row')
    assert gate("repetition-loop", text=LOOP, reference=LOOP).outcome == "passed"
    assert gate("repetition-loop", text=LOOP, reference="la " * 16).outcome == "failed"
    assert gate("repetition-loop", warnings=(("repetition", "repeats"),)).outcome == "failed"
    assert gate("repetition-loop").outcome == "passed"


@pytest.mark.parametrize(
    ("text", "reference", "speech_s", "outcome"),
    [
        ("yes", SPOKEN, None, "passed"),
        ("", SPOKEN, None, "failed"),
        ("[Music] ...", SPOKEN, 0.0, "failed"),
        ("", None, 0.5, "failed"),
        ("", None, 0.49, "passed"),
        ("", None, None, "not-checked"),
        ("", "", 3.0, "passed"),
        ("", "[noise]", None, "passed"),
    ],
)
def test_no_text_on_speech_fails(
    gate: Callable[..., GateResult], text: str, reference: str | None, speech_s: float | None, outcome: str
):
    """The reference decides; without a reference the measured speech does."""
    result = gate("empty-on-speech", text=text, reference=reference, speech_s=speech_s)
    assert result.outcome == outcome
    if outcome == "failed":
        assert ("20 words" if reference else "0.5 s of speech") in result.detail


@pytest.mark.parametrize(
    ("text", "reference", "speech_s", "warned", "outcome"),
    [
        ("", None, 0.0, "silent", "passed"),
        ("thank you", SPOKEN, None, "silent", "failed"),
        ("thank you", "", None, "", "failed"),
        ("thank you", "", 0.4, "", "failed"),
        ("thank you", "", 0.5, "", "not-checked"),
        ("thank you", None, 0.0, "", "failed"),
        ("thank you", None, 2.5, "", "passed"),
        ("thank you", None, None, "", "not-checked"),
        ("thank you", SPOKEN, 0.0, "", "failed"),
        ("Power!", SPOKEN, 0.0, "", "passed"),
    ],
)
def test_text_on_silence_fails(
    gate: Callable[..., GateResult], text: str, reference: str | None, speech_s: float | None, warned: str, outcome: str
):
    """Text on digital silence, an empty reference or no speech fails, unless it shares words with the reference."""
    warnings = ((warned, "no sample of its 2.00 s exceeds -80 dBFS"),)
    result = gate("text-on-silence", text=text, reference=reference, speech_s=speech_s, warnings=warnings)
    assert result.outcome == outcome
    if outcome == "failed":
        assert result.detail.startswith("2 words were recognized")


@pytest.mark.parametrize(
    ("requested", "used", "outcome"),
    [
        ("auto", "cpu", "passed"),
        ("cpu", "cpu", "passed"),
        ("cuda", "cuda:0", "passed"),
        ("cuda:0", "cuda", "passed"),
        ("cuda:1", "cuda:0", "failed"),
        ("cuda", "cuda:1", "failed"),
        ("mps", "cpu", "failed"),
    ],
)
def test_another_device_than_the_requested_one_fails(
    gate: Callable[..., GateResult], requested: str, used: str, outcome: str
):
    """``auto`` accepts any device, and ``cuda`` means ``cuda:0``."""
    result = gate("device", requested=requested, device=Device(requested=requested, resolved=used))
    assert (result.outcome, result.detail) == (outcome, f"asked for {requested}, ran on {used}")


def test_the_device_of_a_failed_utterance_is_that_of_its_model(echo: Transcriber):
    """The device of a loaded model is known without a transcript."""
    finished = ItemFinished(key=(0, 0), failure=Failure(kind="timeout", message="300 s"))
    facts = UtteranceFacts(id="a", audio_sha256="")
    found = {v.gate: v.outcome for v in check_gates(finished, facts=facts, requested_device="mps", info=echo.info)}
    assert found["device"] == "failed"


def test_a_sample_that_is_not_finite_fails(echo: Transcriber, gate: Callable[..., GateResult]):
    """The gate alone fails and names the position; another refusal leaves it unchecked."""
    samples = np.zeros(RATE, np.float32)
    samples[800] = np.nan
    finished = refused_outcome(echo, Audio(samples=samples, sample_rate=RATE))
    result = gate("non-finite-input", finished=finished)
    assert result.outcome == "failed"
    assert "0.05" in result.detail
    assert gate("audio-truncated", finished=finished).outcome == "not-checked"
    assert gate("non-finite-input", finished=refused_outcome(echo, b"no audio")).outcome == "not-checked"
    assert gate("non-finite-input").outcome == "passed"


@pytest.mark.parametrize(
    ("reference", "outcome"),
    [
        pytest.param("word " * 80, "passed", id="80-words-in-7-seconds"),
        pytest.param("word " * 82, "failed", id="82-words-in-7-seconds"),
        pytest.param("字" * 140, "passed", id="140-characters"),
        pytest.param("字" * 150, "failed", id="150-characters"),
        pytest.param("ภาษาไทย" * 80, "passed", id="560-thai-letters"),
        pytest.param(None, "not-checked", id="none"),
    ],
)
def test_a_reference_too_long_for_its_audio_fails(gate: Callable[..., GateResult], reference: str | None, outcome: str):
    """A reference of more than eleven words a second fails."""
    assert gate("reference-suspect", reference=reference).outcome == outcome


@pytest.mark.parametrize(
    ("text", "speech_s", "outcome"),
    [(SPOKEN, 5.0, "failed"), (SPOKEN, 0.2, "passed"), (SPOKEN, None, "not-checked"), ("", 5.0, "passed")],
)
def test_an_empty_reference_for_speech_fails(
    gate: Callable[..., GateResult], text: str, speech_s: float | None, outcome: str
):
    """An empty reference fails if words were recognized and speech was found."""
    assert gate("reference-suspect", reference="(noise)", text=text, speech_s=speech_s).outcome == outcome


def test_a_reference_for_silence_fails(gate: Callable[..., GateResult]):
    """A reference with words fails if the audio is digital silence."""
    result = gate("reference-suspect", warnings=(("silent", "'a.wav' is silent"),))
    assert (result.outcome, result.detail) == ("failed", "the reference has 20 words, but 'a.wav' is silent")


def test_annotations_are_not_words():
    """Bracketed text and punctuation do not count as words."""
    assert not any(map(has_words, (None, "", " ...", "[Music]", "<unk> (laughs)")))
    assert all(map(has_words, ("no", "[a] b", "字", "ก", "5")))


def test_every_gate_is_described():
    """The page on figures has a row for each."""
    page = (Path(__file__).resolve().parents[3] / "docs" / "reference" / "metrics.md").read_text(encoding="utf-8")
    assert [name for name in GATES if f"| `{name}` |" not in page] == []
