import re
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soxr
from numpy.typing import NDArray

from asrlab.audio import AudioFile, load_audio, open_audio
from asrlab.audio.container import Timeline

# A container with time stamps, a codec, its rate in Hz, and a codec for pictures.
_STAMPED = [
    ("matroska", "pcm_s16le", 16_000, "mpeg4"),
    ("matroska", "aac", 44_100, "mpeg4"),
    ("matroska", "libmp3lame", 44_100, "mpeg4"),
    ("webm", "libopus", 48_000, "libvpx"),
    ("mp4", "aac", 48_000, "mpeg4"),
    ("mp4", "libmp3lame", 48_000, "mpeg4"),
    ("mov", "alac", 44_100, "mpeg4"),
    ("mpegts", "aac", 48_000, "mpeg2video"),
    ("mpeg", "mp2", 48_000, "mpeg2video"),
    ("flv", "aac", 44_100, "flv"),
    ("asf", "wmav2", 44_100, "wmv2"),
    ("ogg", "libopus", 48_000, None),
    ("nut", "libopus", 48_000, "mpeg4"),
]
_DELAY_S = 0.05  # of encoders, where the container cannot say that it has to be left out


def _late(seconds: float) -> float:
    return seconds + 3.0


def _gap(seconds: float) -> float:
    return seconds if seconds < 4.0 else seconds + 2.5


def _gaps(seconds: float) -> float:
    return seconds if seconds < 2.0 else seconds + (0.4 if seconds < 6.0 else 1.17)


def _lost(seconds: float) -> float | None:
    return None if 4.0 <= seconds < 4.4 else seconds


def _with_moved_clusters(data: bytes, moves_ms: Sequence[int]) -> bytes:
    """Return a Matroska whose clusters of 5 s each, after the first, start later by *moves_ms*."""
    changed = bytearray(data)
    clusters = [match.start() for match in re.finditer(b"\x1f\x43\xb6\x75", data)][1:]
    for start, move in zip(clusters, moves_ms, strict=True):
        time = data.index(b"\xe7\x82", start) + 2
        changed[time : time + 2] = (int.from_bytes(data[time : time + 2]) + move).to_bytes(2)
    return bytes(changed)


@pytest.fixture(scope="module")
def noise() -> Callable[[int], NDArray[np.float32]]:
    """Return 12 s of noise below 3 kHz at a rate, no two moments alike."""
    slow = np.random.default_rng(0).standard_normal(12 * 6000)
    return lambda rate: (0.2 * soxr.resample(slow, 6000, rate)).astype(np.float32)[: 12 * rate, None]


@pytest.fixture(scope="module")
def placed(film: Callable[..., bytes], noise: Any) -> Callable[..., bytes]:
    """Return the noise in a film of 18 s, with packets at the times of a function; each film is created once."""

    @cache
    def _placed(kind: str, codec: str, rate: int, picture: str | None, place: Any = float) -> bytes:
        return film(
            [noise(rate)], sample_rate=rate, kind=kind, codec=codec, packet_time=place, picture=picture, film_s=18
        )

    return _placed


def _lag_ms(found: NDArray[np.float32], expected: NDArray[np.float32], *, at: float) -> float:
    """Return by how much the second from *at* on lies later in *found* than in *expected*; at most 150 either way."""
    start, slack = round(at * 16_000), 2400
    wanted = expected[start : start + 16_000]
    scores = [float(found[start + shift :][: len(wanted)] @ wanted) for shift in range(-slack, slack)]
    best = int(np.argmax(scores))
    assert scores[best] > 0.9 * float(wanted @ wanted)
    return (best - slack) / 16


