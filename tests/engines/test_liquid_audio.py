"""The liquid-audio engine, compared with liquid-audio called directly, with a tiny checkpoint of random weights."""

from __future__ import annotations

import json
import shutil
import threading
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import asrlab
from asrlab import AudioError, OptionError, Transcriber, WeightsError

liquid_audio = pytest.importorskip("liquid_audio", reason="liquid-audio is not installed")
torch = pytest.importorskip("torch", reason="torch is not installed")

from asrlab.engines.liquid_audio.recognizer import LiquidAudioRecognizer, create_chat, transcribe_chunk  # noqa: E402

WriteCheckpoint = Callable[..., Path]
TEXT = "speak_now"


def load(folder: Path, **given: Any) -> Transcriber:
    """Load a checkpoint on the CPU."""
    return asrlab.load(f"liquid-audio/{folder}", device="cpu", **given)


@pytest.fixture(scope="module")
def fixed_text(tiny_lfm2_audio: WriteCheckpoint) -> Iterator[Transcriber]:
    """Load a model that recognizes the same text in any audio."""
    with load(tiny_lfm2_audio(TEXT)) as transcriber:
        yield transcriber


@pytest.fixture(scope="module")
def endless(tiny_lfm2_audio: WriteCheckpoint) -> Iterator[Transcriber]:
    """Load a model that repeats its last character up to the limit of tokens."""
    with load(tiny_lfm2_audio(TEXT, ends=False)) as transcriber:
        yield transcriber


def generate_as_documented(transcriber: Any, samples: np.ndarray) -> list[int]:
    """Return the tokens that the code of liquid-audio's README generates with the same loaded model."""
    chat = liquid_audio.ChatState(transcriber.recognizer.processor, dtype=torch.float32)
    chat.new_turn("system")
    chat.add_text("Perform ASR.")
    chat.end_turn()
    chat.new_turn("user")
    chat.add_audio(torch.from_numpy(samples).unsqueeze(0), 16_000)
    chat.end_turn()
    chat.new_turn("assistant")
    generated = transcriber.recognizer.model.generate_sequential(**chat, max_new_tokens=512)
    return [token.item() for token in generated if token.numel() == 1]


def test_a_clip_is_transcribed(fixed_text: Transcriber, speech: dict[str, asrlab.evaluation.Utterance]) -> None:
    """The transcript has the text, a segment within the audio, and a mark that the weights are random."""
    transcript = fixed_text.transcribe(speech["0870"].audio)
    assert transcript.text == TEXT
    (segment,) = transcript.segments
    assert 0 <= segment.start < segment.end <= transcript.duration
    assert segment.tokens is not None
    assert 7 not in segment.tokens
    assert (transcript.device.resolved, transcript.compute_type) == ("cpu", "float32")
    assert transcript.model.weights_random
    assert transcript.version_of("liquid-audio")
    assert transcript.warnings == ()
    assert asrlab.Transcript.from_json(transcript.to("json")) == transcript


def test_the_patches_are_in_the_transcript(
    fixed_text: Transcriber, speech: dict[str, asrlab.evaluation.Utterance]
) -> None:
    """The transcript lists the patches of liquid-audio, with their status, reason and link."""
    transcript = fixed_text.transcribe(speech["0880"].audio)
    statuses = {patch.name: patch.status for patch in transcript.patches}
    assert statuses["liquid-audio-detokenizer-device"] == "applied"
    assert statuses["liquid-audio-default-device"] == "skipped"
    assert transcript.patches == fixed_text.patch_report
    assert all(patch.link.startswith("https://") and patch.reason for patch in transcript.patches)


@pytest.mark.parametrize("seed", [1, 2])
def test_tokens_are_those_of_upstreams_readme(
    tiny_lfm2_audio: WriteCheckpoint, speech: dict[str, asrlab.evaluation.Utterance], seed: int
) -> None:
    """The tokens are those of upstream's README, with weights that depend on the audio and generate no end."""
    samples = asrlab.load_audio(speech["0880"].audio).samples
    with load(tiny_lfm2_audio("", seed=seed)) as transcriber:
        assert isinstance(transcriber.recognizer, LiquidAudioRecognizer)
        expected = generate_as_documented(transcriber, samples)
        result = transcribe_chunk(transcriber.recognizer.processor, transcriber.recognizer.model, samples)
    assert len(expected) == 512
    assert (list(result.tokens or ()), result.ended) == (expected, False)


