"""The openai-whisper engine, compared with openai-whisper called directly."""

from __future__ import annotations

import os
import pickle
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import asrlab
from asrlab import OptionError, Transcriber, WeightsError

whisper = pytest.importorskip("whisper", reason="openai-whisper is not installed")
torch = pytest.importorskip("torch", reason="torch is not installed")
pytestmark = pytest.mark.usefixtures("use_weights")


@pytest.fixture(scope="module")
def base(use_weights: Path) -> Iterator[Transcriber]:
    """Load openai-whisper base."""
    with asrlab.load("openai-whisper/base", device="cpu") as transcriber:
        yield transcriber


@pytest.fixture(scope="module")
def checkpoint(base_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Write the converted weights to a ``.pt`` file in openai-whisper's format."""
    from asrlab.weights import convert

    path = tmp_path_factory.mktemp("checkpoint") / "base.pt"
    converted = convert(base_folder)
    torch.save({"dims": converted.dims.as_dict(), "model_state_dict": dict(converted.state_dict)}, path)
    return path


@pytest.fixture(scope="module")
def raw(checkpoint: Path) -> Any:
    """Load the model with openai-whisper."""
    model = whisper.load_model(str(checkpoint), device="cpu")
    model.set_alignment_heads(whisper._ALIGNMENT_HEADS["base"])  # noqa: SLF001 - no public name has them
    return model


@pytest.fixture(scope="module")
def tiny(use_weights: Path) -> Iterator[Transcriber]:
    """Load openai-whisper tiny.en."""
    with asrlab.load("openai-whisper/tiny.en", device="cpu") as transcriber:
        yield transcriber


@pytest.fixture(scope="module")
def raw_tiny(use_weights: Path) -> Any:
    """Build tiny.en with openai-whisper and the same weights."""
    from asrlab.weights import convert

    converted = convert(asrlab.weights_path("openai-whisper/tiny.en"))
    model = whisper.model.Whisper(whisper.model.ModelDimensions(**converted.dims.as_dict()))
    model.load_state_dict(converted.state_dict)
    model.set_alignment_heads(whisper._ALIGNMENT_HEADS["tiny.en"])  # noqa: SLF001 - no public name has them
    return model


def assert_equal_transcripts(ours: asrlab.Transcript, theirs: dict[str, Any]) -> None:
    """Assert that texts, times, tokens, scores and words are equal."""
    expected = [segment for segment in theirs["segments"] if segment["text"].strip()]
    assert len(ours.segments) == len(expected) > 0
    for segment, other in zip(ours.segments, expected, strict=True):
        assert segment.text == other["text"].strip()
        assert (segment.start, segment.seek, segment.tokens) == (other["start"], other["seek"], tuple(other["tokens"]))
        assert segment.end == pytest.approx(min(other["end"], ours.duration))
        assert segment.avg_logprob == pytest.approx(other["avg_logprob"], abs=1e-4)
        assert segment.compression_ratio == other["compression_ratio"]
        if segment.words is not None:
            assert [word.text for word in segment.words] == [word["word"].strip() for word in other["words"]]
            times = [time for word in other["words"] for time in (word["start"], word["end"])]
            assert [time for word in segment.words for time in (word.start, word.end)] == pytest.approx(
                times, abs=0.021
            )
    assert ours.language == theirs["language"]


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"word_timestamps": True},
        {"beam_size": 2, "initial_prompt": "Jane Austen"},
    ],
    ids=lambda options: "-".join(options) or "defaults",
)
def test_transcripts_are_those_of_openai_whisper(
    tiny: Transcriber, raw_tiny: Any, long_speech: np.ndarray, options: dict[str, Any]
):
    """The decode loop over more than one window has upstream's results."""
    theirs = raw_tiny.transcribe(long_speech, **options)
    assert_equal_transcripts(tiny.transcribe(long_speech, sample_rate=16_000, **options), theirs)


def test_detection_and_translation_are_upstreams(
    base: Transcriber, raw: Any, speech: dict[str, asrlab.evaluation.Utterance]
):
    """A multilingual model detects the language and translates as upstream does."""
    samples = asrlab.load_audio(speech["0890"].audio).samples
    theirs = raw.transcribe(samples, task="translate", temperature=0.0)
    assert_equal_transcripts(base.transcribe(samples, sample_rate=16_000, task="translate", temperature=0.0), theirs)


def test_temperature_fallback_is_upstreams(tiny: Transcriber, raw_tiny: Any):
    """On noise the first temperatures fail, and with the same random state the result is upstream's."""
    noise = np.random.default_rng(1).normal(0, 0.2, 16_000 * 8).astype(np.float32)
    torch.manual_seed(3)
    theirs = raw_tiny.transcribe(noise, language="en", temperature=(0.0, 0.4, 0.8))
    torch.manual_seed(3)
    ours = tiny.transcribe(noise, sample_rate=16_000, language="en", temperature=(0.0, 0.4, 0.8))
    expected = [segment for segment in theirs["segments"] if segment["text"].strip()]
    assert [(s.text, s.temperature) for s in ours.segments] == [(s["text"].strip(), s["temperature"]) for s in expected]


def test_segments_are_decoded_window_by_window(tiny: Transcriber, long_speech: np.ndarray):
    """The first segment is available before the last window is decoded."""
    stream = tiny.stream(long_speech, sample_rate=16_000, language="en")
    first = next(stream)
    assert first.seek == 0
    rest = list(stream)
    assert any(segment.seek for segment in rest)


