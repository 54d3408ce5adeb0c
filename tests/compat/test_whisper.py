"""The drop-in replacement of openai-whisper over engines other than openai-whisper."""

from __future__ import annotations

import json
import math
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import asrlab
import asrlab.compat.whisper as whisper
from asrlab import AudioError, OptionError
from asrlab.compat import segment_dict
from asrlab.installation import install_command
from asrlab.transcript import Segment, Word

KEYS = [
    *("id", "seek", "start", "end", "text", "tokens"),
    *("temperature", "avg_logprob", "compression_ratio", "no_speech_prob"),
]


@pytest.fixture
def echo() -> whisper.Model:
    """Return a model that recognizes a word in each second."""
    return whisper.load_model("echo/echo")


def test_the_import_loads_no_engine():
    """openai-whisper, torch and other engines are imported only when a model needs them."""
    code = "import sys, asrlab.compat.whisper; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not {"whisper", "torch", "tiktoken", "faster_whisper", "ctranslate2"} & set(done.stdout.split())


WITHOUT_WHISPER = """
import sys
sys.modules["whisper"] = sys.modules["torch"] = None
import asrlab, asrlab.compat.whisper as whisper
model = whisper.load_model("echo/echo")
clip = sys.argv[1]
print(model.transcribe(clip)["text"])
mel = whisper.log_mel_spectrogram(whisper.pad_or_trim(whisper.load_audio(clip))).to(model.device)
print(len(whisper.decode(model, mel).text.split()))
try:
    mel.mean()
except asrlab.EngineUnavailableError as error:
    print(error)
"""


def test_another_engine_works_without_openai_whisper(clips: tuple[Path, ...]):
    """Without openai-whisper and torch, everything works except the numbers of a spectrogram."""
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT_WHISPER, str(clips[1])], capture_output=True, text=True, check=True
    )
    text, words, error = done.stdout.splitlines()
    assert (text, words) == (" loud loud loud", "30")
    assert install_command("asrlab[openai-whisper]") in error


def test_a_result_has_upstreams_keys_and_is_json(echo: whisper.Model, clips: tuple[Path, ...]):
    """Texts and words begin with a space, as upstream's do; values that the engine does not report are None."""
    result = echo.transcribe(str(clips[1]), word_timestamps=True)
    assert list(result) == ["text", "segments", "language"]
    assert result["text"] == " loud loud loud"
    assert [list(segment) for segment in result["segments"]] == [[*KEYS, "words"]] * 3
    assert [segment["id"] for segment in result["segments"]] == [0, 1, 2]
    assert result["segments"][0]["words"] == [{"word": " loud", "start": 0.0, "end": 1.0, "probability": 1.0}]
    assert result["segments"][0]["avg_logprob"] is None
    assert json.loads(json.dumps(result)) == result


def test_a_result_has_the_transcript(echo: whisper.Model, clips: tuple[Path, ...]):
    """The transcript, with the facts that upstream's dictionary lacks, is an attribute."""
    transcript = echo.transcribe(clips[1]).transcript
    assert transcript.model.name == "echo/echo"
    assert transcript.device.resolved == "cpu"
    assert transcript.duration == pytest.approx(2.99)


def test_words_keep_the_spaces_between_them():
    """The joined words of a segment are its text, in languages with and without spaces."""
    timed = [Word(text=text, start=0.0, end=1.0) for text in ("ill-", "disposed", "man.")]
    spaced = segment_dict(0, Segment(text="ill-disposed  man.", start=0.0, end=1.0, words=tuple(timed)), "en")
    assert [word["word"] for word in spaced["words"]] == [" ill-", "disposed", "  man."]
    timed = [Word(text=text, start=0.0, end=1.0) for text in ("今日", "は")]
    close = segment_dict(0, Segment(text="今日は", start=0.0, end=1.0, words=tuple(timed)), "ja")
    assert (close["text"], [word["word"] for word in close["words"]]) == ("今日は", ["今日", "は"])


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("clip_timestamps", "0,1"),
        ("condition_on_previous_text", False),
        ("carry_initial_prompt", True),
        ("beam_size", 3),
        ("initial_prompt", "Jane"),
        ("task", "translate"),
    ],
)
def test_an_unsupported_option_names_upstreams_call(
    echo: whisper.Model, clips: tuple[Path, ...], name: str, value: object
):
    """An option that the engine cannot honour is refused with upstream's call."""
    with pytest.raises(OptionError, match=r"whisper\.load_model\('base'\)\.transcribe\(audio, " + name) as caught:
        echo.transcribe(clips[1], **{name: value})
    assert caught.value.option == name