def test_the_model_is_prompted_as_documented(fixed_text: Transcriber) -> None:
    """The turns are those of upstream's README, word for word; the tiny weights ignore the prompt."""
    assert isinstance(fixed_text.recognizer, LiquidAudioRecognizer)
    chat = create_chat(fixed_text.recognizer.processor, fixed_text.recognizer.model, np.ones(16_000, np.float32) / 10)
    turns = ("system\nPerform ASR.<|im_end|>\n", "user\n<|im_end|>\n", "assistant\n")
    expected = "<|startoftext|>" + "".join(f"<|im_start|>{turn}" for turn in turns)
    assert fixed_text.recognizer.processor.text.decode(chat.text[0]) == expected
    # the second of audio is between the line break of the user's turn and its end
    flags = chat.modality_flag[0].tolist()
    audio = [index for index, flag in enumerate(flags) if flag == liquid_audio.LFMModality.AUDIO_IN]
    prefix = fixed_text.recognizer.processor.text.decode(chat.text[0][: audio[0]])
    assert audio == list(range(audio[0], audio[-1] + 1))
    assert prefix.endswith("<|im_start|>user\n")


def test_segment_tokens_are_upstreams_without_the_end(
    fixed_text: Transcriber, speech: dict[str, asrlab.evaluation.Utterance]
) -> None:
    """The tokens of a segment are upstream's without the token that ends the text."""
    samples = asrlab.load_audio(speech["0890"].audio).samples
    (segment,) = fixed_text.transcribe(samples, sample_rate=16_000).segments
    assert [*(segment.tokens or ()), 7] == generate_as_documented(fixed_text, samples)


def test_bfloat16_is_used_and_reported(
    tiny_lfm2_audio: WriteCheckpoint, speech: dict[str, asrlab.evaluation.Utterance]
) -> None:
    """The requested number format is that of the weights in memory and of the transcript."""
    with load(tiny_lfm2_audio(TEXT), compute_type="bfloat16") as transcriber:
        assert {weight.dtype for weight in transcriber.recognizer.model.parameters()} == {torch.bfloat16}
        transcript = transcriber.transcribe(speech["0930"].audio)
    assert (transcript.text, transcript.compute_type) == (TEXT, "bfloat16")


def test_long_audio_is_cut_at_silence(fixed_text: Transcriber, long_speech: np.ndarray) -> None:
    """70 s of audio are one segment per chunk, in order, none longer than 30 s, each with the text once."""
    samples = np.concatenate([long_speech, long_speech])
    transcript = fixed_text.transcribe(samples, sample_rate=16_000)
    assert len(transcript.segments) >= 3
    assert transcript.text == " ".join([TEXT] * len(transcript.segments))
    times = [(segment.start, segment.end) for segment in transcript.segments]
    assert all(0 < end - start <= 30 for start, end in times)
    assert all(before[1] <= after[0] for before, after in pairwise(times))
    assert times[-1][1] <= transcript.duration


def test_segments_are_decoded_chunk_by_chunk(fixed_text: Transcriber, long_speech: np.ndarray) -> None:
    """The first segment is available before the rest is transcribed."""
    with fixed_text.stream(np.concatenate([long_speech] * 3), sample_rate=16_000) as stream:
        first = next(stream)
        assert first.text == TEXT
        with pytest.raises(asrlab.AsrlabError, match="not been read to its end"):
            _ = stream.transcript


def test_a_truncated_chunk_is_retried_in_halves(
    endless: Transcriber, speech: dict[str, asrlab.evaluation.Utterance]
) -> None:
    """A chunk with 512 tokens and no end is split in two and keeps its text; warnings report truncation and loops."""
    transcript = endless.transcribe(speech["0870"].audio)
    codes = [warning.code for warning in transcript.warnings]
    assert codes.count("output-truncated") == 3
    assert codes.count("repetition") == 2
    first, second = transcript.segments
    assert first.end <= second.start
    assert [len(segment.tokens or ()) for segment in transcript.segments] == [512, 512]


