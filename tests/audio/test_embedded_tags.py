"""Concatenated files are decoded whole, or a warning names the part that is not decoded."""

import io
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from asrlab.audio import load_audio
from asrlab.audio.integrity import without_embedded_tags
from asrlab.audio.stream import open_stream
from asrlab.errors import AudioError

_COVER = b"APIC" + (b"\xff\xfb\x90\x00" + bytes(range(200))) * 300  # contains bytes that look like frames


def _id3(content: bytes) -> bytes:
    size = len(content)
    return b"ID3\x03\x00\x00" + bytes(size >> shift & 0x7F for shift in (21, 14, 7, 0)) + content


def _ape(content: bytes) -> bytes:
    facts = (2000).to_bytes(4, "little") + (len(content) + 32).to_bytes(4, "little") + (1).to_bytes(4, "little")
    header = b"APETAGEX" + facts + (1 << 31 | 1 << 29).to_bytes(4, "little") + bytes(8)
    return header + content + b"APETAGEX" + facts + (1 << 31).to_bytes(4, "little") + bytes(8)


def _without_length(mp3: bytes) -> bytes:
    """Remove the first frame of an MP3, which declares the length."""
    return mp3[mp3.index(mp3[:2], 4) :]


@pytest.fixture(scope="module")
def mp3(sound: Callable[..., NDArray[np.float32]], written: Callable[..., bytes]) -> bytes:
    """Return 2 s of sound as MP3, with a header that declares the length and without tags."""
    return written(sound(2.0), kind="MP3")


@pytest.mark.parametrize(
    "tags",
    [
        _id3(b"TIT2\x00\x00\x00\x05\x00\x00\x00Two."),
        _id3(_COVER),
        b"TAG" + b"One".ljust(125, b"\0"),
        b"TAG" + bytes(125) + _id3(_COVER),
        _ape(b"\x03\x00\x00\x00\x00\x00\x00\x00Title\x00Two") + _id3(bytes(300)),
    ],
    ids=["id3v2", "cover", "id3v1", "id3v1+cover", "ape+id3v2"],
)
@pytest.mark.parametrize("has_length", [True, False])
def test_concatenated_mp3_with_tags_is_decoded_whole(mp3: bytes, tags: bytes, *, has_length: bool):
    """Tags between the recordings are neither damage nor sound."""
    parts = [mp3 if has_length else _without_length(mp3)] * 3
    tagged, expected = load_audio(tags.join(parts)), load_audio(b"".join(parts))
    assert tagged.warnings == expected.warnings == ()
    assert tagged.duration == expected.duration == pytest.approx(6.0, abs=0.4)
    assert np.array_equal(tagged.samples, expected.samples)


def test_truncated_concatenated_mp3_is_refused(mp3: bytes):
    """A concatenated file that is truncated is refused with the declared length of all recordings."""
    data = mp3 + _id3(_COVER) + mp3
    with pytest.raises(AudioError) as caught:
        load_audio(data[: -len(mp3) // 2])
    assert caught.value.reason == "truncated"
    assert caught.value.declared == pytest.approx(4.0, abs=0.01)


def test_bytes_that_only_begin_like_a_tag_are_kept(mp3: bytes):
    """Only a tag before a frame is removed."""
    for junk in (b"TAG", b"ID3\x03\x00\x00\x00\x00\x7f\x00", b"APETAGEX\xd0\x07\x00\x00" + bytes(20)):
        stream = open_stream(mp3[:2000] + junk + mp3[2000:])
        assert without_embedded_tags(stream) is stream


def test_concatenated_flac_loses_no_sample(sound: Callable[..., Any], written: Callable[..., bytes]):
    """The metadata of the second and third recording, between frames, lose no sample."""
    data = written(sound(1.0), kind="FLAC")
    assert np.array_equal(load_audio(data * 3).samples, np.tile(load_audio(data).samples, 3))


@pytest.mark.parametrize(
    ("first", "tag"),
    [
        (b"\xff\xfb\x90\x00", b"TAG"),
        (b"\xff\xfb\x90\x00", b"TAG" + bytes(125)),
        (b"\xff\xfb\x90\x00", _id3(b"")),
        (b"\xff\xfb\x90\x00", _ape(b"")),
        (b"", b"fLaC\x00\x00\x00\x22" + bytes(34)),
        (b"", b"fLaC\x00\x00\x00\x22"),
    ],
)
def test_time_to_search_for_tags_is_linear(first: bytes, tag: bytes, monkeypatch: pytest.MonkeyPatch):
    """The number of bytes read grows linearly with the number of tags."""

    def count_read_bytes(count: int) -> int:
        stream = open_stream(first + tag * count)
        sizes: list[int] = []
        read = stream.read_at
        monkeypatch.setattr(stream, "read_at", lambda start, size: sizes.append(size) or read(start, size))
        without_embedded_tags(stream)
        return sum(sizes)

    assert count_read_bytes(8000) <= 9 * count_read_bytes(1000) + 2**21


@pytest.mark.parametrize(
    ("kind", "subtype"), [("WAV", "PCM_16"), ("AIFF", "PCM_16"), ("AU", "PCM_16"), ("FLAC", "PCM_16")]
)
def test_concatenated_files_of_libsndfile_are_whole_or_have_a_warning(
    sound: Callable[..., Any], written: Callable[..., bytes], kind: str, subtype: str
):
    """The second recording is decoded, or a warning names its first byte."""
    data = written(sound(1.0), kind=kind, subtype=subtype)
    _assert_whole_or_warned(data, duration_s=1.0)


@pytest.mark.parametrize(
    ("kind", "codec"),
    [
        ("ipod", "aac"),
        ("mov", "alac"),
        ("adts", "aac"),
        ("matroska", "aac"),
        ("webm", "libopus"),
        ("mpegts", "mp2"),
        ("asf", "wmav2"),
        ("ogg", "libopus"),
    ],
)
def test_concatenated_files_of_ffmpeg_are_whole_or_have_a_warning(
    sound: Callable[..., Any], encoded: Callable[..., bytes], kind: str, codec: str
):
    """The second recording is decoded, or a warning names its first byte."""
    data = encoded(sound(2.0, sample_rate=48_000), sample_rate=48_000, kind=kind, codec=codec)
    _assert_whole_or_warned(data, duration_s=2.0)


def _assert_whole_or_warned(data: bytes, *, duration_s: float) -> None:
    audio = load_audio(data + data)
    codes = [warning.code for warning in audio.warnings]
    assert audio.duration == pytest.approx(duration_s if "joined" in codes else 2 * duration_s, abs=0.15)
    if "joined" in codes:
        assert f"byte {len(data)} " in audio.warnings[codes.index("joined")].message
    assert "joined" not in [warning.code for warning in load_audio(io.BytesIO(data)).warnings]
