"""The plugin with real speech and the model in the wheel of pocketsphinx."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from pathlib import Path

import numpy as np
import pocketsphinx
import pytest
from asrlab_pocketsphinx import SPEC
from asrlab_pocketsphinx.recognizer import to_int16
from asrlab_pocketsphinx.words import DecodedWord, to_segments

import asrlab
from asrlab.evaluation.metrics import TextPair, get_normalizer, score

MODEL = "pocketsphinx/en-us"
RATE = 16_000
README = Path(__file__).resolve().parents[1] / "README.md"


@pytest.fixture(scope="module")
def transcriber() -> Iterator[asrlab.Transcriber]:
    """Load the model."""
    with asrlab.load(MODEL, offline=True) as loaded:
        yield loaded


@pytest.fixture(scope="module")
def clips() -> dict[str, np.ndarray]:
    """Return the samples of the smoke set by reference: float32, shape (n,), at 16 kHz."""
    return {
        str(utterance.text): asrlab.load_audio(utterance.audio).samples
        for utterance in asrlab.evaluation.load_dataset("smoke")
    }


@pytest.fixture(scope="module")
def transcripts(transcriber: asrlab.Transcriber, clips: dict[str, np.ndarray]) -> dict[str, asrlab.Transcript]:
    """Transcribe each clip with word times, and return the transcripts by reference."""
    return {
        text: transcriber.transcribe(samples, sample_rate=RATE, word_timestamps=True) for text, samples in clips.items()
    }


def test_texts_equal_those_of_pocketsphinx(transcripts: dict[str, asrlab.Transcript], clips: dict[str, np.ndarray]):
    """The texts are those of pocketsphinx called directly with its own defaults."""
    decoder = pocketsphinx.Decoder(samprate=RATE, loglevel="FATAL")
    for text, samples in list(clips.items())[:2]:
        decoder.start_utt()
        decoder.process_raw(to_int16(samples).tobytes(), full_utt=True)
        decoder.end_utt()
        assert transcripts[text].text == decoder.hyp().hypstr


def test_errors_are_below_the_bound_of_the_model(transcripts: dict[str, asrlab.Transcript]):
    """The WER on the 70 words of the smoke set is below the bound of the model's specification."""
    pairs = (TextPair(id=text, reference=text, hypothesis=transcript.text) for text, transcript in transcripts.items())
    result = score(pairs, normalizer=get_normalizer("english"))
    (model,) = SPEC.models
    assert result.words.reference_length == 70
    assert model.wer_bound is not None
    assert 0 < (result.wer or 0) < model.wer_bound


def test_words_are_timed_in_order_and_make_up_their_segment(transcripts: dict[str, asrlab.Transcript]):
    """Words are in order and within the audio, have a probability, and make up the text of their segment."""
    for transcript in transcripts.values():
        assert transcript.words
        assert all(before.end <= after.start for before, after in pairwise(transcript.words))
        assert transcript.words[0].start >= 0
        assert transcript.words[-1].end <= transcript.duration
        assert all(0 <= (word.probability or -1) <= 1 for word in transcript.words)
        for segment in transcript.segments:
            assert segment.text == " ".join(word.text for word in segment.words or ())


def test_words_are_timed_only_on_request(transcriber: asrlab.Transcriber, clips: dict[str, np.ndarray]):
    """Without ``word_timestamps`` segments have no words."""
    samples = next(iter(clips.values()))
    transcript = transcriber.transcribe(samples, sample_rate=RATE)
    assert transcript.segments
    assert [segment.words for segment in transcript.segments] == [None] * len(transcript.segments)


def test_a_text_does_not_depend_on_previous_audio(
    transcriber: asrlab.Transcriber, transcripts: dict[str, asrlab.Transcript], clips: dict[str, np.ndarray]
):
    """The text of a clip is the same after loud noise."""
    noise = np.random.default_rng(0).normal(0, 0.5, RATE).astype(np.float32)
    text, samples = list(clips.items())[2]
    transcriber.transcribe(noise, sample_rate=RATE)
    assert transcriber.transcribe(samples, sample_rate=RATE).text == transcripts[text].text


def test_concurrent_calls_equal_sequential_calls(
    transcriber: asrlab.Transcriber, transcripts: dict[str, asrlab.Transcript], clips: dict[str, np.ndarray]
):
    """Concurrent calls from three threads return the texts of sequential calls."""
    references = list(clips)[1:4]
    with ThreadPoolExecutor(3) as pool:
        texts = list(pool.map(lambda text: transcriber.transcribe(clips[text], sample_rate=RATE).text, references))
    assert texts == [transcripts[text].text for text in references]


def test_a_long_recording_is_cut_at_silence(
    transcriber: asrlab.Transcriber, transcripts: dict[str, asrlab.Transcript], clips: dict[str, np.ndarray]
):
    """A recording of more than 30 s has several chunks, timed from the start of the recording."""
    short, last = list(clips)[1], list(clips)[-1]
    samples = np.concatenate([clips[short], np.zeros(28 * RATE, np.float32), clips[last]])
    transcript = transcriber.transcribe(samples, sample_rate=RATE, word_timestamps=True)
    first, second = transcript.segments
    offset = transcript.duration - transcripts[last].duration
    assert (first.start, first.end) == pytest.approx((0.2, transcripts[short].segments[-1].end), abs=0.1)
    assert second.start == pytest.approx(offset + transcripts[last].segments[0].start, abs=0.1)
    assert [word.start >= offset for word in second.words or ()] == [True] * len(second.words or ())
    assert "no-voice" in {warning.code for warning in transcript.warnings}


