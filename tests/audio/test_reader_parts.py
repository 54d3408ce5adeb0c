from collections.abc import Callable
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from asrlab.audio import AudioFile, load_audio, open_audio
from asrlab.errors import AudioError


def _assert_refused(source: Any) -> AudioError:
    with pytest.raises(AudioError) as caught:
        load_audio(source)
    return caught.value


@pytest.fixture
def make(sound: Callable[..., Any], written: Callable[..., bytes], encoded: Callable[..., bytes], tmp_path: Path):
    """Return a function that writes 12 s of sound in a container and returns the path."""

    def _make(kind: str, codec: str, rate: int) -> Path:
        samples = sound(12.0, sample_rate=rate)
        if kind.isupper():
            data = written(samples, sample_rate=rate, kind=kind, subtype=codec)
        else:
            data = encoded(samples, sample_rate=rate, kind=kind, codec=codec)
        path = tmp_path / "audio"
        path.write_bytes(data)
        return path

    return _make


@pytest.mark.parametrize(
    ("kind", "codec", "rate", "tolerance"),
    [
        ("WAV", "PCM_16", 16_000, 0.0),
        ("FLAC", "PCM_16", 16_000, 0.0),
        ("WAV", "GSM610", 8000, 0.05),
        ("MP3", "MPEG_LAYER_III", 16_000, 1e-3),
        ("OGG", "VORBIS", 16_000, 1e-3),
        ("OGG", "OPUS", 48_000, 1e-2),
        ("ipod", "aac", 16_000, 1e-3),
        ("adts", "aac", 16_000, 1e-3),
        ("mov", "alac", 16_000, 1e-3),
        ("matroska", "pcm_s16le", 16_000, 1e-3),
        ("asf", "wmav2", 16_000, 2e-2),
    ],
)
@pytest.mark.parametrize(("offset", "duration"), [(0.5, 2.0), (5.25, 1.5), (10.0, None), (0.0, 3.0)])
def test_a_part_equals_the_same_span_of_the_file(
    make: Callable[..., Path], kind: str, codec: str, rate: int, tolerance: float, offset: float, duration: float | None
):
    """A part of a file has the samples of the same span of the file, in every container."""
    path = make(kind, codec, rate)
    whole = load_audio(path).samples
    with open_audio(AudioFile(path=path, offset=offset, duration=duration)) as reader:
        part = reader.read()
        assert reader.duration == pytest.approx(len(part) / 16_000)
    expected = whole[round(offset * 16_000) :][: None if duration is None else round(duration * 16_000)]
    assert abs(len(part) - len(expected)) <= 16
    # A filter's edges differ, and Matroska and ASF round times to a millisecond.
    errors = [
        np.abs(part[200 + shift : 16_000 + shift] - expected[200:16_000]).max()
        for shift in (range(-16, 17) if kind in {"matroska", "asf"} else (0,))
    ]
    assert min(errors) <= tolerance


def test_a_part_of_a_resampled_file_has_the_right_length(make: Callable[..., Path]):
    """Offset and duration are in seconds at any sample rate."""
    path = make("WAV", "PCM_16", 44_100)
    with open_audio(AudioFile(path=path, offset=1.0, duration=2.5)) as reader:
        assert reader.declared_duration == 2.5
        assert abs(len(reader.read()) - 40_000) <= 1


def test_a_file_without_offset_is_read_whole(make: Callable[..., Path]):
    """An `AudioFile` without offset and duration is the whole file."""
    path = make("WAV", "PCM_16", 16_000)
    assert load_audio(AudioFile(path=path)).duration == 12.0


@pytest.mark.parametrize(("kind", "codec"), [("WAV", "PCM_16"), ("MP3", "MPEG_LAYER_III"), ("ipod", "aac")])
def test_a_part_beyond_the_end_is_refused(make: Callable[..., Path], kind: str, codec: str):
    """A part that ends or starts after the end of the file is refused with the reason."""
    path = make(kind, codec, 16_000)
    error = _assert_refused(AudioFile(path=path, offset=10.0, duration=5.0))
    assert (error.reason, error.declared) == ("truncated", 5.0)
    assert error.decoded == pytest.approx(2.0, abs=0.2)
    assert "was asked for" in error.message
    error = _assert_refused(AudioFile(path=path, offset=20.0, duration=5.0))
    assert error.reason == "empty"
    assert "check the offset" in error.message


def test_a_part_that_exceeds_the_file_by_rounding_is_accepted(make: Callable[..., Path]):
    """A part that ends 0.1 s after the end of the file, as in manifests with rounded durations, is accepted."""
    path = make("WAV", "PCM_16", 16_000)
    assert load_audio(AudioFile(path=path, offset=10.0, duration=2.1)).duration == 2.0


def test_an_intact_part_of_a_truncated_file_is_accepted(make: Callable[..., Path]):
    """A part before the end of a truncated file is read; a part beyond it is refused."""
    path = make("WAV", "PCM_16", 16_000)
    path.write_bytes(path.read_bytes()[:200_000])
    assert load_audio(AudioFile(path=path, offset=2.0, duration=3.0)).duration == 3.0
    assert _assert_refused(AudioFile(path=path, offset=2.0)).declared == pytest.approx(10.0, abs=1e-3)


def test_damage_before_a_part_is_ignored(make: Callable[..., Path]):
    """Damage before the offset of a part is skipped without a warning."""
    path = make("matroska", "aac", 16_000)
    data = bytearray(path.read_bytes())
    with av.open(str(path)) as container:
        early = [
            packet for packet in container.demux(audio=0) if packet.size and 1.0 < packet.pts * packet.time_base < 4.0
        ]
    for packet in early:
        start = data.index(bytes(packet))
        data[start : start + packet.size] = b"\xff" * packet.size
    path.write_bytes(data)
    assert _assert_refused(path).reason == "truncated"
    with open_audio(AudioFile(path=path, offset=6.0, duration=3.0)) as reader:
        assert len(reader.read()) == 48_000
        assert reader.warnings == ()


def test_the_time_of_an_invalid_sample_counts_from_the_start_of_the_file(
    sound: Callable[..., Any], written: Callable[..., bytes], tmp_path: Path
):
    """The time of an invalid sample in the message counts from the start of the file, not of the part."""
    samples = sound(4.0)
    samples[48_000] = np.nan
    path = tmp_path / "a.wav"
    path.write_bytes(written(samples, subtype="FLOAT"))
    assert "at second 3.000" in _assert_refused(AudioFile(path=path, offset=1.0)).message
    assert load_audio(AudioFile(path=path, duration=2.0)).duration == 2.0
