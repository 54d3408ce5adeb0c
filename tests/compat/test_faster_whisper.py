"""``asrlab.compat.faster_whisper`` compared with ``faster_whisper`` on the same weights, field by field."""

from __future__ import annotations

import copy
import dataclasses
import inspect
import json
import math
import subprocess
import sys
import warnings
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

# Every argument of upstream that asrlab's own options do not have.
UPSTREAM_OPTIONS = [
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
    """Return the folder with the weights of base."""
    return str(asrlab.weights_path("faster-whisper/base", offline=True))


@pytest.fixture(scope="module")
def theirs(folder: str) -> Any:
    """Return upstream's model."""
    return upstream.WhisperModel(folder, **LOADED)


@pytest.fixture(scope="module")
def mine(folder: str) -> Iterator[shim.WhisperModel]:
    """Return the drop-in replacement with the same weights."""
    with shim.WhisperModel(folder, **LOADED) as model:
        yield model


@pytest.fixture(scope="module")
def short(clips: tuple[Path, ...]) -> np.ndarray:
    """Return seven seconds of speech."""
    return asrlab.load_audio(clips[0]).samples


@pytest.fixture(scope="module")
def long(clips: tuple[Path, ...]) -> np.ndarray:
    """Return 35 seconds, which are two windows: all clips, three seconds of silence, and the first clip again."""
    first, *others = (asrlab.load_audio(path).samples for path in clips)
    return np.concatenate([first, *others, np.zeros(48_000, np.float32), first])


def to_dict(record: Any) -> dict[str, Any]:
    """Return the fields of a record and of its words."""
    return dataclasses.asdict(record)


def assert_same(ours: tuple[Any, Any], upstreams: tuple[Any, Any]):
    """Assert that segments and infos are equal in every field, except for the spelling of two options.

    Upstream's last segment may end after the audio; asrlab's does not.
    """
    segments, info = ([to_dict(segment) for segment in ours[0]], to_dict(ours[1]))
    expected, known = ([to_dict(segment) for segment in upstreams[0]], to_dict(upstreams[1]))
    for segment in expected[-1:]:
        segment["end"] = min(segment["end"], known["duration"])
    assert segments == expected
    assert len(segments) > 0
    options, expected_options = info.pop("transcription_options"), known.pop("transcription_options")
    differing = {name for name in expected_options if options[name] != expected_options[name]}
    assert differing <= {"suppress_tokens", "clip_timestamps"}
    assert info.pop("language_probability") == pytest.approx(known.pop("language_probability"), abs=5e-3)
    probabilities, expected_probabilities = info.pop("all_language_probs"), known.pop("all_language_probs")
    assert (probabilities is None) == (expected_probabilities is None)
    assert dict(probabilities or ()) == pytest.approx(dict(expected_probabilities or ()), abs=5e-3)
    assert info == known


def test_readme_examples_give_upstreams_results(use_weights: Path, tmp_path: Path):
    """Upstream's README, as it is and with its import changed, gives the same results."""
    record = tmp_path / "faster_whisper.json"
    command = ["-m", "benchmarks.shims", "faster_whisper", "--only", "README", "--record", str(record)]
    done = subprocess.run([sys.executable, *command], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    fields = json.loads(record.read_text(encoding="utf-8"))["fields"]
    assert len({field["example"] for field in fields}) >= 6
    names = {field["name"] for field in fields}
    assert names >= {"printed", "segments[].tokens", "segments[].avg_logprob", "info.duration_after_vad", "options"}
    different = {field["name"] for field in fields if not field["equal"]}
    assert different <= {"info.language_probability", "probabilities"}
    assert any("Dashwood" in text for field in fields if field["name"] == "printed" for text in field["upstream"])


@pytest.mark.parametrize(
    "given",
    [{"word_timestamps": True, "beam_size": 1}, {"vad_filter": True, "vad_parameters": {"threshold": 0.4}}],
    ids=str,
)
def test_a_long_recording_gives_upstreams_segments(given: dict[str, Any], mine: Any, theirs: Any, long: np.ndarray):
    """Segments of several windows, with word timings or the VAD filter, are upstream's."""
    assert_same(mine.transcribe(long, **given), theirs.transcribe(long, **given))


@pytest.mark.parametrize("given", UPSTREAM_OPTIONS, ids="-".join)
def test_upstream_options_give_upstreams_segments(given: dict[str, Any], mine: Any, theirs: Any, short: np.ndarray):
    """Each option of upstream reaches the engine and gives upstream's segments."""
    assert_same(mine.transcribe(short, **given), theirs.transcribe(short, **given))
    assert {name for options in UPSTREAM_OPTIONS for name in options} >= set(
        mine.transcriber.info.capabilities.engine_options
    ) - {
        "vad_parameters",
        "split_at_silence",  # only asrlab has it
    }


def test_signatures_are_upstreams():
    """Functions have upstream's arguments, in its order, with its defaults."""
    for name in ("__init__", "transcribe", "detect_language"):
        assert_signature(getattr(shim.WhisperModel, name), getattr(upstream.WhisperModel, name))
    assert_signature(shim.BatchedInferencePipeline.transcribe, upstream.BatchedInferencePipeline.transcribe)
    for name in ("decode_audio", "format_timestamp", "download_model"):
        assert_signature(getattr(shim, name), getattr(upstream, name))


def assert_signature(ours: Any, upstreams: Any):
    """Assert that names, order, and defaults are equal; a list of upstream may be a tuple."""
    mine, theirs = inspect.signature(ours).parameters, inspect.signature(upstreams).parameters
    assert list(mine) == list(theirs)
    for name, parameter in theirs.items():
        default = parameter.default
        assert mine[name].default == (tuple(default) if isinstance(default, list) else default), name


def test_record_fields_are_upstreams():
    """Records have upstream's fields, in its order."""
    for name in ("Segment", "Word", "TranscriptionInfo", "TranscriptionOptions"):
        ours, upstreams = getattr(shim, name), getattr(upstream.transcribe, name)
        assert [field.name for field in dataclasses.fields(ours)] == [
            field.name for field in dataclasses.fields(upstreams)
        ]
    assert to_dict(shim.VadOptions()) == to_dict(upstream.vad.VadOptions())
    word = shim.Word(start=0.0, end=1.0, word=" a", probability=0.5)
    with pytest.warns(DeprecationWarning, match=r"dataclasses.asdict"):
        assert word._asdict() == to_dict(word)


def test_language_detection_is_upstreams(mine: Any, theirs: Any, short: np.ndarray):
    """The language, its probability, and the likeliest candidates are upstream's."""
    language, probability, ranked = mine.detect_language(short)
    expected = theirs.detect_language(short)
    assert language == expected[0]
    assert probability == pytest.approx(expected[1], abs=5e-3)
    assert [name for name, _ in ranked[:2]] == [name for name, _ in expected[2][:2]]
    assert set(mine.supported_languages) == set(theirs.supported_languages)
    with pytest.raises(asrlab.OptionError, match=r"detect_language\(features=...\)"):
        mine.detect_language(features=short)


def test_batched_segments_are_in_order(mine: Any, long: np.ndarray):
    """Batched segments are in order, with words, and at most one word in twenty is wrong."""
    from asrlab.evaluation.metrics import TextPair, get_normalizer, score

    segments, info = shim.BatchedInferencePipeline(model=mine).transcribe(long, batch_size=16, word_timestamps=True)
    segments = list(segments)
    assert [segment.id for segment in segments] == list(range(1, len(segments) + 1))
    assert [segment.start for segment in segments] == sorted(segment.start for segment in segments)
    assert all(segment.text.startswith(" ") and segment.words for segment in segments)
    assert (info.language, info.duration) == ("en", pytest.approx(len(long) / 16_000))
    texts = [utterance.text or "" for utterance in asrlab.evaluation.load_dataset("smoke")]
    pair = TextPair(
        id="all",
        reference=" ".join([*texts, texts[0]]),
        hypothesis="".join(segment.text for segment in segments),
    )
    words = score([pair], normalizer=get_normalizer("english")).words
    assert words.errors <= words.reference_length / 20


@pytest.mark.parametrize("parameters", [None, {"threshold": 0.7, "max_speech_duration_s": 3}, "options"])
def test_the_filter_of_batches_is_reported_as_upstream_does(mine: Any, theirs: Any, long: np.ndarray, parameters: Any):
    """The parameters of the filter, and the seconds of speech that it finds, are upstream's."""
    ours, upstreams = (
        package.VadOptions(min_silence_duration_ms=900) if parameters == "options" else copy.copy(parameters)
        for package in (shim, upstream.vad)
    )
    _, info = shim.BatchedInferencePipeline(mine).transcribe(long, "en", vad_parameters=ours)
    _, expected = upstream.BatchedInferencePipeline(theirs).transcribe(long, "en", vad_parameters=upstreams)
    assert to_dict(info.vad_options) == to_dict(expected.vad_options)
    assert info.duration_after_vad == expected.duration_after_vad < info.duration


def test_batches_refuse_unsupported_options(mine: Any, short: np.ndarray):
    """The message names upstream's pipeline; options that upstream ignores are ignored, too."""
    pipeline = shim.BatchedInferencePipeline(mine)
    with pytest.raises(asrlab.OptionError, match=r"patience; use faster_whisper.BatchedInferencePipeline"):
        pipeline.transcribe(short, patience=2.0)
    segments, _ = pipeline.transcribe(short, log_prob_threshold=-3.0, vad_filter=False, language="en")
    assert "Dashwood" in next(segments).text


def test_decoded_samples_are_upstreams(clips: tuple[Path, ...]):
    """A file at 16 kHz gives upstream's samples; another rate is refused."""
    with asrlab.patches.patched("faster-whisper"):
        np.testing.assert_array_equal(shim.decode_audio(str(clips[1])), upstream.decode_audio(str(clips[1])))
    with pytest.raises(asrlab.OptionError, match=r"sampling_rate=8000; use faster_whisper.decode_audio"):
        shim.decode_audio(str(clips[1]), sampling_rate=8000)
    with pytest.raises(asrlab.OptionError, match="split_stereo=True"):
        shim.decode_audio(str(clips[1]), split_stereo=True)


def test_timestamps_are_upstreams():
    """Times from 0 to a day are written as upstream writes them."""
    for seconds in (0.0, 0.0005, 59.9996, 61.25, 3600.0, 86399.5):
        for hours in (False, True):
            assert shim.format_timestamp(seconds, hours, ",") == upstream.format_timestamp(seconds, hours, ",")
    with pytest.raises(asrlab.OptionError, match="before the start"):
        shim.format_timestamp(-1.0)


def test_models_have_upstreams_names(folder: str):
    """All model names of upstream are available, and ``download_model`` returns a folder."""
    assert set(upstream.available_models()) <= set(shim.available_models())
    assert shim.download_model("base", local_files_only=True) == folder
    with pytest.raises(asrlab.OptionError, match="set ASRLAB_CACHE"):
        shim.download_model("base", cache_dir="here")


class Spy(asrlab.plugin.Recognizer):
    """A recognizer that counts the segments that were requested."""

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


def test_segments_are_decoded_lazily(short: np.ndarray):
    """A segment is decoded only when the caller requests it."""
    spy = Spy()
    segments, info = shim.WhisperModel(asrlab.Transcriber(spy)).transcribe(short)
    assert spy.given == 0
    assert next(segments).text == " number 0"
    segments.close()
    assert spy.given == 1
    assert info.language is None
    assert math.isnan(info.language_probability)


def test_records_of_any_engine_are_filled(short: np.ndarray):
    """Fields that an engine does not report are None; unsupported options are refused with upstream's call."""
    with shim.WhisperModel("echo/echo") as model:
        segments, info = model.transcribe(short, "en", word_timestamps=True)
        first = next(segments)
        assert (first.id, first.start, first.tokens, first.avg_logprob) == (1, 0.0, [], None)
        assert [word.word for word in first.words] == [first.text]
        assert (info.language, info.language_probability, info.all_language_probs) == ("en", 1.0, None)
        for given in ({"patience": 2.0}, {"beam_size": 2}, {"hotwords": "a"}, {"task": "translate"}):
            name = next(iter(given))
            with pytest.raises(asrlab.OptionError, match=rf"use faster_whisper.*\(audio, {name}=...\)") as caught:
                model.transcribe(short, **given)
            assert caught.value.option == name
        with pytest.raises(AttributeError, match=r"upstream's faster_whisper.WhisperModel\(...\).hf_tokenizer"):
            _ = model.hf_tokenizer


def test_a_prompt_of_tokens_is_refused(mine: Any, short: np.ndarray):
    """A prompt of token ids is refused, because engines take text."""
    with pytest.raises(asrlab.OptionError, match="initial_prompt as token ids"):
        mine.transcribe(short, initial_prompt=[1, 2])


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"files": {"config.json": b""}}, "asrlab has no files"),
        ({"revision": "main"}, "asrlab has no revision"),
        ({"device_index": [0, 1]}, "asrlab has no device_index"),
        ({"tensor_parallel": True}, "asrlab has no tensor_parallel"),
    ],
)
def test_unsupported_load_arguments_are_refused(given: dict[str, Any], message: str):
    """Arguments that asrlab cannot honour are refused before the model is loaded."""
    with pytest.raises(asrlab.OptionError, match=message):
        shim.WhisperModel("base", **given)


