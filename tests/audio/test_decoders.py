import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile as sf
import soxr

from asrlab.audio import load_audio, open_audio
from asrlab.errors import AudioError

_SOUNDFILE = [
    ("WAV", "PCM_U8", 2e-2),
    ("WAV", "PCM_16", 1e-4),
    ("WAV", "PCM_24", 1e-6),
    ("WAV", "PCM_32", 1e-6),
    ("WAV", "FLOAT", 1e-7),
    ("WAV", "DOUBLE", 1e-7),
    ("WAV", "ULAW", 5e-2),
    ("RF64", "PCM_16", 1e-4),
    ("W64", "PCM_16", 1e-4),
    ("AIFF", "PCM_24", 1e-6),
    ("AU", "PCM_16", 1e-4),
    ("CAF", "PCM_16", 1e-4),
    ("NIST", "PCM_16", 1e-4),
]
_FFMPEG = [
    ("ipod", "aac", 44_100),
    ("mp4", "aac", 16_000),
    ("adts", "aac", 44_100),
    ("webm", "libopus", 48_000),
    ("ogg", "libopus", 48_000),
    ("asf", "wmav2", 44_100),
    ("matroska", "pcm_s16le", 44_100),
    ("matroska", "libopus", 48_000),
    ("mov", "alac", 44_100),
    ("mp3", "libmp3lame", 44_100),
    ("avi", "pcm_s16le", 8_000),
    ("mpegts", "aac", 48_000),
    ("wav", "libmp3lame", 44_100),
]


def _relative_error(found: Any, expected: Any, *, slack: int) -> float:
    """Return the RMS of the difference over that of the sound, at the best shift of up to *slack* samples."""
    middle = expected[2000:10_000]
    errors = (found[2000 + shift : 10_000 + shift] - middle for shift in range(-slack, slack + 1))
    return min(float(np.linalg.norm(error)) for error in errors) / float(np.linalg.norm(middle))


@pytest.mark.parametrize(("kind", "subtype", "tolerance"), _SOUNDFILE)
def test_pcm_of_any_depth_is_decoded_by_libsndfile(
    sound: Callable[..., Any], written: Callable[..., bytes], kind: str, subtype: str, tolerance: float
):
    """8, 16, 24 and 32 bits and floats are decoded exactly from every container."""
    samples = sound(1.0)
    with open_audio(written(samples, kind=kind, subtype=subtype)) as reader:
        found = reader.read()
        assert reader.decoder == "soundfile"
    assert found.dtype == np.float32
    assert np.abs(found - samples[:, 0]).max() <= tolerance


@pytest.mark.parametrize(("kind", "codec", "rate"), _FFMPEG)
def test_other_formats_are_decoded_by_ffmpeg(
    sound: Callable[..., Any], encoded: Callable[..., bytes], kind: str, codec: str, rate: int
):
    """m4a, mp4, aac, webm, opus, wma, mkv, mov, mp3, avi and ts are decoded with their sound and length."""
    data = encoded(sound(1.5, sample_rate=rate, channels=2), sample_rate=rate, kind=kind, codec=codec)
    with open_audio(data) as reader:
        found = reader.read()
        assert reader.decoder == "pyav"
        assert reader.warnings == ()
    assert len(found) == pytest.approx(24_000, abs=1600)
    assert _relative_error(found, sound(1.5, channels=2).mean(axis=1), slack=1600) < 0.2


@pytest.mark.parametrize(("kind", "subtype"), [("MP3", "MPEG_LAYER_III"), ("OGG", "VORBIS"), ("OGG", "OPUS")])
def test_mp3_and_ogg_start_and_end_on_time(
    sound: Callable[..., Any], written: Callable[..., bytes], kind: str, subtype: str
):
    """The encoder's delay and padding are removed: length and position are exact."""
    samples = sound(1.0, sample_rate=48_000)
    found = load_audio(written(samples, sample_rate=48_000, kind=kind, subtype=subtype)).samples
    assert len(found) == pytest.approx(16_000, abs=48)  # FFmpeg ends Vorbis 2.7 ms early
    assert _relative_error(found, sound(1.0)[:, 0], slack=1) < 0.1


