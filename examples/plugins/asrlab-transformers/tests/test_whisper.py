"""Whisper base in Hugging Face's format, on real speech."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from asrlab_transformers.convert import hugging_face_name, write_hugging_face
from safetensors import safe_open
from safetensors.torch import load_file

import asrlab

GREEDY = asrlab.TranscribeOptions(beam_size=1, temperature=0.0)
RATE = 16_000


@pytest.fixture(scope="module")
def transcriber(base_folder: Path) -> Iterator[asrlab.Transcriber]:
    """The loaded folder."""
    with asrlab.load(f"transformers/{base_folder}", device="cpu") as loaded:
        yield loaded


@pytest.fixture(scope="module")
def transcripts(transcriber: asrlab.Transcriber, clips: dict[str, np.ndarray]) -> dict[str, asrlab.Transcript]:
    """Each clip transcribed without any option."""
    return {name: transcriber.transcribe(samples, sample_rate=RATE) for name, samples in clips.items()}


def test_every_tensor_has_its_name_shape_type_and_bytes(ctranslate2_folder: Path, base_folder: Path):
    """What Hugging Face's format holds is what CTranslate2's holds, and nothing else."""
    before = asrlab.weights.convert(ctranslate2_folder).state_dict
    after = load_file(base_folder / "model.safetensors")
    assert sorted(after) == sorted(map(hugging_face_name, before))
    for name, tensor in before.items():
        found = after[hugging_face_name(name)]
        assert (found.dtype, found.shape) == (tensor.dtype, tensor.shape)
        assert found.numpy().tobytes() == tensor.numpy().tobytes()


def test_a_folder_that_is_there_is_not_written_over(ctranslate2_folder: Path, tmp_path: Path):
    """Converting into a folder that exists is refused before anything is written."""
    with pytest.raises(asrlab.WeightsError, match="is there already"):
        write_hugging_face(ctranslate2_folder, tmp_path)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("model", ["openai-whisper/base", "faster-whisper/base"])
def test_the_texts_are_those_of_the_other_engines(
    model: str, clips: dict[str, np.ndarray], transcripts: dict[str, asrlab.Transcript]
):
    """On the same weights in float32, greedy, all engines write the same and time it the same, without being told."""
    with asrlab.load(model, device="cpu", compute_type="float32", offline=True) as other:
        for name, samples in clips.items():
            theirs = other.transcribe(samples, sample_rate=RATE, options=GREEDY)
            assert transcripts[name].text == theirs.text
            assert [(segment.start, segment.end) for segment in transcripts[name].segments] == pytest.approx(
                [(segment.start, segment.end) for segment in theirs.segments]
            )
            assert transcripts[name].language == theirs.language == "en"
            assert transcripts[name].language_probability == pytest.approx(theirs.language_probability, abs=0.01)


def test_words_are_timed_and_make_up_the_text(
    transcriber: asrlab.Transcriber, clips: dict[str, np.ndarray], transcripts: dict[str, asrlab.Transcript]
):
    """Word times change no text, are in order within the audio, and come only when asked for."""
    name, samples = list(clips.items())[1]
    timed = transcriber.transcribe(samples, sample_rate=RATE, word_timestamps=True)
    assert timed.text == transcripts[name].text
    assert timed.words is not None
    assert " ".join(word.text for word in timed.words) == timed.text
    assert all(before.end <= after.start for before, after in pairwise(timed.words))
    assert timed.words[0].start >= 0
    assert timed.words[-1].end <= timed.duration
    assert transcripts[name].words is None


def test_options_reach_the_model(transcriber: asrlab.Transcriber, clips: dict[str, np.ndarray]):
    """A beam, a language and a padding change what they say; upstream's padding times the end differently."""
    samples = list(clips.values())[1]
    quiet = transcriber.transcribe(samples, sample_rate=RATE, language="en", engine_options={"padding": "silence"})
    assert quiet.segments[-1].end == pytest.approx(2.8)
    assert quiet.language_probability is None
    german = transcriber.transcribe(samples, sample_rate=RATE, language="de", beam_size=2)
    assert german.language == "de"
    assert german.text != quiet.text


def test_upstreams_padding_gives_what_upstreams_pipeline_gives(
    transcriber: asrlab.Transcriber, base_folder: Path, clips: dict[str, np.ndarray]
):
    """With padding="silence" the text of the clip where it matters is that of upstream's own preprocessing."""
    samples = list(clips.values())[3]
    ours = transcriber.transcribe(samples, sample_rate=RATE, language="en", engine_options={"padding": "silence"})
    assert (
        ours.text == "Had he married a more amiable woman, he might have been made still more respectable than he was."
    )


@pytest.mark.parametrize(
    ("option", "named"),
    [
        ({"hotwords": "Dashwood"}, "hotwords"),
        ({"initial_prompt": "Dashwood"}, "initial_prompt"),
        ({"temperature": (0.0, 0.2)}, "temperature"),
        ({"language": "xx"}, "language"),
        ({"engine_options": {"padding": "noise"}}, "padding"),
        ({"engine_options": {"patience": 2}}, "patience"),
    ],
)
def test_what_the_engine_cannot_do_is_refused(
    transcriber: asrlab.Transcriber, clips: dict[str, np.ndarray], option: dict[str, object], named: str
):
    """An option that would be ignored is an error that names it."""
    with pytest.raises(asrlab.OptionError) as caught:
        transcriber.transcribe(next(iter(clips.values())), sample_rate=RATE, **option)  # type: ignore[arg-type]
    assert caught.value.option == named


def test_the_transcript_names_the_weights(base_folder: Path, transcripts: dict[str, asrlab.Transcript]):
    """The checksum, the folder's name, and the versions are in each transcript."""
    transcript = next(iter(transcripts.values()))
    assert transcript.model.name == "transformers/whisper-base"
    assert transcript.model.weights_sha256 == asrlab.weights.WeightsStore().from_folder(base_folder).sha256
    assert {"transformers", "asrlab-transformers", "torch"} <= {package.name for package in transcript.packages}
    assert (transcript.compute_type, str(transcript.device)) == ("float32", "cpu")


def test_the_stored_weights_are_float16(base_folder: Path):
    """They are as CTranslate2 stores them, half the size of float32, and computed in float32."""
    with safe_open(base_folder / "model.safetensors", framework="pt") as file:
        assert {str(file.get_slice(name).get_dtype()) for name in file.keys()} == {"F16"}  # noqa: SIM118 - no mapping


def test_the_command_line_lists_and_uses_the_plugin(
    base_folder: Path, cache: Path, transcripts: dict[str, asrlab.Transcript]
):
    """``asrlab plugins`` names the distribution; ``asrlab transcribe`` prints the text for a folder given by ``./``."""
    listed = subprocess.run([sys.executable, "-m", "asrlab", "plugins", "--json"], capture_output=True, check=True)
    rows = {row["name"]: row for row in json.loads(listed.stdout)["plugins"]}
    assert (rows["transformers"]["distribution"], rows["transformers"]["engines"]) == (
        "asrlab-transformers",
        ["transformers"],
    )
    clip = list(asrlab.load_dataset("smoke"))[1]
    said = subprocess.run(
        [sys.executable, "-m", "asrlab", "transcribe", str(clip.audio), "-m", f"transformers/./{base_folder.name}"],
        cwd=base_folder.parent,
        env=dict(os.environ),
        capture_output=True,
        check=True,
        text=True,
    )
    assert said.stdout == f"{transcripts[clip.id].text}\n"
