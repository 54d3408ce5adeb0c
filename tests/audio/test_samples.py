from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from asrlab.audio import AudioFile, load_audio
from asrlab.errors import AudioError


@pytest.fixture
def speech(sound: Callable[..., NDArray[np.float32]]) -> NDArray[np.float32]:
    """Return 6 s of sound at 16 kHz, shape (n, 1)."""
    return sound(6.0)


def _codes(audio: Any) -> list[str]:
    return [warning.code for warning in audio.warnings]


@pytest.mark.parametrize(
    "gains",
    [(1, -1), (1, -0.9), (-0.9, 1), (1, -1, 0), (0, 0, 1, -1), (1, 1, -1, -1), (0.5, 0.5, -1)],
    ids=str,
)
def test_channels_that_cancel_give_a_single_channel(speech: NDArray[np.float32], gains: tuple[float, ...]):
    """If the mean of the channels is silent, as with swapped wires, the first loud channel is used."""
    samples = speech * np.array(gains, dtype=np.float32)
    loud = next(gain for gain in gains if gain**2 >= 0.5 * max(gain**2 for gain in gains))
    audio = load_audio(samples, sample_rate=16_000)
    assert np.array_equal(audio.samples, samples[:, gains.index(loud)])
    assert _codes(audio) == ["opposite-phase"]
    assert "6.00 of 6.00 s" in audio.warnings[0].message


@pytest.mark.parametrize(
    "gains", [(1, 1), (1, 0), (0, 1), (1, 0.3), (1, -0.5), (1, 0, 0, 0, 0, 0), (1, 1, -1)], ids=str
)
def test_channels_that_do_not_cancel_give_their_mean(speech: NDArray[np.float32], gains: tuple[float, ...]):
    """Channels that do not cancel are averaged, also if all but one are silent."""
    samples = speech * np.array(gains, dtype=np.float32)
    audio = load_audio(samples, sample_rate=16_000)
    assert audio.samples == pytest.approx(samples.mean(axis=1), abs=1e-6)
    assert audio.warnings == ()


def test_independent_channels_give_their_mean():
    """32 channels of independent noise are averaged without a warning."""
    samples = (0.1 * np.random.default_rng(0).standard_normal((32_000, 32))).astype(np.float32)
    audio = load_audio(samples, sample_rate=16_000)
    assert audio.samples == pytest.approx(samples.mean(axis=1), abs=1e-6)
    assert audio.warnings == ()


@pytest.mark.parametrize(
    ("kind", "codec", "rate"),
    [("WAV", "PCM_16", 44_100), ("FLAC", "PCM_16", 16_000), ("mp3", "libmp3lame", 44_100), ("ogg", "libopus", 48_000)],
)
def test_opposite_channels_of_a_file_are_not_lost(
    sound: Callable[..., Any],
    written: Callable[..., bytes],
    encoded: Callable[..., bytes],
    kind: str,
    codec: str,
    rate: int,
):
    """Opposite channels of a file keep their sound with both decoders, although codecs leave a remainder."""
    speech = sound(4.0, sample_rate=rate)
    samples = np.hstack([speech, -speech])
    encode = written if kind.isupper() else encoded
    facts = {"subtype": codec} if kind.isupper() else {"codec": codec}
    audio = load_audio(encode(samples, sample_rate=rate, kind=kind, **facts))
    assert _codes(audio) == ["opposite-phase"]
    expected = sound(4.0)[:, 0]
    assert np.linalg.norm(audio.samples[8000:48_000]) == pytest.approx(np.linalg.norm(expected[8000:48_000]), rel=0.1)


@pytest.mark.parametrize(
    ("kind", "subtype", "rate"), [("WAV", "PCM_16", 11_025), ("FLAC", "PCM_16", 16_000), ("WAV", "PCM_16", 16_000)]
)
def test_a_part_is_mixed_like_the_whole_file(
    sound: Callable[..., Any], written: Callable[..., bytes], tmp_path: Path, kind: str, subtype: str, rate: int
):
    """Each second of the file is mixed separately, wherever a part begins and ends."""
    speech = sound(8.0, sample_rate=rate)
    is_opposite = (np.arange(len(speech)) // (rate // 4))[:, None] % 7 < 4  # the first 1 s of each 1.75 s
    opposite = np.where(is_opposite, -speech, speech)
    path = tmp_path / "audio"
    path.write_bytes(written(np.hstack([speech, opposite]), sample_rate=rate, kind=kind, subtype=subtype))
    whole = load_audio(path)
    assert "opposite-phase" in _codes(whole)
    for offset, duration in ((0.52, 2.0), (1.0, 3.0), (1.8, 2.0), (2.76, 1.12), (3.32, 4.0), (6.92, None)):
        part = load_audio(AudioFile(path=path, offset=offset, duration=duration)).samples
        expected = whole.samples[round(offset * 16_000) :][: len(part)]
        assert np.abs(part[800:-800] - expected[800:-800]).max() < (0.0 if rate == 16_000 else 0.02) + 1e-6


def test_seconds_that_do_not_cancel_keep_their_mean(speech: NDArray[np.float32]):
    """Only seconds whose channels cancel use a single channel, and the warning has their number."""
    samples = np.hstack([speech, speech])
    samples[32_000:64_000, 1] *= -1
    audio = load_audio(samples, sample_rate=16_000)
    assert np.array_equal(audio.samples, speech[:, 0])
    assert "2.00 of 6.00 s" in audio.warnings[0].message


def test_silence_of_two_channels_is_silence():
    """Opposite noise below -80 dBFS counts as silence."""
    noise = (1e-5 * np.random.default_rng(0).standard_normal((32_000, 1))).astype(np.float32)
    assert _codes(load_audio(np.hstack([noise, -noise]), sample_rate=16_000)) == ["silent"]


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_an_invalid_sample_in_opposite_channels_is_refused(speech: NDArray[np.float32], value: float):
    """An invalid sample is refused also in the channel that is not used."""
    samples = np.hstack([speech, -speech])
    samples[40_000, 1] = value
    with pytest.raises(AudioError, match=r"at second 2\.500"):
        load_audio(samples, sample_rate=16_000)