def test_mono_at_16_khz_is_bit_exact():
    """Every 16-bit value is unchanged."""
    samples = np.arange(-32_768, 32_768).astype(np.int16)
    file = io.BytesIO()
    sf.write(file, samples, 16_000, format="WAV")
    assert np.array_equal(load_audio(file.getvalue()).samples, samples.astype(np.float32) / 32_768)


@pytest.mark.parametrize("subtype", ["PCM_S8", "PCM_16", "PCM_24"])
def test_flac_is_bit_exact(sound: Callable[..., Any], written: Callable[..., bytes], subtype: str):
    """FLAC of any depth gives what libsndfile's own decoding of it gives."""
    data = written(sound(3.0, channels=2), kind="FLAC", subtype=subtype)
    expected, _ = sf.read(io.BytesIO(data), dtype="float32")
    with open_audio(data) as reader:
        assert np.array_equal(reader.read(), (expected[:, 0] + expected[:, 1]) / 2)
        assert reader.decoder == "pyav"


@pytest.mark.parametrize("channels", [2, 3, 6, 8])
def test_channels_become_their_mean(sound: Callable[..., Any], written: Callable[..., bytes], channels: int):
    """Stereo to 7.1 is averaged."""
    samples = sound(0.5, channels=channels)
    assert load_audio(written(samples, subtype="FLOAT")).samples == pytest.approx(samples.mean(axis=1), abs=1e-6)


@pytest.mark.parametrize("rate", [8000, 11_025, 22_050, 32_000, 44_100, 48_000, 96_000, 192_000])
def test_any_rate_becomes_16_khz(sound: Callable[..., Any], written: Callable[..., bytes], rate: int):
    """From telephone to studio: the length is right and so is the sound."""
    found = load_audio(written(sound(1.0, sample_rate=rate), sample_rate=rate, subtype="FLOAT")).samples
    assert abs(len(found) - 16_000) <= 1
    assert np.abs(found[400:-400] - sound(1.0)[400 : len(found) - 400, 0]).max() < 1e-3


@pytest.mark.parametrize("rate", [8000, 44_100, 48_000])
def test_resampling_in_chunks_has_no_seams(sound: Callable[..., Any], rate: int):
    """What is resampled chunk by chunk equals the whole resampled at once."""
    samples = sound(20.0, sample_rate=rate)[:, 0]
    with open_audio(samples, sample_rate=rate) as reader:
        blocks = list(reader.blocks(block_s=3.0))
    found, expected = np.concatenate(blocks), soxr.resample(samples, rate, 16_000, quality="HQ")
    assert abs(len(found) - round(len(samples) * 16_000 / rate)) <= 1
    assert np.abs(found[: len(expected)] - expected[: len(found)]).max() < 1e-5


@pytest.mark.parametrize("name", ["a.raw", "a.wav", "a.mp3", "a.flac", "a.vox", "a.txt", "a.m3u8", "noextension"])
def test_content_decides_and_not_the_name(
    sound: Callable[..., Any], written: Callable[..., bytes], encoded: Callable[..., bytes], tmp_path: Path, name: str
):
    """WAV, MP3, FLAC and M4A are known under any name."""
    samples = sound(0.5)
    contents = [written(samples, kind=kind) for kind in ("WAV", "MP3", "FLAC")]
    contents.append(encoded(samples, sample_rate=16_000, kind="ipod", codec="aac"))
    path = tmp_path / name
    for content in contents:
        path.write_bytes(content)
        assert len(load_audio(path).samples) == pytest.approx(8000, abs=1300)
        with path.open("rb") as file:
            assert len(load_audio(file).samples) == pytest.approx(8000, abs=1300)


