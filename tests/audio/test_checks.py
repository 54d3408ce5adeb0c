import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from asrlab.audio import load_audio, open_audio
from asrlab.errors import AudioError


def _assert_refused(source: Any, **options: Any) -> AudioError:
    with pytest.raises(AudioError) as caught:
        load_audio(source, **options)
    return caught.value


def test_zero_bytes_are_empty(tmp_path: Path):
    """The error for a file of no bytes says so."""
    path = tmp_path / "a.wav"
    path.touch()
    error = _assert_refused(path)
    assert error.reason == "empty"
    assert "0 bytes" in error.message


@pytest.mark.parametrize("kind", ["WAV", "AIFF", "AU", "CAF"])
def test_header_only_is_empty(written: Callable[..., bytes], kind: str):
    """The error for a header without samples says so."""
    error = _assert_refused(written(np.zeros((0, 1), dtype=np.float32), kind=kind))
    assert error.reason == "empty"
    assert "no samples" in error.message


def test_flac_without_a_frame_is_empty(sound: Callable[..., Any], written: Callable[..., bytes]):
    """A FLAC that ends where its first frame should begin has no samples."""
    data = written(sound(1.0), kind="FLAC")
    assert _assert_refused(data[: data.index(b"\xff\xf8")]).reason == "empty"


def test_header_cut_off_before_its_samples_is_empty(sound: Callable[..., Any], written: Callable[..., bytes]):
    """A WAV that ends where its samples should begin has none."""
    assert _assert_refused(written(sound(1.0))[:44]).reason == "empty"


@pytest.mark.parametrize("start", [b"", b"\xff\xfb\x90\x00", b"ID3\x03\x00\x00\x00\x00\x00\x00", b"\x00\x00\x00\x20"])
@pytest.mark.parametrize("seed", range(5))
def test_random_bytes_are_undecodable(start: bytes, seed: int, capfd: pytest.CaptureFixture[str]):
    """Noise is refused, even after an MP3's first bytes, and no library prints a message."""
    error = _assert_refused(start + np.random.default_rng(seed).bytes(20_000))
    assert error.reason == "undecodable"
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize(
    ("content", "likeness"),
    [
        (b"<!DOCTYPE html><html><body>404 Not Found</body></html>", "HTML"),
        (b"\xef\xbb\xbf\n  <html>", "HTML"),
        (b"<?xml version='1.0'?><Error/>", "XML"),
        (json.dumps({"error": "not found"}).encode(), "JSON"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n", "git lfs pull"),
        (b"PK\x03\x04" + bytes(100), "zip"),
        (b"\x1f\x8b\x08" + bytes(100), "gzip"),
        (b"%PDF-1.7\n", "PDF"),
        (b"\x93NUMPY\x01\x00", "numpy.load"),
        ("Hörprobe: ein Satz.\n".encode() * 40, "text"),
        (b"\x00\x00\x00\x1cftypM4A " + bytes(100), "MP4 file without its index"),
    ],
)
def test_other_content_named_wav_is_recognized(content: bytes, likeness: str, tmp_path: Path):
    """The error for an HTML page or another file with an audio file's name states its real type."""
    path = tmp_path / "speech.wav"
    path.write_bytes(content)
    error = _assert_refused(path)
    assert (error.reason, error.source) == ("undecodable", str(path))
    assert likeness in error.message


def test_picture_is_undecodable():
    """A file without audio that FFmpeg can open is undecodable."""
    picture = (
        b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR\x00\x00\x00\x01\x00\x00\x00\x01\x08\x06\x00\x00\x00\x1f\x15\xc4\x89"
        b"\x00\x00\x00\rIDATx\x9cc\xf8\xff\xff?\x00\x05\xfe\x02\xfe\xa7\x9a\xa0\xa0\x00\x00\x00\x00IEND\xaeB`\x82"
    )
    assert "PNG image" in _assert_refused(picture).message


def test_playlist_never_opens_the_files_it_names(
    sound: Callable[..., Any], written: Callable[..., bytes], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """Neither an HLS playlist nor a concat script makes a decoder read another file."""
    (tmp_path / "other.wav").write_bytes(written(sound(1.0)))
    monkeypatch.chdir(tmp_path)
    for content in (
        b"ffconcat version 1.0\nfile other.wav\n",
        b"ffconcat version 1.0\nfile '%s'\n" % bytes(tmp_path / "other.wav"),
        b"#EXTM3U\n#EXT-X-TARGETDURATION:10\n#EXTINF:10,\nother.wav\n#EXT-X-ENDLIST\n",
    ):
        for name in ("list.m3u8", "list.wav", "list.ffconcat"):
            (tmp_path / name).write_bytes(content)
            error = _assert_refused(tmp_path / name)
            assert error.reason == "undecodable"
            assert "playlist" in error.message


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_sample_that_is_not_finite_is_refused_with_its_time(
    sound: Callable[..., Any], written: Callable[..., bytes], value: float
):
    """NaN and the infinities are refused anywhere in a file, in any channel and before resampling."""
    samples = sound(70.0, sample_rate=8000, channels=2)
    samples[8000 * 65, 1] = value
    for error in (
        _assert_refused(samples, sample_rate=8000),
        _assert_refused(written(samples, sample_rate=8000, subtype="FLOAT")),
    ):
        assert error.reason == "not-finite"
        assert "at second 65.000" in error.message
        assert f"{value:g}" in error.message


def test_float_beyond_float32_is_refused():
    """A double that float32 cannot represent counts as infinite."""
    assert _assert_refused(np.array([0.0, 1e300]), sample_rate=16_000).reason == "not-finite"


def test_integer_samples_in_a_float_file_are_refused(sound: Callable[..., Any], written: Callable[..., bytes]):
    """A WAV of floats that go up to thousands is out of range."""
    assert _assert_refused(written(sound(0.1) * 32_768, subtype="FLOAT")).reason == "out-of-range"


def test_silence_is_decoded_with_a_warning(written: Callable[..., bytes]):
    """A recording of zeros is decoded with a warning."""
    with open_audio(written(np.zeros((16_000, 1), dtype=np.float32))) as reader:
        assert not reader.read().any()
        assert [warning.code for warning in reader.warnings] == ["silent"]
        assert "1.00 s" in str(reader.warnings[0])


def test_quiet_speech_is_not_silence(sound: Callable[..., Any], written: Callable[..., bytes]):
    """A sound 60 dB below the usual level is not silence."""
    with open_audio(written(sound(1.0) / 1000, subtype="FLOAT")) as reader:
        reader.read()
        assert reader.warnings == ()