@pytest.mark.parametrize(("kind", "codec", "rate", "picture"), _STAMPED)
def test_late_sound_in_a_film_keeps_its_time(
    placed: Callable[..., bytes], noise: Any, kind: str, codec: str, rate: int, picture: str | None
):
    """In every container, silence fills the time before the sound, and nothing is missing after it."""
    if picture is None:
        pytest.skip("this container holds no pictures")
    late = load_audio(placed(kind, codec, rate, picture, _late))
    assert late.warnings == ()
    assert late.duration == pytest.approx(15.0, abs=_DELAY_S)
    assert not late.samples[: round(16_000 * (3 - _DELAY_S))].any()
    expected = np.concatenate([np.zeros(48_000, np.float32), noise(16_000)[:, 0]])
    for at in (3.5, 13.0):
        assert abs(_lag_ms(late.samples, expected, at=at)) <= (1000 * _DELAY_S if kind == "asf" else 2)


@pytest.mark.parametrize(("kind", "codec", "rate", "picture"), _STAMPED)
@pytest.mark.parametrize(("place", "silent_s"), [(_gap, 2.5), (_gaps, 1.17), (_lost, 0.4)])
def test_gap_is_silence_and_later_audio_is_on_time(
    placed: Callable[..., bytes],
    kind: str,
    codec: str,
    rate: int,
    picture: str | None,
    place: Any,
    silent_s: float,
):
    """A gap in the time stamps, or lost packets, shift nothing after them, and give a warning with their times."""
    plain, found = (load_audio(placed(kind, codec, rate, picture, way)) for way in (float, place))
    assert plain.warnings == ()
    assert [warning.code for warning in found.warnings] == ["gap"]
    total = re.search(r"([\d.]+) s in all", str(found.warnings[0]))
    assert total is not None
    assert float(total[1]) == pytest.approx(silent_s, abs=0.05)
    moved = 0.0 if place is _lost else silent_s
    assert found.duration == pytest.approx(plain.duration + moved, abs=0.03)
    expected = np.concatenate([np.zeros(round(16_000 * moved), np.float32), plain.samples])
    assert abs(_lag_ms(found.samples, expected, at=8.0 + moved)) <= 1.0
    assert abs(_lag_ms(found.samples, plain.samples, at=0.5)) <= 0.1


@pytest.mark.parametrize(("kind", "codec", "rate", "picture"), _STAMPED)
@pytest.mark.parametrize("place", [_late, _gap, _gaps, _lost])
def test_part_of_a_file_with_gaps_equals_the_whole(
    placed: Callable[..., bytes],
    tmp_path: Path,
    kind: str,
    codec: str,
    rate: int,
    picture: str | None,
    place: Any,
):
    """Whole files and parts have one clock, wherever the part begins: before a gap, in it, or after it."""
    path = tmp_path / "film"
    path.write_bytes(placed(kind, codec, rate, picture, place))
    _assert_parts_equal_the_whole(path)


def _assert_parts_equal_the_whole(path: Path) -> None:
    whole = load_audio(path).samples
    for offset in (0.3, 2.2, 4.25, 5.0, 6.01, 9.5):
        expected = whole[round(offset * 16_000) :][:24_000]
        part = load_audio(AudioFile(path=path, offset=offset, duration=1.5)).samples
        assert abs(len(part) - len(expected)) <= 1
        assert np.abs(part[216:23_784] - expected[216:23_784]).max() < 0.01, f"at {offset} s"


def test_part_within_silence_is_silence(film: Callable[..., bytes], noise: Any, tmp_path: Path):
    """A part before the sound, or in a gap, can be requested."""
    path = tmp_path / "film.mkv"
    path.write_bytes(
        film(
            [noise(16_000)],
            sample_rate=16_000,
            kind="matroska",
            codec="pcm_s16le",
            packet_time=lambda s: _gap(_late(s)),
        )
    )
    for offset in (1.0, 4.5):
        with open_audio(AudioFile(path=path, offset=offset, duration=1.0)) as reader:
            assert len(reader.read()) == 16_000
            codes = [warning.code for warning in reader.warnings]
        assert codes == (["silent"] if offset == 1.0 else ["gap", "silent"])


