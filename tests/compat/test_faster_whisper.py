"""``asrlab.compat.faster_whisper`` against ``faster_whisper``: the same weights, field by field."""

from __future__ import annotations

import dataclasses
import inspect
import json
import math
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import asrlab
from asrlab.compat import faster_whisper as shim

upstream = pytest.importorskip("faster_whisper", reason="faster-whisper is not installed")
pytestmark = pytest.mark.usefixtures("use_weights")

ROOT = Path(__file__).resolve().parents[2]
LOADED = {"device": "cpu", "compute_type": "int8", "cpu_threads": 1}

# Every argument of upstream's that asrlab's own options do not have.
OWN = [
    {"patience": 2.0, "length_penalty": 0.5, "repetition_penalty": 1.2, "no_repeat_ngram_size": 3},
    {"temperature": [0.0, 0.4], "best_of": 2, "compression_ratio_threshold": 1.9, "log_prob_threshold": -0.9},
    {"no_speech_threshold": 0.2, "condition_on_previous_text": False, "prompt_reset_on_temperature": 0.1},
    {"prefix": "So", "suppress_blank": False, "suppress_tokens": [11, 13], "max_initial_timestamp": 0.5},
    {"without_timestamps": True, "max_new_tokens": 12, "clip_timestamps": "1.0,4.0", "chunk_length": 20},
    {"word_timestamps": True, "prepend_punctuations": "-", "append_punctuations": ".", "clip_timestamps": [0.5]},
    {"word_timestamps": True, "hallucination_silence_threshold": 0.5, "multilingual": True},
    {"language_detection_threshold": 0.9, "language_detection_segments": 2, "hotwords": "Dashwood"},
    {"initial_prompt": "Jane Austen wrote:", "task": "translate", "language": "en", "beam_size": 2},
]


@pytest.fixture(scope="module")
def folder(use_weights: Path) -> str:
    """The weights of base, as both are given them."""
    return str(asrlab.weights_path("faster-whisper/base", offline=True))


@pytest.fixture(scope="module")
def theirs(folder: str) -> Any:
    """Upstream's model."""
    return upstream.WhisperModel(folder, **LOADED)


@pytest.fixture(scope="module")
def mine(folder: str) -> Iterator[shim.WhisperModel]:
    """The same weights through asrlab."""
    with shim.WhisperModel(folder, **LOADED) as model:
        yield model


@pytest.fixture(scope="module")
def short(clips: tuple[Path, ...]) -> np.ndarray:
    """Seven seconds."""
    return asrlab.load_audio(clips[0]).samples


@pytest.fixture(scope="module")
def long(clips: tuple[Path, ...]) -> np.ndarray:
    """35 seconds: two windows, with three seconds of silence before the last clip, which is the first one again."""
    first, *others = (asrlab.load_audio(path).samples for path in clips)
    return np.concatenate([first, *others, np.zeros(48_000, np.float32), first])


def plain(record: Any) -> dict[str, Any]:
    """A record's fields; those of the words within."""
    return dataclasses.asdict(record)


def assert_same(ours: tuple[Any, Any], upstreams: tuple[Any, Any]):
    """Segments are equal in every field, and so is what is known before them but for two options' spelling."""
    segments, info = ([plain(segment) for segment in ours[0]], plain(ours[1]))
    expected, known = ([plain(segment) for segment in upstreams[0]], plain(upstreams[1]))
    assert segments == expected
    assert len(segments) > 0
    asked, spelled = info.pop("transcription_options"), known.pop("transcription_options")
    differing = {name for name in spelled if asked[name] != spelled[name]}
    assert differing <= {"suppress_tokens", "clip_timestamps"}
    assert info.pop("language_probability") == pytest.approx(known.pop("language_probability"), abs=5e-3)
    weighed, given = info.pop("all_language_probs"), known.pop("all_language_probs")
    assert (weighed is None) == (given is None)
    assert dict(weighed or ()) == pytest.approx(dict(given or ()), abs=5e-3)
    assert info == known