def test_upstreams_defaults_are_accepted(echo: whisper.Model, clips: tuple[Path, ...]):
    """A program that passes upstream's defaults runs over any engine."""
    from asrlab.compat.whisper.decoding import DEFAULTS

    given = {
        **DEFAULTS,
        "clip_timestamps": [0.0],
        "suppress_tokens": [-1],
        "temperature": list(DEFAULTS["temperature"]),
    }
    assert echo.transcribe(clips[1], **given)["text"] == " loud loud loud"


def test_a_mistyped_argument_is_refused_with_a_hint(echo: whisper.Model, clips: tuple[Path, ...]):
    """A mistyped argument is refused with a suggestion."""
    with pytest.raises(OptionError, match="did you mean 'word_timestamps'"):
        echo.transcribe(clips[1], word_timestamp=True)


@pytest.mark.parametrize(
    "given", [{"prompt": "Jane"}, {"append_punctuations": "."}, {"hallucination_silence_threshold": 2.0}]
)
def test_what_upstream_ignores_is_ignored(echo: whisper.Model, clips: tuple[Path, ...], given: dict[str, Any]):
    """An argument that has no effect upstream has none, and a warning at the caller's line says so."""
    with pytest.warns(UserWarning, match=f"{next(iter(given))} is ignored: ") as caught:
        assert echo.transcribe(clips[1], **given)["text"] == " loud loud loud"
    assert caught[0].filename == __file__


@pytest.mark.usefixtures("use_weights")
def test_advice_to_another_engine_is_ignored(clips: tuple[Path, ...]):
    """A model in int8 is told of fp16=False, an English model of another language, and each transcribes."""
    pytest.importorskip("faster_whisper", reason="faster-whisper is not installed")
    with whisper.load_model("faster-whisper/tiny.en", device="cpu") as model:
        with pytest.warns(UserWarning, match="fp16=False is ignored") as caught:
            result = model.transcribe(clips[1], fp16=False, language="de")
        assert any("language='de' is ignored: the model knows only English" in str(item.message) for item in caught)
    assert "young man" in result["text"]
    assert result["language"] == "de"  # as upstream


def test_verbose_selects_the_output(echo: whisper.Model, clips: tuple[Path, ...], capsys: pytest.CaptureFixture[str]):
    """True prints on standard output, False shows a bar on standard error, None prints nothing."""
    echo.transcribe(clips[1], verbose=True, language="en")
    assert capsys.readouterr().out.splitlines()[0] == "[00:00.000 --> 00:01.000]  loud"
    echo.transcribe(clips[1], verbose=False)
    output = capsys.readouterr()
    assert (output.out, "transcribing" in output.err) == ("Detected language: English\n", True)
    echo.transcribe(clips[1])
    assert capsys.readouterr() == ("", "")


def test_arrays_and_tensors_are_samples_at_16_khz(echo: whisper.Model):
    """Arrays and tensors are samples at 16 kHz, as for upstream; samples that are not finite are refused."""
    torch = pytest.importorskip("torch", reason="torch is not installed")
    samples = np.full(16_000, 0.5, np.float32)
    assert echo.transcribe(samples)["text"] == echo.transcribe(torch.from_numpy(samples))["text"] == " loud"
    samples[3] = np.nan
    with pytest.raises(AudioError, match="sample of nan"):
        echo.transcribe(samples)


def test_a_spectrogram_is_decoded_by_any_engine(echo: whisper.Model, clips: tuple[Path, ...]):
    """Any engine decodes a `Spectrogram`, which has samples; an array of numbers is refused."""
    mel = whisper.log_mel_spectrogram(whisper.pad_or_trim(whisper.load_audio(str(clips[1]))), n_mels=echo.dims.n_mels)
    assert mel.to(echo.device).shape == (80, 3000)
    token, probabilities = echo.detect_language(mel)
    assert token is None
    assert max(probabilities, key=probabilities.get) == "en"
    assert math.isnan(probabilities["en"])
    result = whisper.decode(echo, whisper.pad_or_trim(mel, 200), whisper.DecodingOptions(language="English"))
    assert (result.text, result.language, result.tokens) == ("loud loud", "en", [])
    with pytest.raises(OptionError, match="log_mel_spectrogram"):
        echo.decode(np.zeros((80, 3000)))


def test_a_model_can_wrap_a_loaded_transcriber(clips: tuple[Path, ...]):
    """``Model(transcriber)`` uses the transcriber, and closes it when it is closed."""
    transcriber = asrlab.load("echo/echo")
    with whisper.load_model(transcriber) as model:
        assert whisper.transcribe(model, clips[1]) == whisper.Model(transcriber).transcribe(clips[1])
    assert transcriber.closed
    with pytest.raises(asrlab.AsrlabError, match="closed"):
        model.transcribe(clips[1])


