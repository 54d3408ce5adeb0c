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
from asrlab.vad.detector import silero_files

RATE = 16_000


def probabilities(vad: VoiceActivityDetector, samples: np.ndarray, *, block: int | None = None) -> np.ndarray:
    """The probabilities of *samples*, fed in blocks of *block* samples or as a whole."""
    stream = vad.start()
    size = block or len(samples)
    fed = [stream.feed(samples[start : start + size]) for start in range(0, len(samples), size)]
    return np.concatenate([*fed, stream.finish()])


@pytest.mark.parametrize("block", [None, 160, 511, 16_384, 70_001])
def test_silero_gives_the_probabilities_of_faster_whisper(clips: tuple[Path, ...], block: int | None):
    """State and context pass from block to block as in faster-whisper's own loop over the same file."""
    vad = pytest.importorskip("faster_whisper.vad", reason="faster-whisper is not installed")
    samples = load_audio(clips[0]).samples
    frames = -(-len(samples) // 512)
    padded = np.pad(samples, (0, (frames + 1) * 512 - len(samples)))  # it overwrites the last 64 samples
    expected = vad.get_vad_model()(padded)[:frames]

    found = probabilities(SileroVad(silero_files()[0]), samples, block=block)

    np.testing.assert_allclose(found, expected, atol=1e-5)


def test_blocks_change_no_bit_of_a_probability(vad: VoiceActivityDetector, clips: tuple[Path, ...]):
    """Each probability is the same to the last bit for any blocks."""
    samples = load_audio(clips[0]).samples
    is_whole = probabilities(vad, samples)

    assert len(is_whole) == -(-len(samples) // 512)
    for block in (100, 512, 4_097, 50_000):
        np.testing.assert_array_equal(probabilities(vad, samples, block=block), is_whole)


@pytest.mark.parametrize("block", [512, 20_000, 200_000])
def test_frames_are_scored_in_groups_of_one_size(block: int):
    """A scorer receives 32 frames at a time, and the remaining frames at the end, for any blocks."""
    groups = []

    def score(frames: np.ndarray) -> np.ndarray:
        groups.append(len(frames))
        return np.zeros(len(frames), np.float32)

    stream = VadStream(score)
    for start in range(0, 100 * 512 - 1, block):
        stream.feed(np.zeros(min(block, 100 * 512 - 1 - start), np.float32))
    stream.finish()
    assert groups == [32, 32, 32, 4]


def test_speech_is_distinguished_from_silence(vad: VoiceActivityDetector, clips: tuple[Path, ...]):
    """Most frames of a clip are speech, and no frame of the faint noise before it is."""
    noise = (np.random.default_rng(0).standard_normal(3 * RATE) * 1e-3).astype(np.float32)
    found = probabilities(vad, np.concatenate([noise, load_audio(clips[0]).samples]))
    before = 3 * RATE // 512 - 2

    assert found[:before].max() < 0.35
    assert (found[before:] >= 0.35).mean() > 0.5


def test_two_recordings_at_once_are_independent(vad: VoiceActivityDetector, clips: tuple[Path, ...]):
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


def test_the_energy_detector_learns_steady_noise():
    """A steady hum is taken for speech for a few seconds at most."""
    noise = (np.random.default_rng(0).standard_normal(30 * RATE) * 0.02).astype(np.float32)
    found = probabilities(EnergyVad(), noise)
    assert found[: RATE // 512].min() > 0.35
    assert found[20 * RATE // 512 :].max() < 0.35


def test_rescoring_finds_quiet_speech(vad: VoiceActivityDetector, clips: tuple[Path, ...]):
    """Rescoring finds speech at -65 dB of full scale; Silero's model finds it even at -75 dB."""
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


def test_info_names_the_file_and_its_package(silero: SileroVad):
    """The info has the model's file, its package and version, and its checksum."""
    assert silero.info.name.startswith("silero_vad")
    assert silero.info.source.partition(" ")[0] in {"faster-whisper", "silero-vad"}
    assert silero.info.source.partition(" ")[2][0].isdigit()
    assert len(silero.info.sha256 or "") == 64


def test_the_best_detector_is_loaded(silero: SileroVad):
    """Silero's model is loaded if it is installed."""
    assert load_vad().info == silero.info


def test_without_a_model_loudness_decides():
    """Without an installed model, the energy detector is loaded, and the info says so."""
    found = load_vad(files=())
    assert found.info.name == "energy"
    assert found.info.source.startswith("asrlab ")
    assert found.info.sha256 is None


def test_a_broken_model_is_skipped_with_a_warning(tmp_path: Path, caplog: pytest.LogCaptureFixture):
    """A file that cannot be loaded is logged, and the next detector is loaded."""
    pytest.importorskip("onnxruntime", reason="onnxruntime is not installed")
    broken = tmp_path / "silero_vad_v6.onnx"
    broken.write_bytes(b"not a model")
    with caplog.at_level(logging.WARNING, "asrlab.vad"):
        assert load_vad(files=[broken]).info.name == "energy"
    assert str(broken) in caplog.text


def test_a_broken_model_is_an_error_if_given(tmp_path: Path):
    """A given file that cannot be loaded raises an error."""
    pytest.importorskip("onnxruntime", reason="onnxruntime is not installed")
    broken = tmp_path / "silero_vad_v6.onnx"
    broken.write_bytes(b"not a model")
    with pytest.raises(WeightsError, match="cannot load the voice activity model"):
        SileroVad(broken)


def test_every_kind_of_silero_file_agrees(clips: tuple[Path, ...]):
    """Files that take one frame per call find the same speech as files that take a sequence."""
    pytest.importorskip("onnxruntime", reason="onnxruntime is not installed")
    files = silero_files()
    if len(files) < 2:
        pytest.skip("silero-vad is not installed beside faster-whisper: there is one file to compare")
    samples = load_audio(clips[0]).samples
    first, *others = (probabilities(SileroVad(path), samples) >= 0.35 for path in files)
    for other in others:
        assert (first == other).mean() > 0.95


def test_loading_a_detector_imports_no_engine():
    """The packages that contain the model are not imported, and importing asrlab.vad loads nothing heavy."""
    program = (
        "import sys, asrlab.vad;"
        "print([name for name in ('numpy', 'onnxruntime') if name in sys.modules]);"
        "asrlab.vad.load_vad();"
        "print([name for name in ('faster_whisper', 'silero_vad', 'torch', 'ctranslate2') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.split("\n")[:2] == ["[]", "[]"]
