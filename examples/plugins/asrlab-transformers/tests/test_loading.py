"""Loading of models from folders and the hub's cache, and models that are refused."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch
from asrlab_transformers.segments import to_segments
from safetensors.torch import load_file, save_file

import asrlab


def test_a_ctc_model_is_detected_and_times_words(ctc_folder: Path, clips: dict[str, np.ndarray]):
    """A CTC model is detected by its folder, refuses beams, and times the words of its text on request."""
    samples = next(iter(clips.values()))
    with asrlab.load(f"transformers/{ctc_folder}", device="cpu") as transcriber:
        capabilities = transcriber.info.capabilities
        assert (capabilities.tasks, capabilities.word_timestamps, capabilities.beam_size, capabilities.temperature) == (
            ("transcribe",),
            True,
            False,
            False,
        )
        plain = transcriber.transcribe(samples, sample_rate=16_000)
        timed = transcriber.transcribe(samples, sample_rate=16_000, word_timestamps=True)
        with pytest.raises(asrlab.OptionError, match="cannot honour beam_size"):
            transcriber.transcribe(samples, sample_rate=16_000, beam_size=5)
    assert plain.model.weights_random
    assert plain.text.strip()
    assert plain.words is None
    assert timed.words
    assert timed.text.split() == plain.text.split() == [word.text for word in timed.words]
    assert all(before.end <= after.start for before, after in pairwise(timed.words))


@pytest.mark.parametrize("name", ["openai/whisper-base", "nobody/nothing@1f0e"])
def test_an_id_that_is_not_in_the_cache_names_the_download_command(name: str):
    """Offline, the error for an id of the hub has the download command and the form for a folder."""
    with pytest.raises(asrlab.WeightsError, match="offline was asked for") as caught:
        asrlab.load(f"transformers/{name}", device="cpu", offline=True)
    assert f"hf download {name.partition('@')[0]}" in str(caught.value)
    assert "transformers/./FOLDER" in str(caught.value)


def test_the_command_line_uses_an_id_in_the_cache_without_the_network(cache: Path, ctc_folder: Path):
    """A snapshot in the cache of the hub's client is loaded by its id, and reported with its commit and checksum."""
    commit = "0123456789abcdef0123456789abcdef01234567"
    folder = cache / "hub" / "hub" / "models--someone--tiny-ctc"
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(ctc_folder, folder / "snapshots" / commit)
    (folder / "refs").mkdir()
    (folder / "refs" / "main").write_text(commit, encoding="utf-8")
    clip = next(iter(asrlab.evaluation.load_dataset("smoke"))).audio
    command = ("transcribe", str(clip), "-m", "transformers/someone/tiny-ctc", "--json")
    done = subprocess.run([sys.executable, "-m", "asrlab", *command], capture_output=True, check=True, text=True)
    (result,) = json.loads(done.stdout)["files"]
    model = result["transcript"]["asrlab"]["model"]
    assert (model["name"], model["weights_source"]) == ("transformers/someone/tiny-ctc", "hub someone/tiny-ctc@0123456")
    assert model["weights_sha256"] == asrlab.weights.WeightsStore().from_folder(ctc_folder).sha256


def test_the_command_line_lists_the_plugin():
    """``asrlab plugins`` names the distribution, and ``asrlab models`` shows that the engine manages the weights."""
    asrlab_cli = (sys.executable, "-m", "asrlab")
    plugins, models = (
        json.loads(subprocess.run([*asrlab_cli, name, "--json"], capture_output=True, check=True).stdout)[name]
        for name in ("plugins", "models")
    )
    row = next(row for row in plugins if row["name"] == "transformers")
    assert (row["distribution"], row["engines"]) == ("asrlab-transformers", ["transformers"])
    weights = {row["name"]: row["weights"] for row in models}
    assert weights["transformers/openai/whisper-base"] == "by its engine"


@pytest.mark.parametrize("name", ["whisper-base", "a/b/c", "owner/na me"])
def test_an_invalid_id_of_the_hub_is_refused(name: str):
    """A name without an owner, or with too many parts, is refused before any request to the hub."""
    with pytest.raises(asrlab.WeightsError, match="is no id of a model on the hub"):
        asrlab.load(f"transformers/{name}", device="cpu")


def test_a_missing_folder_is_refused(tmp_path: Path):
    """A missing folder is a `WeightsError` with its path."""
    with pytest.raises(asrlab.WeightsError, match=r"there are no weights at .*gone"):
        asrlab.load(f"transformers/{tmp_path / 'gone'}", device="cpu")


def test_pickled_weights_are_refused(ctc_folder: Path, tmp_path: Path):
    """A folder with pickled weights only is refused, because a pickle can run code."""
    folder = shutil.copytree(ctc_folder, tmp_path / "pickled")
    torch.save(load_file(folder / "model.safetensors"), folder / "pytorch_model.bin")
    (folder / "model.safetensors").unlink()
    with pytest.raises(asrlab.WeightsError, match=r"pytorch_model\.bin, a pickle.*convert it to model\.safetensors"):
        asrlab.load(f"transformers/{folder}", device="cpu")


def copy_with_config(folder: Path, target: Path, **fields: object) -> Path:
    """Copy *folder* to *target* with other *fields* in its config.json, and return the copy."""
    copy = shutil.copytree(folder, target)
    config = json.loads((copy / "config.json").read_text("utf-8")) | fields
    (copy / "config.json").write_text(json.dumps(config), encoding="utf-8")
    return copy


