"""LFM2.5-Audio through asrlab, against liquid-audio itself, with a tiny checkpoint of random weights."""

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

Maker = Callable[..., Path]
SAYS = "speak_now"


def load(folder: Path, **given: Any) -> Transcriber:
    """Load a checkpoint on the CPU."""
    return asrlab.load(f"liquid-audio/{folder}", device="cpu", **given)


@pytest.fixture(scope="module")
def saying(tiny_lfm2_audio: Maker) -> Iterator[Transcriber]:
    """A model that says one thing."""
    with load(tiny_lfm2_audio(SAYS)) as transcriber:
        yield transcriber


@pytest.fixture(scope="module")
def endless(tiny_lfm2_audio: Maker) -> Iterator[Transcriber]:
    """A model that repeats its last character up to the limit of tokens."""
    with load(tiny_lfm2_audio(SAYS, ends=False)) as transcriber:
        yield transcriber


def as_documented(transcriber: Any, samples: np.ndarray) -> list[int]:
    """The tokens that the lines of liquid-audio's README give, on the same loaded model."""
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


def test_a_clip_is_transcribed_with_its_facts(
    saying: Transcriber, speech: dict[str, asrlab.evaluation.Utterance]
) -> None:
    """The transcript holds the text, a segment inside the audio, and says that the weights are random."""
    transcript = saying.transcribe(speech["0870"].audio)
    assert transcript.text == SAYS
    (segment,) = transcript.segments
    assert 0 <= segment.start < segment.end <= transcript.duration
    assert segment.tokens is not None
    assert 7 not in segment.tokens
    assert (transcript.device.resolved, transcript.compute_type) == ("cpu", "float32")
    assert transcript.model.weights_random
    assert transcript.version_of("liquid-audio")
    assert transcript.warnings == ()
    assert asrlab.Transcript.from_json(transcript.to("json")) == transcript


def test_the_patches_are_in_the_transcript(saying: Transcriber, speech: dict[str, asrlab.evaluation.Utterance]) -> None:
    """What was changed in liquid-audio for this is told, with the link."""
    transcript = saying.transcribe(speech["0880"].audio)
    statuses = {patch.name: patch.status for patch in transcript.patches}
    assert statuses["liquid-audio-detokenizer-device"] == "applied"
    assert statuses["liquid-audio-default-device"] == "skipped"
    assert transcript.patches == saying.patch_report
    assert all(patch.link.startswith("https://") and patch.reason for patch in transcript.patches)


@pytest.mark.parametrize("seed", [1, 2])
def test_the_same_tokens_as_upstream(
    tiny_lfm2_audio: Maker, speech: dict[str, asrlab.evaluation.Utterance], seed: int
) -> None:
    """The engine gives what the lines of upstream's README give, with weights that heed the audio and never end."""
    samples = asrlab.load_audio(speech["0880"].audio).samples
    with load(tiny_lfm2_audio("", seed=seed)) as transcriber:
        assert isinstance(transcriber.recognizer, LiquidAudioRecognizer)
        expected = as_documented(transcriber, samples)
        heard = transcribe_chunk(transcriber.recognizer.processor, transcriber.recognizer.model, samples)
    assert len(expected) == 512
    assert (list(heard.tokens or ()), heard.ended) == (expected, False)


def test_the_model_is_prompted_as_documented(saying: Transcriber) -> None:
    """The turns are those of upstream's README, word for word: the tiny weights would not heed another prompt."""
    assert isinstance(saying.recognizer, LiquidAudioRecognizer)
    chat = create_chat(saying.recognizer.processor, saying.recognizer.model, np.ones(16_000, np.float32) / 10)
    turns = ("system\nPerform ASR.<|im_end|>\n", "user\n<|im_end|>\n", "assistant\n")
    expected = "<|startoftext|>" + "".join(f"<|im_start|>{turn}" for turn in turns)
    assert saying.recognizer.processor.text.decode(chat.text[0]) == expected
    # the second of audio stands between the line break of the user's turn and its end
    flags = chat.modality_flag[0].tolist()
    audio = [place for place, flag in enumerate(flags) if flag == liquid_audio.LFMModality.AUDIO_IN]
    heard = saying.recognizer.processor.text.decode(chat.text[0][: audio[0]])
    assert audio == list(range(audio[0], audio[-1] + 1))
    assert heard.endswith("<|im_start|>user\n")


def test_upstream_says_the_same(saying: Transcriber, speech: dict[str, asrlab.evaluation.Utterance]) -> None:
    """The tokens are upstream's, without the one that ends the text."""
    samples = asrlab.load_audio(speech["0890"].audio).samples
    (segment,) = saying.transcribe(samples, sample_rate=16_000).segments
    assert [*(segment.tokens or ()), 7] == as_documented(saying, samples)