def test_both_engines_run_the_same_weights(base: Transcriber, speech: dict[str, asrlab.evaluation.Utterance]):
    """Both engines load weights of the same checksum and recognize the same text."""
    with asrlab.load("faster-whisper/base", device="cpu") as other:
        assert other.info.model.weights_sha256 == base.info.model.weights_sha256
        audio = speech["0890"].audio
        assert base.transcribe(audio, language="en").text == other.transcribe(audio, language="en").text


def test_the_language_is_detected_with_its_probability(
    base: Transcriber, raw: Any, speech: dict[str, asrlab.evaluation.Utterance]
):
    """The language and its probability are those that the model detects."""
    audio = speech["0870"].audio
    transcript = base.transcribe(audio)
    mel = whisper.log_mel_spectrogram(whisper.pad_or_trim(asrlab.load_audio(audio).samples))
    _, probabilities = raw.detect_language(mel)
    assert transcript.language == "en"
    assert transcript.language_probability == pytest.approx(probabilities["en"], abs=1e-5)


def test_the_models_own_alignment_heads_are_set(base: Transcriber, raw: Any):
    """The alignment heads, which determine word times, are those of the model's authors."""
    heads = base.recognizer._model.alignment_heads.indices()  # noqa: SLF001 - no public name has it
    assert torch.equal(heads, raw.alignment_heads.indices())


def test_a_checkpoint_file_is_loaded_by_path(checkpoint: Path, speech: dict[str, asrlab.evaluation.Utterance]):
    """A local ``.pt`` file is loaded without executing code."""
    with asrlab.load(f"openai-whisper/{checkpoint}", device="cpu") as own:
        transcript = own.transcribe(speech["0930"].audio, language="en", word_timestamps=True)
    assert "amiable" in transcript.text
    assert transcript.model.name == "openai-whisper/base.pt"
    assert not transcript.model.weights_pinned


def test_a_ctranslate2_folder_by_path_has_its_heads(base_folder: Path, raw: Any):
    """The alignment heads of an unlisted folder are those of its configuration."""
    with asrlab.load(f"openai-whisper/{base_folder}", device="cpu") as own:
        heads = own.recognizer._model.alignment_heads.indices()  # noqa: SLF001 - no public name has it
    assert torch.equal(heads, raw.alignment_heads.indices())


class PickledCode:
    """An object that creates a folder when it is unpickled."""

    def __init__(self, target: Path) -> None:
        self.target = target

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (str(self.target),)


@pytest.mark.parametrize("zipped", [True, False])
def test_code_in_a_checkpoint_is_never_run(tmp_path: Path, zipped: bool):  # noqa: FBT001 - a parameter
    """A checkpoint that contains code is refused, and the code is not run."""
    target, path = tmp_path / "ran", tmp_path / "code.pt"
    payload = {"dims": {}, "model_state_dict": PickledCode(target)}
    if zipped:
        torch.save(payload, path)
    else:
        path.write_bytes(pickle.dumps(payload))
    with pytest.raises(WeightsError, match="never run"):
        asrlab.load(f"openai-whisper/{path}")
    assert not target.exists()


def test_an_invalid_checkpoint_is_refused(tmp_path: Path):
    """A file that is not a checkpoint, and a checkpoint of another model, are refused."""
    path = tmp_path / "other.pt"
    path.write_bytes(b"RIFF nonsense")
    with pytest.raises(WeightsError, match=r"other\.pt"):
        asrlab.load(f"openai-whisper/{path}")
    torch.save({"dims": {"n_mels": 80}, "model_state_dict": {}}, path)
    with pytest.raises(WeightsError, match="not the ten of a Whisper model"):
        asrlab.load(f"openai-whisper/{path}")


def test_unsupported_options_are_refused(base: Transcriber, speech: dict[str, asrlab.evaluation.Utterance]):
    """Hotwords, voice activity detection, float16 and other numbers of threads are refused."""
    for option in ({"hotwords": "Dashwood"}, {"vad_filter": True}):
        with pytest.raises(OptionError, match="word_timestamps, beam_size, temperature, initial_prompt"):
            base.transcribe(speech["0880"].audio, **option)
    with pytest.raises(OptionError, match="float32"):
        asrlab.load("openai-whisper/base", device="cpu", compute_type="float16")
    with pytest.raises(OptionError, match="set_num_threads"):
        asrlab.load("openai-whisper/base", device="cpu", threads=torch.get_num_threads() + 1)


def test_short_and_silent_audio_is_transcribed(base: Transcriber):
    """10 ms and 1 s of silence give a transcript of their duration."""
    for seconds in (0.01, 1.0):
        transcript = base.transcribe(np.zeros(round(16_000 * seconds), np.float32), sample_rate=16_000, language="en")
        assert transcript.duration == pytest.approx(seconds)


def test_concurrent_calls_return_their_own_texts(base: Transcriber, speech: dict[str, asrlab.evaluation.Utterance]):
    """Concurrent calls return their own texts, although upstream has one cache for each model."""
    texts: dict[str, str] = {}

    def call(name: str) -> None:
        texts[name] = base.transcribe(speech[name].audio, language="en").text.lower()

    threads = [threading.Thread(target=call, args=(name,)) for name in ("0880", "0930")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert "young man" in texts["0880"]
    assert "amiable" in texts["0930"]


@pytest.mark.slow
def test_close_releases_the_memory(assert_memory_released: Callable[..., None]):
    """Closing releases at least half of the 290 MB of float32 weights, and loading again does not increase memory."""
    assert_memory_released("openai-whisper/base")
