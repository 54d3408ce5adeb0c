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
from asrlab.evaluation.runs.gates import GATES, check_gates
from asrlab.evaluation.runs.records import Failure, GateResult
from asrlab.evaluation.runs.words import has_words
from asrlab.transcript import TranscriptWarning

RATE = 16_000
SAID = "and mister john dashwood had then leisure to consider how much there might be prudently in his power to do"
LOOP = "so it goes on, " + "and on it goes, " * 20
TIME = 50_500  # a token of Whisper's that is a time
WORD = 290


@pytest.fixture(scope="module")
def echo() -> Iterator[Transcriber]:
    """The echo engine, loaded."""
    with asrlab.load("echo") as transcriber:
        yield transcriber


@pytest.fixture(scope="module")
def heard(echo: Transcriber, clips: tuple[Path, ...]) -> Transcript:
    """What the echo engine makes of 7.1 s of speech."""
    return echo.transcribe(clips[0])


@pytest.fixture
def gate(heard: Transcript) -> Callable[..., GateResult]:
    """What one gate says of the transcript of a clip, changed as said."""

    def verdict(
        name: str,
        *,
        reference: str | None = SAID,
        done: ItemFinished | None = None,
        voiced: float | None = None,
        asked: str = "cpu",
        warnings: tuple[tuple[str, str], ...] = (),
        **changes: object,
    ) -> GateResult:
        told = tuple(TranscriptWarning(code=code, message=message) for code, message in warnings)
        transcript = attrs.evolve(heard, warnings=told, **{"text": SAID, **changes})
        outcome = done or ItemFinished(key=(0, 0), transcript=transcript, voiced=voiced)
        facts = UtteranceFacts(id="a", reference=reference, audio_sha256="")
        return {verdict.gate: verdict for verdict in check_gates(outcome, facts=facts, asked_device=asked)}[name]

    return verdict


def refused(echo: Transcriber, audio: object) -> ItemFinished:
    """The outcome of audio that the reader refuses."""
    error = next(echo.transcribe_many([audio])).error
    assert isinstance(error, asrlab.AudioError)
    return ItemFinished(key=(0, 0), failure=Failure(kind="AudioError", message=error.message, reason=error.reason))


def test_a_good_transcript_fails_no_gate(heard: Transcript):
    """Eight verdicts in the order of GATES; only the limit of an unknown engine is not checked."""
    facts = UtteranceFacts(id="a", reference="loud loud loud", audio_sha256="")
    verdicts = check_gates(ItemFinished(key=(0, 0), transcript=heard), facts=facts, asked_device="cpu")
    assert tuple(verdict.gate for verdict in verdicts) == GATES
    assert {verdict.outcome for verdict in verdicts if verdict.gate != "output-truncated"} == {"passed"}
    assert all(verdict.detail for verdict in verdicts)


def test_a_failed_utterance_passes_no_gate():
    """Without a transcript nothing was seen."""
    done = ItemFinished(key=(0, 0), failure=Failure(kind="crashed", message="the worker died by signal 6"))
    facts = UtteranceFacts(id="a", reference=SAID, audio_sha256="")
    verdicts = check_gates(done, facts=facts, asked_device="cpu")
    assert {verdict.outcome for verdict in verdicts} == {"not-checked"}
    assert {verdict.detail for verdict in verdicts} == {"there is no transcript (crashed)"}


def test_cut_off_audio_is_told_with_its_seconds(echo: Transcriber, clips: tuple[Path, ...], tmp_path: Path):
    """Refused or accepted, a file that ends early fails the gate."""
    samples = asrlab.load_audio(clips[1]).samples
    import soundfile

    soundfile.write(tmp_path / "whole.wav", samples, RATE)
    short = tmp_path / "short.wav"
    short.write_bytes((tmp_path / "whole.wav").read_bytes()[:-RATE])
    facts = UtteranceFacts(id="a", reference="loud", audio_sha256="")
    accepted = ItemFinished(key=(0, 0), transcript=echo.transcribe(short, allow_truncated=True))
    for done in (refused(echo, short), accepted):
        first, *others = check_gates(done, facts=facts, asked_device="auto")
        assert (first.gate, first.outcome) == ("audio-truncated", "failed")
        assert "declares 2.99 s, but 2.49 s" in first.detail
        assert "failed" not in {verdict.outcome for verdict in others}