def test_mp3_named_wav_is_decoded(sound: Callable[..., Any], written: Callable[..., bytes], tmp_path: Path):
    """An MP3 behind a WAV's name is an MP3."""
    path = tmp_path / "speech.wav"
    path.write_bytes(written(sound(0.5), kind="MP3"))
    with open_audio(path) as reader:
        assert len(reader.read()) == 8000
        assert reader.decoder == "pyav"


def test_mp3_without_a_length_header_is_decoded_whole(sound: Callable[..., Any], written: Callable[..., bytes]):
    """Without its Xing frame an MP3 of varying bit rate still comes whole."""
    data = written(np.concatenate([np.zeros((80_000, 1), dtype=np.float32), sound(5.0)]), kind="MP3")
    second_frame = data.index(data[:2], 4)
    with open_audio(data[second_frame:]) as reader:
        assert len(reader.read()) == pytest.approx(160_000, abs=2500)
        assert reader.declared_duration is None


@pytest.mark.parametrize(("kind", "subtype"), [("MP3", "MPEG_LAYER_III"), ("OGG", "VORBIS"), ("OGG", "OPUS")])
def test_two_recordings_in_one_file_are_decoded_both(
    sound: Callable[..., Any], written: Callable[..., bytes], kind: str, subtype: str
):
    """A concatenation does not end with its first part."""
    data = written(sound(2.0), kind=kind, subtype=subtype)
    assert load_audio(data + data).duration == pytest.approx(4.0, abs=0.2)


def test_recordings_of_two_rates_in_one_file_are_decoded_both(sound: Callable[..., Any], written: Callable[..., bytes]):
    """Each stretch of one rate is resampled from its own."""
    rates = (44_100, 16_000)
    data = b"".join(written(sound(2.0, sample_rate=rate), sample_rate=rate, kind="MP3") for rate in rates)
    found = load_audio(data)
    assert found.duration == pytest.approx(4.0, abs=0.2)
    for start in (0, 32_000):
        assert _relative_error(found.samples[start:], sound(2.0)[:, 0], slack=1999) < 0.2


def test_ogg_of_two_rates_is_decoded_whole_or_refused(sound: Callable[..., Any], written: Callable[..., bytes]):
    """Not every FFmpeg follows such a chain, but none ends it quietly after the first recording."""
    rates = (8000, 44_100)
    data = b"".join(written(sound(2.0, sample_rate=rate), sample_rate=rate, kind="OGG") for rate in rates)
    outcome: float | str
    try:
        outcome = load_audio(data).duration
    except AudioError as error:
        outcome = error.reason
    assert outcome in ("truncated", pytest.approx(4.0, abs=0.2))


def test_tags_that_are_not_utf_8_do_no_harm(sound: Callable[..., Any], encoded: Callable[..., bytes]):
    """Old programs write tags in any encoding; the audio is what counts."""
    data = encoded(sound(1.0, sample_rate=48_000), sample_rate=48_000, kind="webm", codec="libopus")
    assert b"Lavf" in data
    assert len(load_audio(data.replace(b"Lavf", b"\xff\xfe\xe9\xe8")).samples) == 16_000


def test_ten_milliseconds_are_decoded(sound: Callable[..., Any], written: Callable[..., bytes]):
    """How short is too short is for the engines to say."""
    assert len(load_audio(written(sound(0.01))).samples) == 160
    assert len(load_audio(written(sound(0.01, sample_rate=48_000), sample_rate=48_000)).samples) == 160


def test_decoders_print_nothing(
    sound: Callable[..., Any], written: Callable[..., bytes], capfd: pytest.CaptureFixture[str]
):
    """Neither a whole nor a damaged MP3 makes a library write to the standard error."""
    data = written(sound(2.0), kind="MP3")
    load_audio(data)
    load_audio(data[: len(data) // 2], allow_truncated=True)
    load_audio(b"ID3\x03\x00\x00\x00\x00\x10\x00" + bytes(2048) + data[: len(data) // 2], allow_truncated=True)
    load_audio(data + bytes(3000))
    assert capfd.readouterr() == ("", "")