def test_an_unknown_model_is_refused_with_a_hint():
    """An unknown model is refused as by ``asrlab.load``."""
    with pytest.raises(asrlab.EngineNotFoundError):
        whisper.load_model("bsae")
    with pytest.raises(asrlab.EngineNotFoundError, match="faster-whisper/base"):
        whisper.load_model("faster-whisper/bsae")


@pytest.mark.usefixtures("use_weights")
def test_faster_whisper_reports_scores_and_words(clips: tuple[Path, ...]):
    """Scores, tokens and words are those of faster-whisper."""
    pytest.importorskip("faster_whisper", reason="faster-whisper is not installed")
    with whisper.load_model("faster-whisper/tiny.en", device="cpu") as model:
        result = model.transcribe(clips[1], word_timestamps=True, beam_size=1)
    segment = result["segments"][0]
    assert "young man" in result["text"]
    assert result["text"].startswith(" ")
    assert "".join(word["word"] for word in segment["words"]) == segment["text"]
    assert all(isinstance(segment[name], float) for name in ("avg_logprob", "compression_ratio", "no_speech_prob"))
    assert segment["tokens"]
    assert (model.device, model.device.type, model.is_multilingual) == ("cpu", "cpu", False)


@pytest.mark.usefixtures("use_weights")
def test_download_root_is_the_folder_of_the_weights(tmp_path: Path):
    """Weights are downloaded into ``download_root``, and upstream's checkpoint in it is checked."""
    pytest.importorskip("whisper", reason="openai-whisper is not installed")
    with whisper.load_model("tiny.en", device="cpu", download_root=tmp_path) as model:
        assert model.dims.n_audio_state == 384
        assert model.num_languages == 99
    assert any(tmp_path.rglob("model.bin"))
    (tmp_path / "tiny.en.pt").write_bytes(b"cut short")
    with pytest.raises(asrlab.WeightsError, match=r"tiny\.en\.pt"):
        whisper.load_model("tiny.en", device="cpu", download_root=tmp_path)


@pytest.mark.usefixtures("use_weights")
def test_errors_over_openai_whisper_name_a_solution(clips: tuple[Path, ...]):
    """Clips end with the audio, and conflicts are refused."""
    pytest.importorskip("whisper", reason="openai-whisper is not installed")
    with whisper.load_model("tiny.en") as model:
        result = model.transcribe(clips[1], clip_timestamps=[0, 90])
        assert "young man" in result["text"]
        assert "young man" in result.transcript.text
        mel = whisper.log_mel_spectrogram(str(clips[1]))
        with pytest.raises(OptionError, match="knows one language"):
            model.detect_language(mel)
        with pytest.raises(OptionError, match="patience requires beam_size"):
            model.decode(whisper.pad_or_trim(mel, 3000), patience=2.0)
    with pytest.raises(asrlab.AsrlabError, match="closed"):
        model.transcribe(clips[1])


def test_attributes_of_one_engine_are_an_error_over_another(echo: whisper.Model):
    """The error for an attribute that only openai-whisper's model has names upstream's."""
    for name in ("encoder", "to", "parameters", "register_forward_hook"):
        with pytest.raises(AttributeError, match=rf"whisper\.load_model\('base'\)\.{name}"):
            getattr(echo, name)


@pytest.mark.usefixtures("use_weights")
def test_the_model_is_a_module_over_openai_whisper(clips: tuple[Path, ...]):
    """Parameters, hooks and moves are those of the model that decodes, and a hook may read the model."""
    pytest.importorskip("whisper", reason="openai-whisper is not installed")
    import torch

    with whisper.load_model("tiny.en", device="cpu") as model:
        assert model.to("cpu").eval() is model
        assert sum(parameter.numel() for parameter in model.parameters()) > 37_000_000
        assert dict(model.named_parameters())["decoder.ln.weight"] is next(model.decoder.ln.parameters())
        seen = []
        hook = model.decoder.blocks[-1].cross_attn.register_forward_hook(
            lambda *_: seen.append((model.dims.n_text_layer, model.device, model.training))
        )
        text = model.transcribe(clips[1])["text"]
        hook.remove()
        assert text == " He was not an old-sposed young man."
        assert set(seen) == {(4, torch.device("cpu"), False)}
        mel = torch.from_numpy(np.array(whisper.pad_or_trim(whisper.log_mel_spectrogram(str(clips[1])), 3000)))
        features = model.encoder(mel[None])
        tokens = torch.tensor([[50257, 50362]])
        assert torch.equal(model(mel[None], tokens), model.decoder(tokens, features))
        assert model.decode(mel, whisper.DecodingOptions(language="en", fp16=False)).text == text.strip()
        model.half().float()
        assert next(model.parameters()).dtype == torch.float32
        assert vars(model.dims)["n_mels"] == 80
