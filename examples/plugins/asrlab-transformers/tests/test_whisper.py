"""Whisper base in Hugging Face's format, on real speech."""

from __future__ import annotations

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
            assert [segment.start for segment in transcripts[name].segments] == pytest.approx(
                [segment.start for segment in theirs.segments]
            )
            assert [segment.end for segment in transcripts[name].segments] == pytest.approx(
                [segment.end for segment in theirs.segments]
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
    assert "".join(word.text for word in timed.words) == timed.text.replace(" ", "")
    assert all(before.end <= after.start for before, after in pairwise(timed.words))
    assert timed.words[0].start >= 0
    assert timed.words[-1].end <= timed.duration
    assert transcripts[name].words is None


def test_options_reach_the_model(transcriber: asrlab.Transcriber, clips: dict[str, np.ndarray]):
    """With upstream's padding, told the language: the text and end that upstream's own preprocessing gives."""
    options = asrlab.TranscribeOptions(language="en", engine_options={"padding": "silence"})
    quiet = transcriber.transcribe(list(clips.values())[3], sample_rate=RATE, options=options)
    # with zeros there is no comma, and "was?" ends at 6.00 s
    assert (
        quiet.text == "Had he married a more amiable woman, he might have been made still more respectable than he was."
    )
    assert quiet.segments[-1].end == pytest.approx(5.84)
    assert quiet.language_probability is None


def test_the_language_is_known_before_the_first_segment(transcriber: asrlab.Transcriber, clips: dict[str, np.ndarray]):
    """A stream that has begun tells it, with nothing transcribed yet."""
    with transcriber.stream(list(clips.values())[1], sample_rate=RATE) as stream:
        begun = stream.start()
    assert begun.language == "en"
    assert (begun.language_probability or 0) > 0.9


def test_a_beam_and_another_language_change_the_text(transcriber: asrlab.Transcriber, clips: dict[str, np.ndarray]):
    """Told that it is German, and to search with two beams, the model writes German."""
    german = transcriber.transcribe(list(clips.values())[1], sample_rate=RATE, language="de", beam_size=2)
    assert german.language == "de"
    assert german.text
    assert "not an ill-disposed" not in german.text


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


def test_the_example_in_the_readme_prints_what_it_says(readme: tuple[Path, str, str]):
    """The Python in README.md, which converts, loads and transcribes, prints what README.md says."""
    _, printed, told = readme
    assert printed == told