def test_defaults_and_advice_at_loading_are_accepted(tmp_path: Path):
    """Upstream's defaults are accepted, advice that asrlab does not need is ignored with a warning each."""
    given = {"device_index": [0], "num_workers": 1, "revision": None, "files": None, "use_auth_token": None}
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        shim.WhisperModel("tiny.en", **LOADED, **given, flash_attention=False).close()
    with pytest.warns(UserWarning, match="ignored") as caught:
        shim.WhisperModel("tiny.en", **LOADED, num_workers=2, flash_attention=True, use_auth_token="a").close()  # noqa: S106 - no token
    assert [str(item.message).partition(" ")[0] for item in caught] == [
        "num_workers",
        "use_auth_token",
        "flash_attention",
    ]
    assert caught[0].filename == __file__
    shim.WhisperModel("tiny.en", **LOADED, download_root=str(tmp_path)).close()
    assert any(tmp_path.rglob("model.bin"))


def test_what_upstream_ignores_is_ignored(mine: Any, theirs: Any, short: np.ndarray):
    """An argument without effect upstream gives upstream's segments; a warning says so, unless it is empty."""
    for given in (
        {"vad_parameters": {}},
        {"vad_parameters": shim.VadOptions()},
        {"vad_filter": True, "vad_parameters": {}},
    ):
        with warnings.catch_warnings():
            warnings.simplefilter("error", UserWarning)
            ours = mine.transcribe(short, **given)
        assert_same(ours, theirs.transcribe(short, **given))
    given = {"vad_parameters": {"threshold": 0.9}, "append_punctuations": "."}
    with pytest.warns(UserWarning, match="it requires vad_filter=True"):
        assert_same(mine.transcribe(short, **given), theirs.transcribe(short, **given))


