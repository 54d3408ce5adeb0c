from __future__ import annotations

import logging
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from asrlab.audio import load_audio
from asrlab.errors import WeightsError
from asrlab.vad import EnergyVad, SileroVad, VadStream, VoiceActivityDetector, load_vad
from asrlab.vad.silero import silero_files

RATE = 16_000


def probabilities(vad: VoiceActivityDetector, samples: np.ndarray, *, block: int | None = None) -> np.ndarray:
    """The probabilities of *samples*, fed in blocks of *block* samples or as a whole."""
    stream = vad.start()
    size = block or len(samples)
    fed = [stream.feed(samples[start : start + size]) for start in range(0, len(samples), size)]
    return np.concatenate([*fed, stream.finish()])


@pytest.mark.parametrize("block", [None, 160, 511, 16_384, 70_001])
def test_silero_gives_the_probabilities_of_faster_whisper(clips: tuple[Path, ...], block: int | None):
    """The state and the context go from block to block as in faster-whisper's own loop over the same file."""
    vad = pytest.importorskip("faster_whisper.vad", reason="faster-whisper is not installed")
    samples = load_audio(clips[0]).samples
    frames = -(-len(samples) // 512)
    padded = np.pad(samples, (0, (frames + 1) * 512 - len(samples)))  # it overwrites the last 64 samples
    expected = vad.get_vad_model()(padded)[:frames]

    found = probabilities(SileroVad(silero_files()[0]), samples, block=block)

    np.testing.assert_allclose(found, expected, atol=1e-5)


def test_blocks_change_no_bit_of_a_probability(vad: VoiceActivityDetector, clips: tuple[Path, ...]):
    """Whatever blocks the samples come in, each probability is the same to the last bit."""
    samples = load_audio(clips[0]).samples
    is_whole = probabilities(vad, samples)

    assert len(is_whole) == -(-len(samples) // 512)
    for block in (100, 512, 4_097, 50_000):
        np.testing.assert_array_equal(probabilities(vad, samples, block=block), is_whole)


@pytest.mark.parametrize("block", [512, 20_000, 200_000])
def test_frames_are_scored_in_groups_of_one_size(block: int):
    """A scorer is given 32 frames a time, and what is left at the end, whatever the blocks."""
    groups = []

    class Counting:
        def score(self, frames: np.ndarray) -> np.ndarray:
            groups.append(len(frames))
            return np.zeros(len(frames), np.float32)

    stream = VadStream(Counting())
    for start in range(0, 100 * 512 - 1, block):
        stream.feed(np.zeros(min(block, 100 * 512 - 1 - start), np.float32))
    stream.finish()
    assert groups == [32, 32, 32, 4]


def test_speech_is_told_from_silence(vad: VoiceActivityDetector, clips: tuple[Path, ...]):
    """Most frames of a clip are voice, none of the faint noise before it is."""
    noise = (np.random.default_rng(0).standard_normal(3 * RATE) * 1e-3).astype(np.float32)
    found = probabilities(vad, np.concatenate([noise, load_audio(clips[0]).samples]))
    before = 3 * RATE // 512 - 2

    assert found[:before].max() < 0.35
    assert (found[before:] >= 0.35).mean() > 0.5


def test_two_recordings_at_once_do_not_disturb_each_other(vad: VoiceActivityDetector, clips: tuple[Path, ...]):
    """Each stream has its own state."""
    first, second = (load_audio(path).samples[: 2 * RATE] for path in clips[:2])
    streams = [vad.start(), vad.start()]
    fed: list[list[np.ndarray]] = [[], []]
    for start in range(0, 2 * RATE, 8000):
        for place, samples in enumerate((first, second)):
            fed[place].append(streams[place].feed(samples[start : start + 8000]))

    for place, samples in enumerate((first, second)):
        np.testing.assert_array_equal(
            np.concatenate([*fed[place], streams[place].finish()]), probabilities(vad, samples)
        )


def test_steady_noise_becomes_silence_to_energy():
    """A hum that stays is called voice for some seconds at most."""
    noise = (np.random.default_rng(0).standard_normal(30 * RATE) * 0.02).astype(np.float32)
    found = probabilities(EnergyVad(), noise)
    assert found[: RATE // 512].min() > 0.35
    assert found[20 * RATE // 512 :].max() < 0.35


def test_rescoring_finds_quiet_speech(vad: VoiceActivityDetector, clips: tuple[Path, ...]):
    """Speech at -65 dB of full scale is voice on second hearing; Silero's model hears it even at -75 dB."""
    gain = np.float32(0.01 if vad.info.name == "energy" else 0.003)
    samples = load_audio(clips[1]).samples * gain
    again = vad.rescore(samples)
    assert again is not None
    assert len(again) == -(-len(samples) // 512)
    assert (again >= 0.35).mean() > 0.2


def test_rescoring_does_not_find_speech_in_noise(vad: VoiceActivityDetector):
    """Faint steady noise stays silence when it is amplified, and digital silence is not amplified at all."""
    noise = np.random.default_rng(0).standard_normal(10 * RATE).astype(np.float32)
    for samples in (noise * np.float32(0.003), noise * np.float32(1e-6), np.zeros(RATE, np.float32)):
        again = vad.rescore(samples)
        assert again is None or again.max() < 0.35


def test_the_facts_name_the_file_and_its_package(silero: SileroVad):
    """A reader can tell which model found the silences: its file, its package and version, its checksum."""
    assert silero.info.name.startswith("silero_vad")
    assert silero.info.source.partition(" ")[0] in {"faster-whisper", "silero-vad"}
    assert silero.info.source.partition(" ")[2][0].isdigit()
    assert len(silero.info.sha256 or "") == 64


def test_the_best_detector_is_found(silero: SileroVad):
    """Where Silero's model is installed, it is what is found."""
    assert load_vad().info == silero.info


def test_without_a_model_there_is_energy():
    """Where no model is installed, loudness decides, and the facts say so."""
    found = load_vad(files=())
    assert found.info.name == "energy"
    assert found.info.source.startswith("asrlab ")
    assert found.info.sha256 is None


def test_a_broken_model_is_passed_over_with_a_warning(tmp_path: Path, caplog: pytest.LogCaptureFixture):
    """A file that does not load is told in the log, and the next detector is taken."""
    pytest.importorskip("onnxruntime", reason="onnxruntime is not installed")
    broken = tmp_path / "silero_vad_v6.onnx"
    broken.write_bytes(b"not a model")
    with caplog.at_level(logging.WARNING, "asrlab.vad"):
        assert load_vad(files=[broken]).info.name == "energy"
    assert str(broken) in caplog.text


def test_a_broken_model_is_an_error_by_name(tmp_path: Path):
    """Who asks for one file is told that it does not load."""
    pytest.importorskip("onnxruntime", reason="onnxruntime is not installed")
    broken = tmp_path / "silero_vad_v6.onnx"
    broken.write_bytes(b"not a model")
    with pytest.raises(WeightsError, match="cannot load the voice activity model"):
        SileroVad(broken)


def test_every_kind_of_silero_file_agrees(clips: tuple[Path, ...]):
    """The files that take a frame a call find the same speech as those that take a sequence."""
    pytest.importorskip("onnxruntime", reason="onnxruntime is not installed")
    files = silero_files()
    if len(files) < 2:
        pytest.skip("silero-vad is not installed beside faster-whisper: there is one file to compare")
    samples = load_audio(clips[0]).samples
    first, *others = (probabilities(SileroVad(path), samples) >= 0.35 for path in files)
    for other in others:
        assert (first == other).mean() > 0.95


def test_finding_a_detector_imports_no_engine():
    """The packages that bring the model are found without being imported, and the room itself loads nothing heavy."""
    program = (
        "import sys, asrlab.vad;"
        "print([name for name in ('numpy', 'onnxruntime') if name in sys.modules]);"
        "asrlab.vad.load_vad();"
        "print([name for name in ('faster_whisper', 'silero_vad', 'torch', 'ctranslate2') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.split("\n")[:2] == ["[]", "[]"]