def test_under_90_ms_is_refused(fixed_text: Transcriber, speech: dict[str, asrlab.evaluation.Utterance]) -> None:
    """The encoder needs nine frames: 89 ms are refused with the minimum, and 90 ms are transcribed."""
    samples = asrlab.load_audio(speech["0870"].audio).samples[16_000:]
    with pytest.raises(AudioError, match=r"0\.09 s") as caught:
        fixed_text.transcribe(samples[: 16 * 89], sample_rate=16_000)
    assert caught.value.reason == "too-short"
    assert fixed_text.transcribe(samples[: 16 * 90], sample_rate=16_000).text == TEXT


def test_silence_gives_no_text(fixed_text: Transcriber) -> None:
    """The model, which would invent a text, does not receive forty seconds of digital silence."""
    transcript = fixed_text.transcribe(np.zeros(16_000 * 40, np.float32), sample_rate=16_000)
    assert transcript.segments == ()
    assert {warning.code for warning in transcript.warnings} == {"silent", "no-voice"}


def test_speech_is_decoded_on_the_device(fixed_text: Any) -> None:
    """The speech decoder runs on the model's device, which upstream supports only on CUDA."""
    codes = torch.arange(8 * 6).reshape(1, 8, 6)
    waveform = fixed_text.recognizer.processor.decode(codes)
    assert waveform.shape == (1, 6 * 6 * 320)
    assert waveform.device.type == "cpu"
    assert bool(waveform.isfinite().all())
    assert waveform.std() > 0


def test_concurrent_calls_equal_a_single_call(
    fixed_text: Transcriber, speech: dict[str, asrlab.evaluation.Utterance]
) -> None:
    """Concurrent calls from four threads return the segments of a single call."""
    results: list[asrlab.Transcript] = []

    def work() -> None:
        results.append(fixed_text.transcribe(speech["0930"].audio))

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    alone = fixed_text.transcribe(speech["0930"].audio)
    assert [result.segments for result in results] == [alone.segments] * 4


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"word_timestamps": True}, "word_timestamps"),
        ({"beam_size": 5}, "beam_size"),
        ({"task": "translate"}, "translate"),
    ],
)
def test_unsupported_options_are_refused(fixed_text: Transcriber, given: dict[str, Any], message: str) -> None:
    """Word times, beams and translation, which upstream lacks, are refused by name."""
    with pytest.raises(OptionError, match=message):
        fixed_text.transcribe(np.ones(16_000, np.float32) / 10, sample_rate=16_000, **given)


def test_other_numbers_of_threads_are_refused(tiny_lfm2_audio: WriteCheckpoint) -> None:
    """Another number of threads than PyTorch's, which is the same for the whole process, is refused."""
    with pytest.raises(OptionError, match="OMP_NUM_THREADS"):
        load(tiny_lfm2_audio(TEXT), threads=torch.get_num_threads() + 1)


def test_an_unknown_number_format_is_refused(tiny_lfm2_audio: WriteCheckpoint) -> None:
    """The error for an unknown number format lists the supported formats."""
    with pytest.raises(OptionError, match="float32, bfloat16"):
        load(tiny_lfm2_audio(TEXT), compute_type="int8")


def speech_decoder_getter() -> Any:
    """Return the current getter of ``LFM2AudioProcessor.audio_detokenizer``; upstream's getter uses cuda."""
    return vars(liquid_audio.LFM2AudioProcessor)["audio_detokenizer"].fget


def test_closing_releases_the_model(tiny_lfm2_audio: WriteCheckpoint, fixed_text: Transcriber) -> None:
    """A closed transcriber has no processor, and its patches stay applied for the other open transcriber."""
    transcriber: Any = load(tiny_lfm2_audio(TEXT))
    transcriber.close()
    with pytest.raises(asrlab.AsrlabError, match="closed"):
        _ = transcriber.recognizer.processor
    assert "cuda" not in speech_decoder_getter().__code__.co_names


def break_checkpoint(folder: Path, tmp_path: Path, fault: str) -> Path:
    """Copy a checkpoint, break the copy in one way, and return its folder."""
    from safetensors.torch import load_file, save_file

    copy = tmp_path / "broken"
    shutil.copytree(folder, copy)
    weights, config = copy / "model.safetensors", copy / "config.json"
    match fault:
        case "lacks a tensor":
            tensors = load_file(weights)
            del tensors["depth_linear.weight"]
            save_file(tensors, weights)
        case "cut short":
            weights.write_bytes(weights.read_bytes()[:100_000])
        case "another model":
            config.write_text(json.dumps({"model_type": "whisper"}))
        case "not JSON":
            config.write_text("{")
        case "a pickle":
            (copy / "pytorch_model.bin").write_bytes(b"\x80\x04.")
    return copy