def test_a_text_that_did_not_end_is_told(gate: Callable[..., GateResult]):
    """The engine's warning fails the gate, but not one of a text whose halves ended."""
    verdict = gate("output-truncated", warnings=(("output-truncated", "the text of 0.00 to 7.10 s did not end"),))
    assert (verdict.outcome, verdict.detail) == ("failed", "the text of 0.00 to 7.10 s did not end")
    lfm = ModelInfo(name="liquid-audio/lfm2.5-audio-1.5b", engine="liquid-audio")
    assert gate("output-truncated", warnings=(("halved", "and ended"),), model=lfm).outcome == "passed"
    assert gate("output-truncated", warnings=(("truncated", "the file"),), model=lfm).outcome == "passed"


def windows(*tokens: tuple[int, ...]) -> tuple[Segment, ...]:
    """A segment of Whisper's per window."""
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
    """220 tokens in one segment without a time at its end: what was said behind them is lost."""
    whisper = ModelInfo(name="faster-whisper/base", engine="faster-whisper")
    options = asrlab.TranscribeOptions(hotwords=hotwords)
    verdict = gate("output-truncated", segments=segments, model=whisper, options=options)
    assert verdict.outcome == outcome
    if outcome == "failed":
        assert "from 30.00 s has 220 tokens" in verdict.detail


def test_a_window_in_several_segments_goes_on(gate: Callable[..., GateResult]):
    """Whisper decodes anew from the last pair of times, so that nothing is lost there."""
    whisper = ModelInfo(name="openai-whisper/base", engine="openai-whisper")
    both = tuple(Segment(text="x", start=i, end=i + 1, tokens=(TIME, *(WORD,) * 220), seek=0) for i in (0, 1))
    assert gate("output-truncated", segments=both, model=whisper).outcome == "passed"


def test_an_engine_that_does_not_tell_is_not_passed(gate: Callable[..., GateResult]):
    """Where nothing can be seen, nothing is vouched for."""
    verdict = gate("output-truncated")
    assert (verdict.outcome, verdict.detail) == ("not-checked", "echo does not tell whether a text reached its limit")


def test_a_loop_is_found_in_any_engines_text(gate: Callable[..., GateResult]):
    """Its phrase and count are told; one that was really said passes, and a warning alone fails."""
    verdict = gate("repetition-loop", text=LOOP)
    assert (verdict.outcome, verdict.detail) == ("failed", '"and on it goes" is there 20 times in a row')
    assert gate("repetition-loop", text=LOOP, reference=LOOP).outcome == "passed"
    assert gate("repetition-loop", text=LOOP, reference="la " * 16).outcome == "failed"
    assert gate("repetition-loop", warnings=(("repetition", "repeats"),)).outcome == "failed"
    assert gate("repetition-loop").outcome == "passed"


@pytest.mark.parametrize(
    ("text", "reference", "voiced", "outcome"),
    [
        ("yes", SAID, None, "passed"),
        ("", SAID, None, "failed"),
        ("[Music] ...", SAID, 0.0, "failed"),
        ("", None, 0.5, "failed"),
        ("", None, 0.49, "passed"),
        ("", None, None, "not-checked"),
        ("", "", 3.0, "passed"),
        ("", "[noise]", None, "passed"),
    ],
)
def test_nothing_on_speech_is_told(
    gate: Callable[..., GateResult], text: str, reference: str | None, voiced: float | None, outcome: str
):
    """The reference decides where there is one, and the voice elsewhere."""
    verdict = gate("empty-on-speech", text=text, reference=reference, voiced=voiced)
    assert verdict.outcome == outcome
    if outcome == "failed":
        assert ("20 words" if reference else "0.5 s of speech") in verdict.detail


