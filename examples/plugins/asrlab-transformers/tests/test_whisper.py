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
    """Load the converted checkpoint."""
    with asrlab.load(f"transformers/{base_folder}", device="cpu") as loaded:
        yield loaded


@pytest.fixture(scope="module")
def transcripts(transcriber: asrlab.Transcriber, clips: dict[str, np.ndarray]) -> dict[str, asrlab.Transcript]:
    """Transcribe each clip without options."""
    return {name: transcriber.transcribe(samples, sample_rate=RATE) for name, samples in clips.items()}


def test_conversion_keeps_every_tensor(ctranslate2_folder: Path, base_folder: Path):
    """The converted checkpoint has the names, shapes, types and bytes of CTranslate2's tensors, and no others."""
    before = asrlab.weights.convert(ctranslate2_folder).state_dict
    after = load_file(base_folder / "model.safetensors")
    assert sorted(after) == sorted(map(hugging_face_name, before))
    for name, tensor in before.items():
        converted = after[hugging_face_name(name)]
        assert (converted.dtype, converted.shape) == (tensor.dtype, tensor.shape)
        assert converted.numpy().tobytes() == tensor.numpy().tobytes()


def test_an_existing_folder_is_not_overwritten(ctranslate2_folder: Path, tmp_path: Path):
    """Conversion into an existing folder is refused before anything is written."""
    with pytest.raises(asrlab.WeightsError, match="is there already"):
        write_hugging_face(ctranslate2_folder, tmp_path)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("model", ["openai-whisper/base", "faster-whisper/base"])
def test_the_texts_are_those_of_the_other_engines(
    model: str, clips: dict[str, np.ndarray], transcripts: dict[str, asrlab.Transcript]
):
    """With the same weights in float32 and greedy search, all engines have the same texts, times and languages."""
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
    """Word times do not change the text, are in order within the audio, and are None unless requested."""
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
    """With a language and upstream's padding, the text and its end are those of upstream's preprocessing."""
    options = asrlab.TranscribeOptions(language="en", engine_options={"padding": "silence"})
    quiet = transcriber.transcribe(list(clips.values())[3], sample_rate=RATE, options=options)
    # with a padding of zeros there is no comma, and "was?" ends at 6.00 s
    assert (
        quiet.text == "Had he married a more amiable woman, he might have been made still more respectable than he was."
    )
    assert quiet.segments[-1].end == pytest.approx(5.84)
    assert quiet.language_probability is None


def test_the_language_is_known_before_the_first_segment(transcriber: asrlab.Transcriber, clips: dict[str, np.ndarray]):
    """A started stream has the language and its probability before any segment."""
    with transcriber.stream(list(clips.values())[1], sample_rate=RATE) as stream:
        info = stream.start()
    assert info.language == "en"
    assert (info.language_probability or 0) > 0.9


def test_a_beam_and_another_language_change_the_text(transcriber: asrlab.Transcriber, clips: dict[str, np.ndarray]):
    """With the language German and two beams, the text is not the English one."""
    german = transcriber.transcribe(list(clips.values())[1], sample_rate=RATE, language="de", beam_size=2)
    assert german.language == "de"
    assert german.text
    assert "not an ill-disposed" not in german.text


@pytest.mark.parametrize(
    ("option", "name"),
    [
        ({"hotwords": "Dashwood"}, "hotwords"),
        ({"initial_prompt": "Dashwood"}, "initial_prompt"),
        ({"temperature": (0.0, 0.2)}, "temperature"),
        ({"language": "xx"}, "language"),
        ({"engine_options": {"padding": "noise"}}, "padding"),
        ({"engine_options": {"patience": 2}}, "patience"),
    ],
)
def test_unsupported_options_are_refused(
    transcriber: asrlab.Transcriber, clips: dict[str, np.ndarray], option: dict[str, object], name: str
):
    """An option that the engine does not support is an error with the name of the option."""
    with pytest.raises(asrlab.OptionError) as caught:
        transcriber.transcribe(next(iter(clips.values())), sample_rate=RATE, **option)  # type: ignore[arg-type]
    assert caught.value.option == name


def test_the_transcript_names_the_weights(base_folder: Path, transcripts: dict[str, asrlab.Transcript]):
    """Each transcript has the name of the folder, the checksum of the weights, and the versions."""
    transcript = next(iter(transcripts.values()))
    assert transcript.model.name == "transformers/whisper-base"
    assert transcript.model.weights_sha256 == asrlab.weights.WeightsStore().from_folder(base_folder).sha256
    assert {"transformers", "asrlab-transformers", "torch"} <= {package.name for package in transcript.packages}
    assert (transcript.compute_type, str(transcript.device)) == ("float32", "cpu")


def test_the_stored_weights_are_float16(base_folder: Path):
    """All stored tensors are float16, as in CTranslate2's folder."""
    with safe_open(base_folder / "model.safetensors", framework="pt") as file:
        assert {str(file.get_slice(name).get_dtype()) for name in file.keys()} == {"F16"}  # noqa: SIM118 - safe_open is not a mapping


def test_the_example_in_the_readme_runs(readme: tuple[Path, str, str]):
    """The Python example in README.md prints the output that README.md shows."""
    _, printed, expected = readme
    assert printed == expected