def test_a_model_without_speech_recognition_is_refused(ctc_folder: Path, tmp_path: Path):
    """The error for a model of another task names the model's class."""
    folder = copy_with_config(ctc_folder, tmp_path / "classifier", architectures=["Wav2Vec2ForSequenceClassification"])
    with pytest.raises(asrlab.WeightsError, match=r"a Wav2Vec2ForSequenceClassification, which is no model for speech"):
        asrlab.load(f"transformers/{folder}", device="cpu")
    folder = copy_with_config(ctc_folder, tmp_path / "text", model_type="bert", architectures=["BertForMaskedLM"])
    with pytest.raises(asrlab.WeightsError, match="a BertForMaskedLM, which is no model for speech"):
        asrlab.load(f"transformers/{folder}", device="cpu")


def test_code_in_a_folder_is_never_run(ctc_folder: Path, tmp_path: Path):
    """A model that requires its own code is refused, and the code is not run."""
    folder = copy_with_config(ctc_folder, tmp_path / "coded", model_type="own", auto_map={"AutoConfig": "own.Own"})
    (folder / "own.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w').close()", encoding="utf-8")
    with pytest.raises(asrlab.WeightsError, match="cannot be loaded as a speech recognition model"):
        asrlab.load(f"transformers/{folder}", device="cpu")
    assert not (tmp_path / "ran").exists()


def test_missing_tensors_are_refused(ctc_folder: Path, tmp_path: Path):
    """Missing tensors, which upstream fills with random numbers, are an error."""
    folder = shutil.copytree(ctc_folder, tmp_path / "incomplete")
    tensors = load_file(folder / "model.safetensors")
    del tensors["lm_head.bias"]
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(asrlab.WeightsError, match=r"lack 1 tensors, such as lm_head\.bias"):
        asrlab.load(f"transformers/{folder}", device="cpu")


def test_a_folder_without_a_tokenizer_is_refused(ctc_folder: Path, tmp_path: Path):
    """The error for a folder without a tokenizer names the missing files."""
    folder = shutil.copytree(ctc_folder, tmp_path / "no-tokenizer")
    for path in folder.glob("*token*"):
        path.unlink()
    (folder / "vocab.json").unlink()
    with pytest.raises(asrlab.WeightsError, match="with its tokenizer and its feature extractor"):
        asrlab.load(f"transformers/{folder}", device="cpu")


def test_unsupported_number_formats_and_threads_are_refused(ctc_folder: Path):
    """float16 on the CPU, an unknown format, and another number of threads than PyTorch's are refused."""
    model = f"transformers/{ctc_folder}"
    for choices in ({"compute_type": "float16"}, {"compute_type": "int8"}, {"threads": torch.get_num_threads() + 1}):
        with pytest.raises(asrlab.OptionError):
            asrlab.load(model, device="cpu", **choices)  # type: ignore[arg-type]


def test_words_between_pauses_are_a_segment():
    """Half a second without a word begins a new segment; a missing end is the end of the chunk."""
    chunks = [
        {"text": " To", "timestamp": (0.0, 0.2)},
        {"text": " be.", "timestamp": (0.4, 0.6)},
        {"text": "  ", "timestamp": (0.6, 0.7)},
        {"text": " Rest", "timestamp": (1.2, None)},
    ]
    first, second = to_segments(chunks, words=True, separator="", duration=2.0)
    assert (first.text, first.start, first.end) == ("To be.", 0.0, 0.6)
    assert (second.text, second.start, second.end) == ("Rest", 1.2, 2.0)
    assert [segment.words for segment in to_segments(chunks, words=False, separator="", duration=2.0)] == [None] * 3


def test_listing_the_engine_does_not_import_it():
    """The module of the plugin imports neither torch nor transformers."""
    code = "import asrlab_transformers, sys; print(sorted({'torch', 'transformers', 'numpy'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True, text=True)
    assert done.stdout == "[]\n"


def test_transcribing_does_not_change_the_environment(ctc_folder: Path):
    """A first transcription changes no variable, although upstream's pipeline sets TOKENIZERS_PARALLELISM."""
    code = """
import os, sys, asrlab
before = dict(os.environ)
with asrlab.load(sys.argv[1], device="cpu") as transcriber:
    transcriber.transcribe(next(iter(asrlab.evaluation.load_dataset("smoke"))).audio)
print({name for name in {*before, *os.environ} if before.get(name) != os.environ.get(name)} - {"KMP_INIT_AT_FORK"})
"""
    model = f"transformers/{ctc_folder}"
    environment = {name: value for name, value in os.environ.items() if name != "TOKENIZERS_PARALLELISM"}
    done = subprocess.run(
        [sys.executable, "-c", code, model], env=environment, capture_output=True, check=True, text=True
    )
    assert done.stdout.strip() == "set()"


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"hidden_size": 10**6, "num_attention_heads": 2}, "its hidden_size is 1000000; the widest tensor beside it"),
        ({"num_hidden_layers": 10**7}, "its num_hidden_layers is 10000000"),
        ({"num_hidden_layers": True}, "its num_hidden_layers is True"),
        ({"num_attention_heads": 0}, "cannot be loaded as a speech recognition model"),
    ],
)
def test_a_configuration_larger_than_the_weights_is_refused(
    ctc_folder: Path, tmp_path: Path, fields: dict[str, object], reason: str
):
    """A configuration with larger sizes than the stored tensors is refused before memory is allocated."""
    folder = copy_with_config(ctc_folder, tmp_path / "hostile", **fields)
    with pytest.raises(asrlab.WeightsError, match=reason):
        asrlab.load(f"transformers/{folder}", device="cpu")
