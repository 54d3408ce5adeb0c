"""The embedded smoke set."""

from __future__ import annotations

import hashlib
import json
import re
from pathlib import Path

import numpy as np
import pytest
import soundfile

from asrlab.evaluation import datasets
from asrlab.evaluation.datasets import load_dataset
from asrlab.evaluation.metrics import get_normalizer

FOLDER = Path(datasets.__file__).parent / "smoke"
LINES = [json.loads(line) for line in (FOLDER / "utterances.jsonl").read_text(encoding="utf-8").splitlines()]

# Of the samples as little-endian 16-bit integers: the bytes of the WAV files' data chunks in the source distribution.
PCM_SHA256 = {
    "0870": "d6ae5769a7bd5312d26213a382b5c0629d7e015a8290b91dfd51b15b0e249948",
    "0880": "0f8e7b446750517dfc5f444bccb67d2f65b05e2d2476d93600cee814f5791cc2",
    "0890": "f5db1acab6b8e07eba8bb5a240311e66fa47aa818a499cca8d6b3ffdc9d31f2d",
    "0920": "ea5551d7cba0ace6a98a9875e2ed38791737699b1f5e81df71ae1eef4fd24606",
    "0930": "0faf49d5f7782e92c1600066445e2127069e6aa8cba0349715efcd3e9e0da401",
}


def test_smoke_is_five_utterances_of_seventy_words():
    """The set has five English utterances with 70 words of reference, and counts them without reading."""
    smoke = load_dataset("smoke")
    utterances = list(smoke)

    assert smoke.count() == smoke.length == len(utterances) == 5
    assert sum(len((utterance.text or "").split()) for utterance in utterances) == 70
    assert {utterance.language for utterance in utterances} == {"en"}
    assert utterances[0].id == "sense_and_sensibility_01_austen_64kb-0870"
    assert smoke.licence == "public domain"


def test_reference_of_0920_is_corrected():
    """The source's mistake "a more a amiable" is corrected."""
    [text] = [utterance.text for utterance in load_dataset("smoke") if utterance.id.endswith("0920")]

    assert text is not None
    assert text.startswith("had he married a more amiable woman he might")


def test_references_are_normalized_already():
    """Whisper's normalizer changes no reference, so a WER of 0 is possible."""
    normalize = get_normalizer("english")

    assert [normalize(line["text"]) for line in LINES] == [line["text"] for line in LINES]


@pytest.mark.parametrize("line", LINES, ids=lambda line: line["id"][-4:])
def test_clip_has_its_size_and_checksum(line: dict[str, str]):
    """Each FLAC is the file that was embedded."""
    data = (FOLDER / line["audio_filepath"]).read_bytes()

    assert (len(data), hashlib.sha256(data).hexdigest()) == (line["size"], line["sha256"])


@pytest.mark.parametrize("line", LINES, ids=lambda line: line["id"][-4:])
def test_clip_holds_the_samples_of_the_original(line: dict[str, str]):
    """Each clip decodes to exactly the samples of its WAV file, at 16 kHz and with the listed length."""
    samples, rate = soundfile.read(FOLDER / line["audio_filepath"], dtype="int16")
    digest = hashlib.sha256(samples.astype("<i2").tobytes()).hexdigest()

    assert digest == PCM_SHA256[line["id"][-4:]]
    assert (rate, samples.ndim, len(samples) / rate) == (16_000, 1, line["duration"])
    assert np.abs(samples).max() > 1000


def test_every_utterance_points_at_its_file():
    """Audio is a path in the package, and the list and the folder hold the same files."""
    assert sorted(utterance.audio for utterance in load_dataset("smoke")) == sorted(FOLDER.glob("*.flac"))  # type: ignore[type-var]


def test_source_is_documented():
    """`SOURCE.md` names the source, the licence, the correction and each clip's original checksum."""
    text = (FOLDER / "SOURCE.md").read_text(encoding="utf-8")

    assert len(re.findall(r"^\| \S+\.wav \| [0-9a-f]{64} \|$", text, flags=re.MULTILINE)) == 5
    for said in ("LibriVox", "pocketsphinx 5.1.1", "public domain", "a amiable"):
        assert said in text