@pytest.mark.parametrize(
    "option", [{"beam_size": 5}, {"hotwords": "Dashwood"}, {"language": "de"}, {"task": "translate"}]
)
def test_unsupported_options_are_refused(
    transcriber: asrlab.Transcriber, clips: dict[str, np.ndarray], option: dict[str, object]
):
    """An option that the decoder does not support is an error with the name of the option."""
    (name,) = option
    with pytest.raises(asrlab.OptionError) as caught:
        transcriber.transcribe(next(iter(clips.values())), sample_rate=RATE, **option)  # type: ignore[arg-type]
    assert caught.value.option == name


def test_too_short_audio_is_refused(transcriber: asrlab.Transcriber):
    """Audio of less than 0.1 s is an error with the minimum duration."""
    with pytest.raises(asrlab.AudioError, match=r"needs at least 0\.1 s") as caught:
        transcriber.transcribe(np.full(800, 0.1, np.float32), sample_rate=RATE)
    assert caught.value.reason == "too-short"


def test_a_closed_transcriber_is_an_error(clips: dict[str, np.ndarray]):
    """A call after ``close`` is an error."""
    transcriber = asrlab.load(MODEL)
    transcriber.close()
    with pytest.raises(asrlab.AsrlabError, match="is closed"):
        transcriber.transcribe(next(iter(clips.values())), sample_rate=RATE)


def test_more_threads_or_another_device_are_refused():
    """More than one thread, and any device but the CPU, are errors."""
    with pytest.raises(asrlab.OptionError, match="on one thread, not 4"):
        asrlab.load(MODEL, threads=4)
    with pytest.raises(asrlab.DeviceUnavailableError, match="PocketSphinx runs on the cpu"):
        asrlab.load(MODEL, device="cuda")


def test_a_missing_model_file_names_the_command_that_restores_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """A missing file of the wheel is a `WeightsError` with the command that restores the file."""
    monkeypatch.setenv("POCKETSPHINX_PATH", str(tmp_path))
    with pytest.raises(asrlab.WeightsError, match="pip install --force-reinstall pocketsphinx"):
        asrlab.load(MODEL)


def test_the_transcript_names_the_weights(transcripts: dict[str, asrlab.Transcript]):
    """Each transcript has the checksum and the source of the model's files, and the version of the decoder."""
    transcript = next(iter(transcripts.values()))
    assert re.fullmatch("[0-9a-f]{64}", transcript.model.weights_sha256 or "")
    assert transcript.model.weights_source == "the wheel of pocketsphinx"
    assert {"pocketsphinx", "asrlab-pocketsphinx"} <= {package.name for package in transcript.packages}


def test_samples_beyond_full_scale_are_clipped():
    """A sample beyond full scale becomes the largest value of its sign."""
    assert to_int16(np.array([-1.5, -1, 0, 1, 1.5], np.float32)).tolist() == [-32767, -32767, 0, 32767, 32767]


def test_a_pause_splits_segments_and_fillers_are_not_words():
    """Half a second without a word begins a new segment; fillers and pronunciation marks are removed."""
    decoded = [
        ("<s>", 0, 9),
        ("to(3)", 10, 29),
        ("[NOISE]", 30, 40),
        ("be", 41, 60),
        ("<sil>", 61, 110),
        ("rest", 111, 150),
    ]
    words = [DecodedWord(word=word, first=first, last=last, probability=1.0000001) for word, first, last in decoded]
    to_be, rest = to_segments(words, words=True)
    assert (to_be.text, to_be.start, to_be.end) == ("to be", 0.1, 0.61)
    assert (rest.text, rest.start, rest.end) == ("rest", 1.11, 1.51)
    assert [word.probability for word in to_be.words or ()] == [1.0, 1.0]
    assert to_segments(words[:1], words=True) == ()


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Return the environment of a user without a cache, offline."""
    home = str(tmp_path_factory.mktemp("home"))
    return os.environ | {"ASRLAB_CACHE": home, "ASRLAB_RUNS": f"{home}/runs", "ASRLAB_OFFLINE": "1"}


def test_the_command_line_lists_and_uses_the_plugin(
    environment: dict[str, str], transcripts: dict[str, asrlab.Transcript]
):
    """``asrlab plugins`` names the distribution, and ``asrlab transcribe`` prints the text."""
    listed = subprocess.run(
        [sys.executable, "-m", "asrlab", "plugins", "--json"], env=environment, capture_output=True, check=True
    )
    rows = {row["name"]: row for row in json.loads(listed.stdout)["plugins"]}
    assert (rows["pocketsphinx"]["distribution"], rows["pocketsphinx"]["engines"]) == (
        "asrlab-pocketsphinx",
        ["pocketsphinx"],
    )
    clip = next(iter(asrlab.evaluation.load_dataset("smoke"))).audio
    done = subprocess.run(
        [sys.executable, "-m", "asrlab", "transcribe", str(clip), "-m", MODEL],
        env=environment,
        capture_output=True,
        check=True,
        text=True,
    )
    assert done.stdout == f"{next(iter(transcripts.values())).text}\n"


def test_listing_the_engine_does_not_import_it():
    """The module of the plugin imports neither pocketsphinx nor numpy."""
    code = "import asrlab_pocketsphinx, sys; print(sorted({'pocketsphinx', 'numpy'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True, text=True)
    assert done.stdout == "[]\n"


def test_the_example_in_the_readme_runs(environment: dict[str, str]):
    """The Python example in README.md prints the output that README.md shows."""
    text = README.read_text(encoding="utf-8")
    code, printed = re.findall(r"```(?:python|text)\n(.*?)```", text, re.DOTALL)[-2:]
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, check=True, text=True)
    assert done.stdout == printed