def test_the_readmes_examples_give_the_same(use_weights: Path, tmp_path: Path):
    """``python -m benchmarks.shims faster_whisper`` runs upstream's README as it is, and with its import changed."""
    record = tmp_path / "faster_whisper.json"
    command = ["-m", "benchmarks.shims", "faster_whisper", "--only", "README", "--record", str(record)]
    done = subprocess.run([sys.executable, *command], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    fields = json.loads(record.read_text(encoding="utf-8"))["fields"]
    assert len({field["example"] for field in fields}) >= 6
    named = {field["name"] for field in fields}
    assert named >= {"printed", "segments[].tokens", "segments[].avg_logprob", "info.duration_after_vad", "options"}
    apart = {field["name"] for field in fields if not field["equal"]}
    assert apart <= {"info.language_probability", "probabilities"}
    assert any("Dashwood" in text for field in fields if field["name"] == "printed" for text in field["upstream"])


@pytest.mark.parametrize(
    "given",
    [{"word_timestamps": True, "beam_size": 1}, {"vad_filter": True, "vad_parameters": {"threshold": 0.4}}],
    ids=str,
)
def test_a_long_recording_gives_the_same(given: dict[str, Any], mine: Any, theirs: Any, long: np.ndarray):
    """Windows after the first, words, and what the filter leaves."""
    assert_same(mine.transcribe(long, **given), theirs.transcribe(long, **given))


@pytest.mark.parametrize("given", OWN, ids="-".join)
def test_upstreams_own_options_give_the_same(given: dict[str, Any], mine: Any, theirs: Any, short: np.ndarray):
    """Each reaches the engine, and nothing else does."""
    assert_same(mine.transcribe(short, **given), theirs.transcribe(short, **given))
    assert {name for options in OWN for name in options} >= set(mine.transcriber.info.capabilities.engine_options) - {
        "vad_parameters",
        "split_at_silence",  # asrlab's own
    }


def test_the_signatures_are_upstreams():
    """Positional arguments keep their places, and defaults their values."""
    for name in ("__init__", "transcribe", "detect_language"):
        assert_signature(getattr(shim.WhisperModel, name), getattr(upstream.WhisperModel, name))
    assert_signature(shim.BatchedInferencePipeline.transcribe, upstream.BatchedInferencePipeline.transcribe)
    for name in ("decode_audio", "format_timestamp", "download_model"):
        assert_signature(getattr(shim, name), getattr(upstream, name))


def assert_signature(ours: Any, upstreams: Any):
    """Names, order, and defaults; a list there may be a tuple here."""
    mine, theirs = inspect.signature(ours).parameters, inspect.signature(upstreams).parameters
    assert list(mine) == list(theirs)
    for name, parameter in theirs.items():
        default = parameter.default
        assert mine[name].default == (tuple(default) if isinstance(default, list) else default), name


def test_the_records_fields_are_upstreams():
    """In upstream's order."""
    for name in ("Segment", "Word", "TranscriptionInfo", "TranscriptionOptions"):
        ours, upstreams = getattr(shim, name), getattr(upstream.transcribe, name)
        assert [field.name for field in dataclasses.fields(ours)] == [
            field.name for field in dataclasses.fields(upstreams)
        ]
    assert plain(shim.VadOptions()) == plain(upstream.vad.VadOptions())
    word = shim.Word(start=0.0, end=1.0, word=" a", probability=0.5)
    with pytest.warns(DeprecationWarning, match=r"dataclasses.asdict"):
        assert word._asdict() == plain(word)


def test_the_language_is_detected_alike(mine: Any, theirs: Any, short: np.ndarray):
    """Likeliest first, with all that were weighed."""
    language, probability, ranked = mine.detect_language(short)
    expected = theirs.detect_language(short)
    assert language == expected[0]
    assert probability == pytest.approx(expected[1], abs=5e-3)
    assert [name for name, _ in ranked[:2]] == [name for name, _ in expected[2][:2]]
    assert set(mine.supported_languages) == set(theirs.supported_languages)
    with pytest.raises(asrlab.OptionError, match=r"detect_language\(features=...\) takes features"):
        mine.detect_language(features=short)


def test_batches_give_segments_in_order(mine: Any, long: np.ndarray):
    """Texts are asrlab's own batches': at most one word in twenty is wrong."""
    from asrlab.evaluation.metrics import TextPair, get_normalizer, score

    segments, info = shim.BatchedInferencePipeline(model=mine).transcribe(long, batch_size=16, word_timestamps=True)
    segments = list(segments)
    assert [segment.id for segment in segments] == list(range(1, len(segments) + 1))
    assert [segment.start for segment in segments] == sorted(segment.start for segment in segments)
    assert all(segment.text.startswith(" ") and segment.words for segment in segments)
    assert (info.language, info.duration) == ("en", pytest.approx(len(long) / 16_000))
    texts = [utterance.text or "" for utterance in asrlab.evaluation.load_dataset("smoke")]
    said = " ".join([*texts, texts[0]])
    heard = "".join(segment.text for segment in segments)
    found = score([TextPair(id="all", reference=said, hypothesis=heard)], normalizer=get_normalizer("english"))
    assert found.words.errors <= found.words.reference_length / 20


def test_batches_refuse_what_they_cannot_honour(mine: Any, short: np.ndarray):
    """The message names upstream's pipeline; what has no effect there has none here."""
    pipeline = shim.BatchedInferencePipeline(mine)
    with pytest.raises(asrlab.OptionError, match=r"patience; faster_whisper.BatchedInferencePipeline"):
        pipeline.transcribe(short, patience=2.0)
    segments, _ = pipeline.transcribe(short, log_prob_threshold=-3.0, vad_filter=False, language="en")
    assert "Dashwood" in next(segments).text


def test_files_are_decoded_alike(clips: tuple[Path, ...]):
    """The same samples as upstream's for a file at 16 kHz; another rate is refused."""
    with asrlab.patches.patched("faster-whisper"):
        np.testing.assert_array_equal(shim.decode_audio(str(clips[1])), upstream.decode_audio(str(clips[1])))
    with pytest.raises(asrlab.OptionError, match=r"sampling_rate=8000; faster_whisper.decode_audio does"):
        shim.decode_audio(str(clips[1]), sampling_rate=8000)
    with pytest.raises(asrlab.OptionError, match="split_stereo=True"):
        shim.decode_audio(str(clips[1]), split_stereo=True)


def test_times_are_written_alike():
    """From nothing to hours."""
    for seconds in (0.0, 0.0005, 59.9996, 61.25, 3600.0, 86399.5):
        for hours in (False, True):
            assert shim.format_timestamp(seconds, hours, ",") == upstream.format_timestamp(seconds, hours, ",")
    with pytest.raises(asrlab.OptionError, match="before the start"):
        shim.format_timestamp(-1.0)


def test_upstreams_sizes_are_there(folder: str):
    """All that upstream offers by name, and a folder where it would download one."""
    assert set(upstream.available_models()) <= set(shim.available_models())
    assert shim.download_model("base", local_files_only=True) == folder
    with pytest.raises(asrlab.OptionError, match="ASRLAB_CACHE says where"):
        shim.download_model("base", cache_dir="here")


class Spy(asrlab.plugin.Recognizer):
    """Notes how many segments were asked for."""

    def __init__(self) -> None:
        model = asrlab.ModelInfo(name="spy/spy", engine="spy")
        device = asrlab.Device(requested="cpu", resolved="cpu", reason="a test")
        super().__init__(
            asrlab.TranscriberInfo(
                model=model, device=device, compute_type="float32", capabilities=asrlab.Capabilities()
            )
        )
        self.given = 0

    def recognize(self, audio: Any, options: Any) -> asrlab.plugin.Recognition:  # noqa: ARG002 - it asks for nothing
        """Reads all of the audio first, as most engines do."""
        audio.read()
        return asrlab.plugin.Recognition(segments=self.heard(), language=None)

    def heard(self) -> Iterator[asrlab.Segment]:
        """Three segments."""
        for number in range(3):
            self.given += 1
            yield asrlab.Segment(text=f"number {number}", start=float(number), end=number + 0.5)

    def release(self) -> None:
        """Nothing to give back."""


def test_segments_come_as_they_are_asked_for(short: np.ndarray):
    """Nothing is decoded before the first, and nothing after the last that is wanted."""
    spy = Spy()
    segments, info = shim.WhisperModel(asrlab.Transcriber(spy)).transcribe(short)
    assert spy.given == 0
    assert next(segments).text == " number 0"
    segments.close()
    assert spy.given == 1
    assert info.language is None
    assert math.isnan(info.language_probability)


def test_any_engine_fills_the_records(short: np.ndarray):
    """What it does not tell is None; what it cannot do is refused with the call that can."""
    with shim.WhisperModel("echo/echo") as model:
        segments, info = model.transcribe(short, "en", word_timestamps=True)
        first = next(segments)
        assert (first.id, first.start, first.tokens, first.avg_logprob) == (1, 0.0, [], None)
        assert [word.word for word in first.words] == [first.text]
        assert (info.language, info.language_probability, info.all_language_probs) == ("en", 1.0, None)
        for given in ({"patience": 2.0}, {"beam_size": 2}, {"hotwords": "a"}, {"task": "translate"}):
            name = next(iter(given))
            with pytest.raises(asrlab.OptionError, match=rf"faster_whisper.*\(audio, {name}=...\) can") as caught:
                model.transcribe(short, **given)
            assert caught.value.option == name
        with pytest.raises(AttributeError, match=r"faster_whisper.WhisperModel\(...\).hf_tokenizer is upstream's"):
            _ = model.hf_tokenizer


def test_a_prompt_of_tokens_is_refused(mine: Any, short: np.ndarray):
    """Text is what every engine takes."""
    with pytest.raises(asrlab.OptionError, match="initial_prompt as token ids"):
        mine.transcribe(short, initial_prompt=[1, 2])


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"download_root": "here"}, "asrlab has no download_root"),
        ({"num_workers": 2}, "asrlab has no num_workers"),
        ({"device_index": [0, 1]}, "asrlab has no device_index"),
        ({"flash_attention": True}, "asrlab has no flash_attention"),
    ],
)
def test_what_loading_cannot_honour_is_refused(given: dict[str, Any], told: str):
    """Before anything is loaded."""
    with pytest.raises(asrlab.OptionError, match=told):
        shim.WhisperModel("base", **given)


def test_names_are_found_as_upstream_finds_them(folder: str):
    """A size, its alias, a hub's name, a folder, any engine's model; anything else says what there is."""
    from asrlab.compat.faster_whisper.arguments import full_name

    assert full_name("base") == "faster-whisper/base"
    assert full_name("turbo") == "faster-whisper/large-v3-turbo"
    assert full_name("Systran/faster-whisper-tiny.en") == "faster-whisper/tiny.en"
    assert full_name("openai-whisper/base") == "openai-whisper/base"
    assert full_name(folder) == f"faster-whisper/{folder}"
    with pytest.raises(asrlab.EngineNotFoundError, match=r"faster_whisper.WhisperModel\('username/whisper'\)"):
        full_name("username/whisper")


def test_an_english_model_takes_another_language_for_english(
    caplog: pytest.LogCaptureFixture, short: np.ndarray, use_weights: Path
):
    """As upstream does, with a warning."""
    with shim.WhisperModel("tiny.en", **LOADED) as model:
        _, info = model.transcribe(short, language="de")
        assert info.language == "en"
        assert "language 'de' becomes 'en'" in caplog.text
        segments, info = model.transcribe(short)
        assert info.language_probability == 1.0
        assert "young man" not in next(segments).text