@pytest.mark.parametrize("name", ["echo/echo", "openai-whisper/tiny.en"])
def test_advice_to_another_engine_is_ignored(short: np.ndarray, name: str):
    """A compute type and a filter that the engine lacks are ignored with warnings, and no filter is reported."""
    if name != "echo/echo":
        pytest.importorskip("whisper", reason="openai-whisper is not installed")
    with pytest.warns(UserWarning, match="compute_type='int8' is ignored"):
        model = shim.WhisperModel(name, device="cpu", compute_type="int8")
    with model:
        with pytest.warns(UserWarning, match="vad_filter is ignored"):
            segments, info = model.transcribe(short, vad_filter=True, vad_parameters={"threshold": 0.4})
        assert len(list(segments)) > 0
        assert (info.vad_options, info.duration_after_vad) == (None, info.duration)


def test_model_names_are_resolved(folder: str):
    """A size, an alias, a hub name, a folder and any engine's model are resolved; any other name is refused."""
    from asrlab.compat.faster_whisper.utils import resolve_model_name

    assert resolve_model_name("base") == "faster-whisper/base"
    assert resolve_model_name("turbo") == "faster-whisper/large-v3-turbo"
    assert resolve_model_name("Systran/faster-whisper-tiny.en") == "faster-whisper/tiny.en"
    assert resolve_model_name("openai-whisper/base") == "openai-whisper/base"
    assert resolve_model_name(folder) == f"faster-whisper/{folder}"
    with pytest.raises(asrlab.EngineNotFoundError, match=r"faster_whisper.WhisperModel\('username/whisper'\)"):
        resolve_model_name("username/whisper")


def test_an_english_model_replaces_another_language(short: np.ndarray, use_weights: Path):
    """An English model replaces another language by English, with a warning, as upstream does."""
    with shim.WhisperModel("tiny.en", **LOADED) as model:
        with pytest.warns(UserWarning, match="language='de' is ignored: the model knows only English"):
            _, info = model.transcribe(short, language="de")
        assert info.language == "en"
        segments, info = model.transcribe(short)
        assert info.language_probability == 1.0
        assert "young man" not in next(segments).text