def test_bfloat16_is_stated_and_used(tiny_lfm2_audio: Maker, speech: dict[str, asrlab.evaluation.Utterance]) -> None:
    """The number format asked for is the one of the weights in memory, and stands in the transcript."""
    with load(tiny_lfm2_audio(SAYS), compute_type="bfloat16") as transcriber:
        assert {weight.dtype for weight in transcriber.recognizer.model.parameters()} == {torch.bfloat16}
        transcript = transcriber.transcribe(speech["0930"].audio)
    assert (transcript.text, transcript.compute_type) == (SAYS, "bfloat16")


def test_long_audio_is_cut_at_silence(saying: Transcriber, long_speech: np.ndarray) -> None:
    """70 s give a segment per piece, in order, none longer than 30 s, and each said once."""
    samples = np.concatenate([long_speech, long_speech])
    transcript = saying.transcribe(samples, sample_rate=16_000)
    assert len(transcript.segments) >= 3
    assert transcript.text == " ".join([SAYS] * len(transcript.segments))
    times = [(segment.start, segment.end) for segment in transcript.segments]
    assert all(0 < end - start <= 30 for start, end in times)
    assert all(before[1] <= after[0] for before, after in pairwise(times))
    assert times[-1][1] <= transcript.duration


def test_segments_come_piece_by_piece(saying: Transcriber, long_speech: np.ndarray) -> None:
    """The first segment is there before the rest has been transcribed."""
    with saying.stream(np.concatenate([long_speech] * 3), sample_rate=16_000) as stream:
        first = next(stream)
        assert first.text == SAYS
        with pytest.raises(asrlab.AsrlabError, match="not been read to its end"):
            _ = stream.transcript


def test_a_text_that_does_not_end_is_tried_in_halves(
    endless: Transcriber, speech: dict[str, asrlab.evaluation.Utterance]
) -> None:
    """512 tokens without an end are a truncation: the piece is cut in two, what there is stays, and loops are told."""
    transcript = endless.transcribe(speech["0870"].audio)
    codes = [warning.code for warning in transcript.warnings]
    assert codes.count("output-truncated") == 3
    assert codes.count("repetition") == 2
    first, second = transcript.segments
    assert first.end <= second.start
    assert [len(segment.tokens or ()) for segment in transcript.segments] == [512, 512]


def test_under_90_ms_is_refused(saying: Transcriber, speech: dict[str, asrlab.evaluation.Utterance]) -> None:
    """The encoder needs nine frames: 89 ms are an error that says so, 90 ms a result."""
    samples = asrlab.load_audio(speech["0870"].audio).samples[16_000:]
    with pytest.raises(AudioError, match=r"0\.09 s") as caught:
        saying.transcribe(samples[: 16 * 89], sample_rate=16_000)
    assert caught.value.reason == "too-short"
    assert saying.transcribe(samples[: 16 * 90], sample_rate=16_000).text == SAYS


def test_silence_gives_no_text(saying: Transcriber) -> None:
    """Forty seconds of digital silence are not handed to the model, which would make something up."""
    transcript = saying.transcribe(np.zeros(16_000 * 40, np.float32), sample_rate=16_000)
    assert transcript.segments == ()
    assert {warning.code for warning in transcript.warnings} == {"silent", "no-voice"}


def test_speech_is_decoded_on_the_device(saying: Any) -> None:
    """The speech decoder runs where the model is, which upstream allows on CUDA alone."""
    codes = torch.arange(8 * 6).reshape(1, 8, 6)
    waveform = saying.recognizer.processor.decode(codes)
    assert waveform.shape == (1, 6 * 6 * 320)
    assert waveform.device.type == "cpu"
    assert bool(waveform.isfinite().all())
    assert waveform.std() > 0


def test_several_threads_get_their_own_texts(
    saying: Transcriber, speech: dict[str, asrlab.evaluation.Utterance]
) -> None:
    """Four threads at once get what one gets alone."""
    results: list[asrlab.Transcript] = []

    def work() -> None:
        results.append(saying.transcribe(speech["0930"].audio))

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    alone = saying.transcribe(speech["0930"].audio)
    assert [result.segments for result in results] == [alone.segments] * 4


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"word_timestamps": True}, "word_timestamps"),
        ({"beam_size": 5}, "beam_size"),
        ({"task": "translate"}, "translate"),
    ],
)
def test_what_it_cannot_do_is_refused(saying: Transcriber, given: dict[str, Any], message: str) -> None:
    """Upstream gives no times and no beam; nothing is ignored in silence."""
    with pytest.raises(OptionError, match=message):
        saying.transcribe(np.ones(16_000, np.float32) / 10, sample_rate=16_000, **given)


def test_other_numbers_of_threads_are_refused(tiny_lfm2_audio: Maker) -> None:
    """PyTorch's threads are the process's."""
    with pytest.raises(OptionError, match="OMP_NUM_THREADS"):
        load(tiny_lfm2_audio(SAYS), threads=torch.get_num_threads() + 1)