@pytest.mark.parametrize(
    ("text", "reference", "voiced", "warned", "outcome"),
    [
        ("", None, 0.0, "silent", "passed"),
        ("thank you", SAID, None, "silent", "failed"),
        ("thank you", "", None, "", "failed"),
        ("thank you", "", 0.4, "", "failed"),
        ("thank you", "", 0.5, "", "not-checked"),
        ("thank you", None, 0.0, "", "failed"),
        ("thank you", None, 2.5, "", "passed"),
        ("thank you", None, None, "", "not-checked"),
        ("thank you", SAID, 0.0, "", "failed"),
        ("Power!", SAID, 0.0, "", "passed"),
    ],
)
def test_text_where_nobody_speaks_is_told(
    gate: Callable[..., GateResult], text: str, reference: str | None, voiced: float | None, warned: str, outcome: str
):
    """Digital silence, an empty reference, or no speech found, unless the text is what was said."""
    warnings = ((warned, "no sample of its 2.00 s exceeds -80 dBFS"),)
    verdict = gate("text-on-silence", text=text, reference=reference, voiced=voiced, warnings=warnings)
    assert verdict.outcome == outcome
    if outcome == "failed":
        assert verdict.detail.startswith("2 words were written")


@pytest.mark.parametrize(
    ("asked", "used", "outcome"),
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
def test_another_device_than_the_one_named_is_told(
    gate: Callable[..., GateResult], asked: str, used: str, outcome: str
):
    """``auto`` is content with any; ``cuda`` is the first."""
    verdict = gate("device", asked=asked, device=Device(requested=asked, resolved=used))
    assert (verdict.outcome, verdict.detail) == (outcome, f"asked for {asked}, ran on {used}")


def test_the_device_of_a_failed_utterance_is_the_models(echo: Transcriber):
    """Where a model was loaded, its device is known without a transcript."""
    done = ItemFinished(key=(0, 0), failure=Failure(kind="timeout", message="300 s"))
    facts = UtteranceFacts(id="a", audio_sha256="")
    found = {v.gate: v.outcome for v in check_gates(done, facts=facts, asked_device="mps", info=echo.info)}
    assert found["device"] == "failed"


def test_a_sample_that_is_no_number_is_told(echo: Transcriber, gate: Callable[..., GateResult]):
    """Only this gate fails, and it says where the sample is; another refusal leaves it unchecked."""
    samples = np.zeros(RATE, np.float32)
    samples[800] = np.nan
    done = refused(echo, Audio(samples=samples, sample_rate=RATE))
    verdict = gate("non-finite-input", done=done)
    assert verdict.outcome == "failed"
    assert "0.05" in verdict.detail
    assert gate("audio-truncated", done=done).outcome == "not-checked"
    assert gate("non-finite-input", done=refused(echo, b"no audio")).outcome == "not-checked"
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
def test_a_reference_that_nobody_can_say_is_suspect(
    gate: Callable[..., GateResult], reference: str | None, outcome: str
):
    """Eleven words a second are the record."""
    assert gate("reference-suspect", reference=reference).outcome == outcome


@pytest.mark.parametrize(
    ("text", "voiced", "outcome"),
    [(SAID, 5.0, "failed"), (SAID, 0.2, "passed"), (SAID, None, "not-checked"), ("", 5.0, "passed")],
)
def test_an_empty_reference_of_speech_is_suspect(
    gate: Callable[..., GateResult], text: str, voiced: float | None, outcome: str
):
    """It says that nothing is said, but a model writes words and another finds speech."""
    assert gate("reference-suspect", reference="(noise)", text=text, voiced=voiced).outcome == outcome


def test_a_reference_of_silence_is_suspect(gate: Callable[..., GateResult]):
    """Words cannot be said in digital silence."""
    verdict = gate("reference-suspect", warnings=(("silent", "'a.wav' is silent"),))
    assert (verdict.outcome, verdict.detail) == ("failed", "the reference has 20 words, but 'a.wav' is silent")


def test_annotations_are_no_words():
    """Brackets and punctuation are nothing said."""
    assert not any(map(has_words, (None, "", " ...", "[Music]", "<unk> (laughs)")))
    assert all(map(has_words, ("no", "[a] b", "字", "ก", "5")))


def test_every_gate_is_described():
    """The page on figures has a row for each."""
    page = (Path(__file__).resolve().parents[3] / "docs" / "reference" / "metrics.md").read_text(encoding="utf-8")
    assert [name for name in GATES if f"| `{name}` |" not in page] == []
