from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from asrlab.audio import Audio, AudioFile, load_audio
from asrlab.vad import EnergyVad, SileroVad
from asrlab.vad.chunking import speech_seconds
from asrlab.vad.detector import silero_files

RATE = 16_000


@pytest.fixture(scope="module")
def silero() -> SileroVad:
    """A voice activity model."""
    pytest.importorskip("onnxruntime", reason="onnxruntime is not installed")
    if not (files := silero_files()):
        pytest.skip("no package here has a voice activity model")
    return SileroVad(files[0])


def sound(samples: np.ndarray) -> Audio:
    """*samples* at 16 kHz."""
    return Audio(samples=samples.astype(np.float32), sample_rate=RATE)


def test_speech_is_found(silero: SileroVad, clips: tuple[Path, ...]):
    """Most of a clip of speech is speech, and never more than all of it."""
    for clip in clips[:2]:
        duration = load_audio(clip).duration
        assert 0.7 * duration < (speech_seconds(clip, vad=silero) or 0.0) <= duration


def test_quiet_speech_is_found(silero: SileroVad, clips: tuple[Path, ...]):
    """Speech at a thousandth of its loudness is found by rescoring."""
    quiet = load_audio(clips[0]).samples * 1e-3
    assert (speech_seconds(sound(quiet), vad=silero) or 0.0) > 3.0


@pytest.mark.parametrize("loudness", [1e-3, 5e-2])
def test_noise_is_not_speech(silero: SileroVad, loudness: float):
    """Noise of any loudness contains no speech."""
    noise = np.random.default_rng(0).standard_normal(5 * RATE) * loudness
    assert speech_seconds(sound(noise), vad=silero) == 0.0


def test_a_long_recording_is_the_sum_of_its_parts(silero: SileroVad, clips: tuple[Path, ...]):
    """Speech in the second and the last half-minute is counted, over blocks and the end of the audio."""
    speech = load_audio(clips[0]).samples
    once = speech_seconds(sound(speech), vad=silero) or 0.0
    gap = np.random.default_rng(1).standard_normal(33 * RATE) * 1e-4
    long = np.concatenate([gap, speech, gap, speech])
    assert speech_seconds(sound(long), vad=silero) == pytest.approx(2 * once, abs=1.0)
    speech_twice = np.resize(speech, 29 * 32 * 512 * 2)
    assert (speech_seconds(sound(speech_twice), vad=silero) or 0.0) > 0.7 * len(speech_twice) / RATE


def test_without_a_model_only_silence_is_certain(clips: tuple[Path, ...]):
    """Without a model the result is unknown, except for digital silence."""
    assert speech_seconds(clips[1], vad=EnergyVad()) is None
    assert speech_seconds(sound(np.zeros(RATE)), vad=EnergyVad()) == 0.0


def test_unreadable_audio_is_unknown(tmp_path: Path):
    """A missing file raises no error here, and the result is unknown."""
    assert speech_seconds(tmp_path / "missing.wav", vad=EnergyVad()) is None
    assert speech_seconds(np.zeros(10), vad=EnergyVad()) is None  # without its rate


def test_truncated_audio_and_parts_are_measured(silero: SileroVad, clips: tuple[Path, ...], tmp_path: Path):
    """Audio that ends early, and a part of a file, are measured to their end."""
    import soundfile

    soundfile.write(tmp_path / "a.wav", load_audio(clips[0]).samples, RATE)
    (tmp_path / "b.wav").write_bytes((tmp_path / "a.wav").read_bytes()[: 4 * RATE])
    assert 1.0 < (speech_seconds(tmp_path / "b.wav", vad=silero) or 0.0) <= 2.0
    part = AudioFile(path=clips[0], offset=1.0, duration=1.0)
    assert 0.5 < (speech_seconds(part, vad=silero) or 0.0) <= 1.0