@pytest.mark.parametrize(
    ("fault", "message"),
    [
        ("lacks a tensor", "lacks 1 tensors, such as depth_linear.weight"),
        ("cut short", r"model\.safetensors is not a safetensors file, or is damaged: its tensors are"),
        ("another model", "cannot be loaded as liquid-audio/"),
        ("not JSON", r"config\.json is not JSON"),
        ("a pickle", "pytorch_model.bin"),
    ],
)
def test_broken_checkpoints_are_refused(
    tiny_lfm2_audio: WriteCheckpoint, tmp_path: Path, fault: str, message: str
) -> None:
    """Missing tensors, which upstream fills at random, and a pickle, which upstream prefers, are refused."""
    with pytest.raises(WeightsError, match=message):
        load(break_checkpoint(tiny_lfm2_audio(TEXT), tmp_path, fault))


@pytest.mark.parametrize("name", ["lfm2_5_audio", "liquid-audio/lfm2.5-audio-1.5b"])
def test_missing_weights_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """The error for missing weights names the repository, revision, size and the command that downloads them."""
    monkeypatch.setenv("ASRLAB_CACHE", str(tmp_path))
    with pytest.raises(WeightsError) as caught:
        asrlab.load(name, device="cpu", offline=True)
    for part in ("LiquidAI/LFM2.5-Audio-1.5B", "c362a0625dfe", "GB", "asrlab pull liquid-audio/lfm2.5-audio-1.5b"):
        assert part in str(caught.value)


@pytest.mark.slow
def test_the_table_of_bench_marks_random_weights(tiny_lfm2_audio: WriteCheckpoint, asrlab_cli: Any) -> None:
    """``asrlab bench`` runs the model, and its table lists the patches and marks random weights."""
    model = f"liquid-audio/{tiny_lfm2_audio(TEXT)}"
    run = asrlab_cli("bench", "smoke", "-m", model, "--device", "cpu", "--verbose")
    assert run.code == 0, run.err
    assert "random weights" in run.out
    assert "liquid-audio-detokenizer-device applied" in run.out
    assert "100.00 % (70/70)" in run.out


def test_bench_without_weights_names_the_pull_command(asrlab_cli: Any, tmp_path: Path) -> None:
    """``asrlab bench smoke -m lfm2_5_audio`` without weights fails and names the command that downloads them."""
    run = asrlab_cli("bench", "smoke", "-m", "lfm2_5_audio", ASRLAB_CACHE=str(tmp_path))
    assert run.code == 4
    assert "asrlab pull liquid-audio/lfm2.5-audio-1.5b" in run.err


@pytest.mark.parametrize(
    ("section", "name", "value", "reason"),
    [
        ("lfm", "hidden_size", 10**6, "hidden_size is 1000000; the widest tensor beside it has"),
        ("depthformer", "dim", 10**6, "dim is 1000000; the widest tensor beside it has"),
        ("encoder", "pos_emb_max_len", 10**9, "its encoder.pos_emb_max_len is 1000000000, not between 1 and 100000"),
        ("preprocessor", "n_fft", 10**9, "its preprocessor.n_fft is 1000000000"),
        ("preprocessor", "sample_rate", 8000, "its preprocessor.sample_rate is 8000, not 16000"),
        ("lfm", "num_attention_heads", 0, "cannot be loaded as liquid-audio"),
        ("lfm", "norm_eps", float("nan"), "its lfm.norm_eps is not finite"),
    ],
)
def test_a_configuration_larger_than_the_weights_is_refused(
    tiny_lfm2_audio: WriteCheckpoint, tmp_path: Path, section: str, name: str, value: object, reason: str
):
    """A configuration with larger sizes than the stored tensors is refused before memory is allocated."""
    folder = shutil.copytree(tiny_lfm2_audio(TEXT), tmp_path / "hostile")
    config = json.loads((folder / "config.json").read_text("utf-8"))
    config[section][name] = value
    (folder / "config.json").write_text(json.dumps(config), encoding="utf-8")
    with pytest.raises(WeightsError, match=reason):
        load(folder)
