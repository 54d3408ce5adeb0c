import io
import struct
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


def _half(data: bytes) -> bytes:
    return data[: len(data) // 2]


@pytest.mark.parametrize(
    ("kind", "subtype"),
    [
        ("WAV", "PCM_16"),
        ("WAV", "PCM_U8"),
        ("WAV", "FLOAT"),
        ("WAV", "IMA_ADPCM"),
        ("WAVEX", "PCM_24"),
        ("RF64", "PCM_16"),
        ("W64", "PCM_16"),
        ("AIFF", "PCM_16"),
        ("AU", "PCM_16"),
        ("CAF", "PCM_16"),
        ("NIST", "PCM_16"),
        ("FLAC", "PCM_16"),
        ("MP3", "MPEG_LAYER_III"),
    ],
)
def test_file_cut_in_half_is_refused_with_both_lengths(
    sound: Callable[..., Any], written: Callable[..., bytes], kind: str, subtype: str
):
    """WAV, related formats, FLAC and MP3 declare more than remains."""
    error = _assert_refused(_half(written(sound(8.0), kind=kind, subtype=subtype)))
    assert error.reason == "truncated"
    assert error.declared == pytest.approx(8.0, abs=0.1)
    assert 3.0 < error.decoded < 5.0
    assert "--allow-truncated" in error.message
    assert f"{error.declared:.2f} s" in error.message
    assert f"{error.decoded:.2f} s" in error.message


@pytest.mark.parametrize(
    ("kind", "codec", "rate", "options"),
    [
        ("webm", "libopus", 48_000, {}),
        ("matroska", "pcm_s16le", 16_000, {}),
        ("asf", "wmav2", 44_100, {}),
        ("mp4", "aac", 44_100, {"movflags": "frag_keyframe+empty_moov"}),
    ],
)
def test_container_cut_in_half_is_refused_with_both_lengths(
    sound: Callable[..., Any], encoded: Callable[..., bytes], kind: str, codec: str, rate: int, options: dict[str, str]
):
    """WebM, Matroska, WMA, and MP4 whose index comes first, declare more than remains."""
    data = encoded(sound(8.0, sample_rate=rate), sample_rate=rate, kind=kind, codec=codec, options=options)
    error = _assert_refused(_half(data))
    assert error.reason == "truncated"
    assert error.declared == pytest.approx(8.0, abs=0.1)
    assert 3.0 < error.decoded < 5.0


def test_m4a_cut_off_before_its_index_says_so(sound: Callable[..., Any], encoded: Callable[..., bytes]):
    """An M4A has its index at the end, without which nothing can be decoded."""
    error = _assert_refused(
        _half(encoded(sound(2.0), sample_rate=16_000, kind="ipod", codec="aac")), allow_truncated=True
    )
    assert error.reason == "undecodable"
    assert "cut off" in error.message


@pytest.mark.parametrize("subtype", ["VORBIS", "OPUS"])
def test_ogg_cut_within_a_page_is_refused(sound: Callable[..., Any], written: Callable[..., bytes], subtype: str):
    """Ogg declares no length, but an incomplete page shows that the end is missing."""
    error = _assert_refused(_half(written(sound(60.0), kind="OGG", subtype=subtype)))
    assert (error.reason, error.declared) == ("truncated", None)
    assert "last Ogg page" in error.message


@pytest.mark.parametrize("kind", ["WAV", "FLAC", "MP3", "OGG"])
def test_truncated_audio_is_decoded_if_allowed(sound: Callable[..., Any], written: Callable[..., bytes], kind: str):
    """With allow_truncated, the start of the file is decoded with a warning."""
    data = written(sound(60.0), kind=kind)
    whole = load_audio(data).samples
    with open_audio(_half(data), allow_truncated=True) as reader:
        found = reader.read()
        assert [warning.code for warning in reader.warnings] == ["truncated"]
        assert "could be decoded" in str(reader.warnings[0]) or "cut off" in str(reader.warnings[0])
    assert 25.0 < len(found) / 16_000 < 35.0
    assert np.abs(found[:-2000] - whole[: len(found) - 2000]).max() < 1e-3


def test_truncated_wav_is_refused_at_opening(sound: Callable[..., Any], written: Callable[..., bytes]):
    """If the header alone shows the truncation, opening fails before an engine starts."""
    with pytest.raises(AudioError, match="truncated"):
        open_audio(_half(written(sound(8.0))))


def test_wav_with_other_chunks_is_measured_by_its_data(sound: Callable[..., Any], written: Callable[..., bytes]):
    """Chunks before and after the samples, even of odd length, do not count."""
    data = written(sound(1.0))
    extra = b"LIST" + struct.pack("<I", 5) + b"hello\0"
    whole = data[:36] + extra + data[36:] + extra
    assert load_audio(whole).duration == 1.0
    assert _assert_refused(whole[:20_000]).declared == pytest.approx(1.0, abs=1e-3)


def test_big_endian_wav_is_measured(sound: Callable[..., Any]):
    """RIFX is RIFF in big-endian byte order."""
    samples = (sound(1.0)[:, 0] * 32_767).astype(">i2").tobytes()
    header = b"RIFX" + struct.pack(">I", 36 + len(samples)) + b"WAVEfmt "
    header += struct.pack(">IHHIIHH", 16, 1, 1, 16_000, 32_000, 2, 16) + b"data" + struct.pack(">I", len(samples))
    assert load_audio(header + samples).duration == 1.0
    assert _assert_refused(_half(header + samples)).declared == pytest.approx(1.0, abs=1e-3)


@pytest.mark.parametrize("size", [0, 0xFFFFFFFF, 0xFFFFFFDB, 0x7FFFFFFF, 0x7FFFF000, 0x80000000])
def test_wav_from_a_pipe_is_read_to_its_end(sound: Callable[..., Any], written: Callable[..., bytes], size: int):
    """A placeholder for the length is ignored, and the file is read to its end."""
    data = bytearray(written(sound(1.0)))
    data[40:44] = struct.pack("<I", size)
    assert load_audio(bytes(data)).duration == 1.0


def test_flac_from_a_pipe_is_read_to_its_end(sound: Callable[..., Any], written: Callable[..., bytes]):
    """A FLAC that declares no length is decoded completely."""
    data = bytearray(written(sound(10.0), kind="FLAC"))
    facts = int.from_bytes(data[18:26])
    data[18:26] = (facts >> 36 << 36).to_bytes(8)
    with open_audio(bytes(data)) as reader:
        assert len(reader.read()) == 160_000
        assert reader.declared_duration is None


@pytest.mark.parametrize("tags", [b"TAG" + b" " * 125, b"APETAGEX" + bytes(2000)])
def test_tags_around_an_mp3_are_no_damage(sound: Callable[..., Any], written: Callable[..., bytes], tags: bytes):
    """An ID3v2 tag in front, with a cover, and tags at the end change neither length nor samples."""
    data = written(sound(2.0), kind="MP3")
    cover = b"ID3\x03\x00\x00\x00\x08\x00\x00" + b"\xff\xfb\x90\x00" * 2**15  # full of what looks like frames
    with open_audio(cover + data + tags) as reader:
        assert len(reader.read()) == pytest.approx(32_000, abs=1200)
        assert reader.declared_duration == 2.0


def test_damage_within_a_file_that_declares_no_length_is_refused(
    sound: Callable[..., Any], encoded: Callable[..., bytes]
):
    """Without a declared length, packets that fail in the middle are enough to refuse a file."""
    data = bytearray(encoded(sound(8.0, sample_rate=44_100), sample_rate=44_100, kind="adts", codec="aac"))
    middle = slice(len(data) // 2, len(data) // 2 + len(data) // 8)
    data[middle] = bytes(len(data) // 8)
    error = _assert_refused(bytes(data))
    assert (error.reason, error.declared) == ("truncated", None)
    with open_audio(bytes(data), allow_truncated=True) as reader:
        reader.read()
        assert 6.0 < reader.duration < 7.9
    assert [warning.code for warning in reader.warnings] == ["truncated"]


def test_last_frame_cut_off_is_a_warning(sound: Callable[..., Any], encoded: Callable[..., bytes]):
    """Raw AAC that stops within a frame loses a fiftieth of a second, which gives a warning."""
    data = encoded(sound(4.0, sample_rate=44_100), sample_rate=44_100, kind="adts", codec="aac")
    with open_audio(data[:-20]) as reader:
        reader.read()
    assert [warning.code for warning in reader.warnings] == ["damaged"]


_PIPED = [
    ("avi", "pcm_s16le", 16_000),
    ("rm", "ac3", 48_000),
    ("w64", "pcm_s16le", 16_000),
    ("voc", "pcm_s16le", 16_000),
    ("flv", "aac", 44_100),
    ("aiff", "pcm_s16be", 16_000),
    ("caf", "pcm_s16be", 16_000),
    ("sox", "pcm_s32le", 16_000),
    ("adx", "adpcm_adx", 16_000),
    ("matroska", "aac", 16_000),
    ("flac", "flac", 16_000),
    ("ogg", "libopus", 48_000),
    ("wv", "wavpack", 16_000),
    ("tta", "tta", 16_000),
]


class _Pipe(io.BytesIO):
    """File that cannot seek backwards."""

    def seekable(self) -> bool:
        """Never."""
        return False


@pytest.mark.parametrize(("kind", "codec", "rate"), _PIPED)
def test_file_written_to_a_pipe_is_decoded_whole(
    sound: Callable[..., Any], encoded: Callable[..., bytes], tmp_path: Path, kind: str, codec: str, rate: int
):
    """A writer that cannot go back leaves a placeholder or no length: no audio is missing."""
    data = encoded(sound(2.0, sample_rate=rate), sample_rate=rate, kind=kind, codec=codec, file=_Pipe())
    path = tmp_path / "piped"
    path.write_bytes(data)
    assert load_audio(path).duration == pytest.approx(2.0, abs=0.15)


def test_voc_of_sox_is_decoded_whole(sound: Callable[..., Any], written: Callable[..., bytes]):
    """SoX declares 8 bytes too few, so samples follow where the next block should begin."""
    data = bytearray(written(sound(1.0), kind="VOC", subtype="PCM_16"))
    data[27:30] = (int.from_bytes(data[27:30], "little") - 8).to_bytes(3, "little")
    data[-9:-1] = b"\xf5\xff\xfa\xff\xfc\xff\xfb\xff"
    assert load_audio(bytes(data)).duration == pytest.approx(1.0, abs=0.01)


@pytest.mark.parametrize("kind", ["mov", "caf"])
def test_alac_is_decoded_whole(sound: Callable[..., Any], encoded: Callable[..., bytes], kind: str):
    """ALAC is decoded completely, with or without the padding of the last frame in the header."""
    data = encoded(sound(1.3), sample_rate=16_000, kind=kind, codec="alac")
    assert load_audio(data).duration == pytest.approx(1.3, abs=0.13)