@pytest.mark.parametrize(
    ("kind", "codec", "rate"),
    [("ipod", "aac", 16_000), ("mp3", "libmp3lame", 48_000), ("ogg", "libopus", 48_000), ("webm", "libopus", 48_000)],
)
def test_delay_of_an_encoder_is_no_silence(film: Callable[..., bytes], noise: Any, kind: str, codec: str, rate: int):
    """Audio files begin with their sound, although their stamps begin with the encoder's delay."""
    found = load_audio(film([noise(rate)], sample_rate=rate, kind=kind, codec=codec))
    assert found.duration == pytest.approx(12.0, abs=0.065)  # PyAV 18 leaves what fills the last frame of AAC
    assert abs(_lag_ms(found.samples, noise(16_000)[:, 0], at=0.5)) <= 0.1
    assert found.warnings == ()


@pytest.mark.parametrize(("codec", "rate"), [("pcm_s16le", 16_000), ("libopus", 48_000)])
def test_stamps_that_overlap_lose_nothing(
    placed: Callable[..., bytes], noise: Any, tmp_path: Path, codec: str, rate: int
):
    """If stamps go back by half a second, all sound is kept, and the next gap corrects the times."""
    path = tmp_path / "overlap.mkv"
    path.write_bytes(_with_moved_clusters(placed("matroska", codec, rate, None), [-500, 1000]))
    found = load_audio(path)
    assert sorted(warning.code for warning in found.warnings) == ["gap", "timestamps"]
    assert found.duration == pytest.approx(13.0, abs=0.03)
    clean = noise(16_000)[:, 0]
    assert abs(_lag_ms(found.samples, clean, at=8.0)) <= 1
    assert abs(_lag_ms(found.samples, np.concatenate([np.zeros(16_000, np.float32), clean]), at=11.5)) <= 1
    _assert_parts_equal_the_whole(path)


@pytest.mark.parametrize("jump", [95_443.7 - 3000, 3600.0, -90_000.0, -3.0])
def test_impossible_stamps_are_ignored(film: Callable[..., bytes], noise: Any, jump: float):
    """A jump by hours, as of a counter of 33 bits, fills no gigabytes: times count the samples after it."""
    sound, start = noise(48_000), 90_100.0 if jump < 0 else 0.0
    data = b"".join(
        film(
            [sound[round(48_000 * begin) :][: 6 * 48_000]],
            sample_rate=48_000,
            kind="mpegts",
            codec="mp2",
            packet_time=lambda seconds, add=start + begin + later: seconds + add,
        )
        for begin, later in ((0.0, 0.0), (6.0, jump))
    )
    found = load_audio(data)
    assert [warning.code for warning in found.warnings] == ["timestamps"]
    assert found.duration == pytest.approx(12.0, abs=0.05)
    assert abs(_lag_ms(found.samples, noise(16_000)[:, 0], at=9.0)) <= 30


def test_jump_beyond_two_hours_is_ignored(film: Callable[..., bytes], noise: Any):
    """A jump beyond two hours is ignored even within the declared length."""
    data = film(
        [noise(48_000)],
        sample_rate=48_000,
        kind="matroska",
        codec="libopus",
        packet_time=lambda seconds: seconds + (90_000.0 if seconds > 6.0 else 0.0),
    )
    found = load_audio(data, allow_truncated=True)
    assert "timestamps" in [warning.code for warning in found.warnings]
    assert found.duration == pytest.approx(12.0, abs=0.05)


def test_silence_of_a_timeline_is_bounded():
    """Stamps ten seconds apart, as of a damaged scale, give at most two hours of silence."""
    timeline = Timeline(origin=0.0, declared=1e9)
    for index in range(2000):
        timeline.advance(10.0 * index, samples=320, rate=16_000)
    assert timeline.position < 7200 + 2000 * 0.02 + 1
    assert sum(seconds for _, seconds in timeline.gaps) <= 7200
    assert timeline.jumps


def test_jitter_of_stamps_is_no_gap():
    """Programs that record live stamp packets as they arrive."""
    rng = np.random.default_rng(0)
    timeline = Timeline(origin=0.0)
    for index in range(3000):
        timeline.advance(0.02 * index + rng.uniform(-0.04, 0.04), samples=320, rate=16_000)
    assert timeline.position == pytest.approx(60.0, abs=0.05)
    assert not timeline.gaps
    assert not timeline.overlap
