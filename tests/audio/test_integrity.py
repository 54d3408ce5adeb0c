"""Checksums, sequence numbers and marks of the end that files carry are checked: no loss goes unnoticed."""

import io
import re
import struct
from collections.abc import Callable
from random import Random
from typing import Any

import numpy as np
import pytest
import soundfile as sf

from asrlab.audio import load_audio, open_audio
from asrlab.audio.integrity import ogg_fault
from asrlab.audio.stream import open_stream
from asrlab.errors import AudioError


def _outcome(data: bytes) -> str:
    """Return the reason of a refusal, or the codes of the warnings."""
    try:
        with open_audio(data) as reader:
            reader.read()
            return " ".join(warning.code for warning in reader.warnings)
    except AudioError as error:
        return error.reason


def _pages(data: bytes) -> list[bytes]:
    starts = [match.start() for match in re.finditer(rb"OggS\x00", data)]
    return [data[start:end] for start, end in zip(starts, [*starts[1:], len(data)], strict=True)]


_DAMAGE: dict[str, tuple[Callable[[list[bytes]], list[bytes]], str]] = {
    "a page removed": (lambda pages: pages[:6] + pages[7:], "page is missing: number 7 follows number 5"),
    "the first page of sound removed": (lambda pages: pages[:2] + pages[3:], "page is missing"),
    "a page zeroed": (
        lambda pages: [*pages[:6], bytes(len(pages[6])), *pages[7:]],
        "bytes before Ogg page 6",
    ),
    "the last pages zeroed": (lambda pages: [*pages[:6], bytes(sum(map(len, pages[6:])))], "does not mark the end"),
    "cut at a page's end": (lambda pages: pages[:6], "does not mark the end"),
    "two pages swapped": (lambda pages: [*pages[:6], pages[7], pages[6], *pages[8:]], "page is missing"),
    "a page repeated": (lambda pages: [*pages[:7], pages[6], *pages[7:]], "page is missing"),
    "a bit flipped": (
        lambda pages: [*pages[:6], pages[6][:-1] + bytes([pages[6][-1] ^ 1]), *pages[7:]],
        "6 is damaged",
    ),
}


@pytest.fixture(scope="module", params=["VORBIS", "OPUS"])
def ogg(request: pytest.FixtureRequest, sound: Callable[..., Any], written: Callable[..., bytes]) -> list[bytes]:
    """Return the Ogg pages of half a minute."""
    pages = _pages(written(sound(30.0), kind="OGG", subtype=request.param))
    assert len(pages) > 9
    return pages


@pytest.mark.parametrize("damage", _DAMAGE)
def test_damaged_ogg_is_refused(ogg: list[bytes], damage: str):
    """A wrong checksum, page number or missing end is detected; with allow_truncated, the rest is decoded."""
    change, fault = _DAMAGE[damage]
    data = b"".join(change(ogg))
    with pytest.raises(AudioError, match=fault) as caught:
        load_audio(data)
    assert caught.value.reason == "truncated"
    assert 1.0 < load_audio(data, allow_truncated=True).duration < 40.0


def test_whole_ogg_has_no_fault(ogg: list[bytes]):
    """A chain, and bytes after the end such as a tag, are no damage."""
    data = b"".join(ogg)
    for whole in (data, data + data, data + bytes(3000), data + b"TAG" + bytes(125)):
        assert ogg_fault(open_stream(whole)) == ""
    assert _outcome(data + data) == ""


def test_streams_of_an_ogg_are_checked_separately(sound: Callable[..., Any], encoded: Callable[..., bytes]):
    """The pages of two alternating streams are numbered separately; a stream without audio needs no end."""
    first, second = (
        _pages(encoded(sound(seconds, sample_rate=48_000), sample_rate=48_000, kind="ogg", codec="libopus"))
        for seconds in (3.0, 3.5)
    )
    assert first[0][14:18] != second[0][14:18]
    mixed = [page for pair in zip(first, second, strict=False) for page in pair]
    mixed += [*first[len(second) :], *second[len(first) :]]
    assert ogg_fault(open_stream(b"".join(mixed))) == ""
    mixed.pop(6)
    assert "missing" in ogg_fault(open_stream(b"".join(mixed)))