def test_an_unknown_number_format_is_refused(tiny_lfm2_audio: Maker) -> None:
    """Before anything is loaded."""
    with pytest.raises(OptionError, match="float32, bfloat16"):
        load(tiny_lfm2_audio(SAYS), compute_type="int8")


def getter_of_the_speech_decoder() -> Any:
    """The function behind ``LFM2AudioProcessor.audio_detokenizer`` as it is now; upstream's names cuda."""
    return vars(liquid_audio.LFM2AudioProcessor)["audio_detokenizer"].fget


def test_closing_lets_go_of_the_model(tiny_lfm2_audio: Maker, saying: Transcriber) -> None:
    """After close nothing can be asked of it; the patches stay for the transcriber that is still open."""
    transcriber: Any = load(tiny_lfm2_audio(SAYS))
    transcriber.close()
    with pytest.raises(asrlab.AsrlabError, match="closed"):
        _ = transcriber.recognizer.processor
    assert "cuda" not in getter_of_the_speech_decoder().__code__.co_names


def broken(folder: Path, tmp_path: Path, how: str) -> Path:
    """A copy of a checkpoint, broken in one way."""
    from safetensors.torch import load_file, save_file

    copy = tmp_path / "broken"
    shutil.copytree(folder, copy)
    weights, config = copy / "model.safetensors", copy / "config.json"
    match how:
        case "lacks a tensor":
            tensors = load_file(weights)
            del tensors["depth_linear.weight"]
            save_file(tensors, weights)
        case "cut short":
            weights.write_bytes(weights.read_bytes()[:100_000])
        case "another model":
            config.write_text(json.dumps({"model_type": "whisper"}))
        case "no JSON":
            config.write_text("{")
        case "a pickle":
            (copy / "pytorch_model.bin").write_bytes(b"\x80\x04.")
    return copy


@pytest.mark.parametrize(
    ("how", "message"),
    [
        ("lacks a tensor", "lacks 1 tensors, such as depth_linear.weight"),
        ("cut short", r"model\.safetensors is not a safetensors file, or is damaged: its tensors are"),
        ("another model", "cannot be loaded as liquid-audio/"),
        ("no JSON", r"config\.json is not JSON"),
        ("a pickle", "pytorch_model.bin"),
    ],
)
def test_broken_checkpoints_are_refused(tiny_lfm2_audio: Maker, tmp_path: Path, how: str, message: str) -> None:
    """Upstream would leave missing tensors random, and take a pickle before the safetensors; here both are errors."""
    with pytest.raises(WeightsError, match=message):
        load(broken(tiny_lfm2_audio(SAYS), tmp_path, how))


@pytest.mark.parametrize("name", ["lfm2_5_audio", "liquid-audio/lfm2.5-audio-1.5b"])
def test_missing_weights_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """The message names repository, revision and size, and the command that fetches them."""
    monkeypatch.setenv("ASRLAB_CACHE", str(tmp_path))
    with pytest.raises(WeightsError) as caught:
        asrlab.load(name, device="cpu", offline=True)
    for part in ("LiquidAI/LFM2.5-Audio-1.5B", "c362a0625dfe", "GB", "asrlab pull liquid-audio/lfm2.5-audio-1.5b"):
        assert part in str(caught.value)


@pytest.mark.slow
def test_the_benchs_table_says_random(tiny_lfm2_audio: Maker, asrlab_cli: Any) -> None:
    """The job that failed in the lab runs, with its patches told, and random weights are called so."""
    ran = asrlab_cli("bench", "smoke", "-m", f"liquid-audio/{tiny_lfm2_audio(SAYS)}", "--device", "cpu")
    assert ran.code == 0, ran.err
    assert "random weights" in ran.out
    assert "liquid-audio-detokenizer-device applied" in ran.out
    assert "100.00 % (70/70)" in ran.out


def test_the_job_of_the_lab_names_what_to_pull(asrlab_cli: Any, tmp_path: Path) -> None:
    """``asrlab bench smoke -m lfm2_5_audio`` without weights ends with what to do."""
    ran = asrlab_cli("bench", "smoke", "-m", "lfm2_5_audio", ASRLAB_CACHE=str(tmp_path))
    assert ran.code == 4
    assert "asrlab pull liquid-audio/lfm2.5-audio-1.5b" in ran.err


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
def test_a_configuration_that_asks_for_more_than_is_stored_is_refused(
    tiny_lfm2_audio: Maker, tmp_path: Path, section: str, name: str, value: object, reason: str
):
    """Nothing is allocated for what a configuration only declares."""
    folder = shutil.copytree(tiny_lfm2_audio(SAYS), tmp_path / "hostile")
    config = json.loads((folder / "config.json").read_text("utf-8"))
    config[section][name] = value
    (folder / "config.json").write_text(json.dumps(config), encoding="utf-8")
    with pytest.raises(WeightsError, match=reason):
        load(folder)
