from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from asrlab.audio import Audio, AudioFile, load_audio, open_audio
from asrlab.errors import AudioError, OptionError

_CONTAINERS = [("matroska", "libopus"), ("mp4", "aac"), ("mpegts", "mp2"), ("mov", "alac")]
_TONES_HZ = (440.0, 1000.0, 2500.0)
_TAGS = ({"language": "eng", "title": "Speech"}, {"language": "deu", "title": "Ton"}, {})


@pytest.fixture(scope="module")
def three(film: Callable[..., bytes]) -> Callable[..., bytes]:
    """Return a film with three tracks, each with a tone of its own."""
    time = np.arange(48_000) / 48_000
    tones = [(0.3 * np.sin(2 * np.pi * hertz * time)).astype(np.float32)[:, None] for hertz in _TONES_HZ]

    def _three(kind: str, codec: str, default: int | None = None) -> bytes:
        return film(tones, sample_rate=48_000, kind=kind, codec=codec, tags=_TAGS, default=default)

    return _three


def _nearest_tone_hz(samples: NDArray[np.float32]) -> float:
    """Return the tone in `_TONES_HZ` that is nearest to the tone in *samples*, in Hz."""
    middle = samples[4000:12_000]
    loudest = float(np.abs(np.fft.rfft(middle)).argmax()) * 2
    return min(_TONES_HZ, key=lambda hertz: abs(hertz - loudest))


@pytest.mark.parametrize(("kind", "codec"), _CONTAINERS)
def test_each_track_can_be_chosen(three: Callable[..., bytes], tmp_path: Path, kind: str, codec: str):
    """A track is chosen by its number in all three ways, without a warning and with its properties."""
    data = three(kind, codec)
    path = tmp_path / "film"
    path.write_bytes(data)
    for number, hertz in enumerate(_TONES_HZ, start=1):
        for audio in (
            load_audio(data, track=number),
            load_audio(AudioFile(path=path, track=number)),
            load_audio(AudioFile(path=path, track=number), track=3),
        ):
            assert _nearest_tone_hz(audio.samples) == hertz
            assert audio.warnings == ()
            assert audio.track is not None
            assert (audio.track.number, audio.track.count) == (number, 3)
            if kind in {"matroska", "mp4"}:
                assert audio.track.language == _TAGS[number - 1].get("language")


def test_first_track_is_used_with_a_warning(three: Callable[..., bytes]):
    """If no track is chosen, the warning names the track that is used and how to choose another."""
    audio = load_audio(three("matroska", "libopus"))
    assert _nearest_tone_hz(audio.samples) == _TONES_HZ[0]
    (warning,) = audio.warnings
    assert warning.code == "tracks"
    assert "3 audio tracks: track 1 of 3 (eng, 'Speech') is used" in warning.message
    assert "--track N" in warning.message


def test_default_track_is_preferred(three: Callable[..., bytes]):
    """The track that is marked as the default is used, as players do."""
    audio = load_audio(three("matroska", "libopus", default=1))
    assert _nearest_tone_hz(audio.samples) == _TONES_HZ[1]
    assert audio.track is not None
    assert audio.track.number == 2


def test_missing_track_is_refused_with_the_existing_tracks(three: Callable[..., bytes]):
    """The error lists the tracks that exist."""
    with pytest.raises(AudioError) as caught:
        load_audio(three("matroska", "libopus"), track=4)
    assert caught.value.reason == "no-track"
    for words in ("audio track 4", "track 1 of 3 (eng, 'Speech'), opus", "track 2 of 3 (deu, 'Ton')", "track 3 of 3"):
        assert words in caught.value.message


def test_source_with_a_single_track_has_no_second(
    sound: Callable[..., Any], written: Callable[..., bytes], encoded: Callable[..., bytes]
):
    """Files of either decoder and samples have track 1 and no other, and report no track."""
    sources = (
        written(sound(0.5)),
        encoded(sound(0.5), sample_rate=16_000, kind="ipod", codec="aac"),
        Audio(samples=sound(0.5), sample_rate=16_000),
    )
    for source in sources:
        with open_audio(source, track=1) as reader:
            assert reader.track is None
            reader.read()
            assert reader.warnings == ()
        with pytest.raises(AudioError, match="audio track 2"):
            open_audio(source, track=2)


@pytest.mark.parametrize("track", [0, -1, 1.0, "1", True])
def test_invalid_track_number_is_refused(written: Callable[..., bytes], sound: Callable[..., Any], track: Any):
    """Track numbers start at 1."""
    for refuse in (
        lambda: AudioFile(path="a.mkv", track=track),
        lambda: open_audio(written(sound(0.1)), track=track),
    ):
        with pytest.raises(OptionError, match="counted from 1") as caught:
            refuse()
        assert caught.value.option == "track"


def test_warnings_of_a_file_stay_with_its_samples(three: Callable[..., bytes]):
    """Warnings of `load_audio` are repeated when its samples are read."""
    audio = load_audio(three("matroska", "libopus"))
    with open_audio(audio) as reader:
        reader.read()
        assert reader.warnings == audio.warnings != ()
        assert reader.track == audio.track