@pytest.mark.parametrize("subtype", ["PCM_S8", "PCM_16", "PCM_24"])
@pytest.mark.parametrize("channels", [1, 2])
def test_flac_with_a_flipped_bit_is_refused(
    sound: Callable[..., Any], written: Callable[..., bytes], subtype: str, channels: int
):
    """Every frame has a checksum; 24 files, each with another flipped bit, are refused."""
    data = written(sound(2.0, channels=channels), kind="FLAC", subtype=subtype)
    assert _outcome(data) == ""
    chance = Random(subtype)  # noqa: S311 - repeatable, not secret
    first = data.index(b"\xff\xf8")
    for _ in range(24):
        damaged = bytearray(data)
        damaged[chance.randrange(first, len(data))] ^= 1 << chance.randrange(8)
        assert _outcome(bytes(damaged)) == "truncated"


@pytest.mark.parametrize("subtype", ["PCM_S8", "PCM_16", "PCM_24"])
def test_flac_with_another_md5_has_a_warning(sound: Callable[..., Any], written: Callable[..., bytes], subtype: str):
    """The MD5 of all samples is compared if all were decoded and the header has one."""
    data = bytearray(written(sound(1.0, channels=2), kind="FLAC", subtype=subtype))
    data[26] ^= 1
    with open_audio(bytes(data)) as reader:
        assert len(reader.read()) == 16_000
        assert ["MD5" in str(warning) for warning in reader.warnings] == [True]
    data[26:42] = bytes(16)
    assert _outcome(bytes(data)) == ""


@pytest.mark.parametrize(("kind", "codec"), [("tta", "tta"), ("wv", "wavpack"), ("ac3", "ac3"), ("eac3", "eac3")])
def test_other_checksums_are_checked(sound: Callable[..., Any], encoded: Callable[..., bytes], kind: str, codec: str):
    """True Audio, WavPack and AC-3 have a checksum in each frame, too."""
    data = bytearray(encoded(sound(4.0, sample_rate=48_000), sample_rate=48_000, kind=kind, codec=codec))
    assert _outcome(bytes(data)) == ""
    data[len(data) // 2] ^= 0x10
    assert _outcome(bytes(data)) in ("truncated", "damaged", "undecodable")


@pytest.mark.parametrize("subtype", ["PCM_S8", "PCM_16", "PCM_24"])
def test_damaged_sample_dump_is_refused_silently(
    sound: Callable[..., Any], written: Callable[..., bytes], subtype: str, capfd: pytest.CaptureFixture[str]
):
    """A MIDI Sample Dump is checked packet by packet; libsndfile would print each fault."""
    data = written(sound(1.0), kind="SDS", subtype=subtype)
    assert _outcome(data) == ""
    chance = Random(subtype)  # noqa: S311 - repeatable, not secret
    for _ in range(20):
        damaged = bytearray(data)
        damaged[chance.randrange(4, len(data))] ^= 1 << chance.randrange(7)
        _outcome(bytes(damaged))  # a name or a loop point in the header may change
    for damaged_packet in (data[:-1], data[:-1] + b"\0", data[:148] + b"\0" + data[149:], data[: -127 * 3 - 5]):
        assert _outcome(damaged_packet) == "undecodable"
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize(
    ("chunk", "at", "value", "declared", "decoded"),
    [(b"COMM", 10, 32_000, 2.0, 1.0), (b"SSND", 4, 16_008, 1.0, 0.5), (b"SSND", 4, 64_008, 2.0, 1.0)],
    ids=["more-frames", "fewer-bytes", "more-bytes"],
)
def test_aiff_with_two_lengths_is_refused_with_both(
    sound: Callable[..., Any],
    written: Callable[..., bytes],
    chunk: bytes,
    at: int,
    value: int,
    declared: float,
    decoded: float,
):
    """COMM counts frames and SSND bytes; the larger count is declared."""
    data = bytearray(written(sound(1.0), kind="AIFF"))
    position = data.index(chunk) + at
    data[position : position + 4] = struct.pack(">I", value)
    with pytest.raises(AudioError) as caught:
        load_audio(bytes(data))
    error = caught.value
    assert (error.reason, error.declared, error.decoded) == ("truncated", declared, decoded)


def test_other_containers_of_pcm_keep_their_samples(sound: Callable[..., Any]):
    """Containers that declare a length in an unusual place give all samples, mono and stereo."""
    for kind, subtype in (
        ("AVR", "PCM_16"),
        ("MAT4", "PCM_16"),
        ("MAT4", "DOUBLE"),
        ("MAT5", "FLOAT"),
        ("MPC2K", "PCM_16"),
    ):
        for channels in (1, 2):
            file = io.BytesIO()
            sf.write(file, sound(1.0, channels=channels), 16_000, format=kind, subtype=subtype)
            audio = load_audio(file.getvalue())
            assert audio.duration == 1.0
            assert np.abs(audio.samples).max() > 0.1
