from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

from asrlab.errors import OptionError
from asrlab.vad import Chunk, Chunker, EnergyVad, SileroVad, VoiceActivityDetector

RATE = 16_000


def in_blocks(samples: np.ndarray, sizes: list[int]) -> Iterator[np.ndarray]:
    """Yield *samples* in blocks of *sizes*, repeated."""
    start = turn = 0
    while start < len(samples):
        size = sizes[turn % len(sizes)]
        yield samples[start : start + size]
        start, turn = start + size, turn + 1


def bursts(levels: list[float], *, length: int, seed: int) -> np.ndarray:
    """Return noise whose loudness changes every 100 ms."""
    noise = np.random.default_rng(seed).standard_normal(length).astype(np.float32)
    return noise * np.resize(np.repeat(np.array(levels, np.float32), RATE // 10), length)


def cuts(chunks: list[Chunk]) -> list[tuple[float, float, Any]]:
    """Return the cuts of *chunks*."""
    return [(chunk.start, chunk.end, chunk.speech) for chunk in chunks]


def silence(seconds: float) -> np.ndarray:
    """Return noise at -80 dB."""
    return (np.random.default_rng(5).standard_normal(round(seconds * RATE)) * 1e-4).astype(np.float32)


@settings(max_examples=60, deadline=None)
@given(
    length=st.integers(0, 8 * RATE),
    levels=st.lists(st.sampled_from([0.0, 1e-4, 0.01, 0.1, 0.5]), min_size=1, max_size=60),
    sizes=st.lists(st.integers(1, 5 * RATE), min_size=1, max_size=4).filter(lambda sizes: max(sizes) > 300),
    longest=st.sampled_from([1.0, 1.5, 4.0]),
    seed=st.integers(0, 9),
)
def test_chunks_are_the_samples_for_any_blocks(
    length: int, levels: list[float], sizes: list[int], longest: float, seed: int
):
    """No sample is lost or repeated, no chunk is too long or too short, and the blocks change nothing."""
    samples = bursts(levels, length=length, seed=seed)
    chunker = Chunker(vad=EnergyVad(), max_chunk_s=longest, min_chunk_s=0.2)

    chunks = list(chunker.split(in_blocks(samples, sizes)))

    np.testing.assert_array_equal(np.concatenate([np.empty(0), *(chunk.samples for chunk in chunks)]), samples)
    assert all(len(chunk.samples) <= longest * RATE for chunk in chunks)
    assert all(len(chunk.samples) >= 0.2 * RATE or chunk.is_whole for chunk in chunks)
    assert all(
        chunk.start == chunk.end or chunk.end - chunk.start == pytest.approx(len(chunk.samples) / RATE)
        for chunk in chunks
    )
    assert all(before.end == after.start for before, after in pairwise(chunks))
    assert cuts(chunks) == cuts(list(chunker.split([samples])))


def test_audio_that_fits_is_one_chunk(vad: VoiceActivityDetector, join: Callable[..., Any]):
    """Exactly thirty seconds are one chunk, even with silences; one more sample makes two."""
    samples = np.resize(join(times=1, gap_s=0.5).samples, 30 * RATE + 1)
    (chunk,) = Chunker(vad=vad).split([samples[:-1]])
    assert chunk.is_whole
    assert chunk.has_speech
    np.testing.assert_array_equal(chunk.samples, samples[:-1])

    chunks = list(Chunker(vad=vad).split([samples]))
    assert len(chunks) == 2
    assert not chunks[0].is_whole
    assert not chunks[1].is_whole


def test_speech_is_cut_in_its_silences(vad: VoiceActivityDetector, join: Callable[..., Any]):
    """More than a minute of clips with half a second between them is cut between the clips, into few chunks."""
    joined = join(times=3, gap_s=0.5)
    chunks = list(Chunker(vad=vad).split(in_blocks(joined.samples, [30 * RATE])))

    assert len(joined.samples) > 75 * RATE
    assert 3 <= len(chunks) <= 6
    for chunk in chunks[:-1]:
        assert any(start <= chunk.end <= end for start, end in joined.gaps), chunk
    assert all(chunk.has_speech for chunk in chunks)


def test_clips_joined_without_a_gap_are_cut_where_it_is_quiet(silero: SileroVad, join: Callable[..., Any]):
    """Without added silences, a cut still lies in a pause: 64 ms around it are 20 dB below the speech."""
    samples = join(times=3, gap_s=0.0).samples
    loudness = np.sqrt(np.mean(samples**2))
    chunks = list(Chunker(vad=silero).split([samples]))

    assert len(chunks) > 2
    for chunk in chunks[:-1]:
        cut = round(chunk.end * RATE)
        assert np.sqrt(np.mean(samples[cut - 512 : cut + 512] ** 2)) < loudness / 10


def test_a_long_silence_is_a_chunk_of_its_own(vad: VoiceActivityDetector, join: Callable[..., Any]):
    """Half a second of the silence stays with the speech on either side; the rest has no speech."""
    speech = join(times=1, gap_s=0.0).samples[: 20 * RATE]
    samples = np.concatenate([speech, silence(100), speech])
    chunks = list(Chunker(vad=vad).split([samples]))

    unvoiced = [chunk for chunk in chunks if not chunk.has_speech]
    assert unvoiced[0].start == pytest.approx(20.5, abs=0.6)
    assert unvoiced[-1].end == pytest.approx(119.5, abs=0.3)
    assert [chunk.has_speech for chunk in chunks] == [True, *[False] * len(unvoiced), True]
    assert chunks[-1].start <= 120.0


def test_short_speech_before_a_long_silence_is_a_chunk(vad: VoiceActivityDetector, join: Callable[..., Any]):
    """An engine does not receive a long silence after a few words."""
    speech = join(times=1, gap_s=0.0).samples
    first, *_ = Chunker(vad=vad).split([np.concatenate([speech[: 5 * RATE], silence(20), speech])])
    assert first.end == pytest.approx(5.5, abs=0.6)


def test_an_hour_of_silence_has_no_speech(vad: VoiceActivityDetector):
    """No chunk of an hour of silence has speech."""
    minutes = 60 if vad.info.name == "energy" else 5
    quiet = silence(60)
    assert not any(chunk.has_speech for chunk in Chunker(vad=vad).split(quiet for _ in range(minutes)))


def test_speech_without_a_pause_is_cut_where_it_is_least_likely():
    """Without a silence of 96 ms, the cut lies at the one frame that is slightly quieter."""
    samples = bursts([0.3], length=5 * RATE, seed=1)
    dip = 3 * RATE // 512
    samples[dip * 512 : (dip + 1) * 512] *= 0.001
    first, _ = Chunker(vad=EnergyVad(), max_chunk_s=4.0, min_chunk_s=0.5).split([samples])
    assert round(first.end * RATE) // 512 in {dip, dip + 1}


def test_the_last_chunk_is_never_too_short():
    """Audio that is slightly too long leaves no chunk below the minimum."""
    for extra in (1, 100, 512, 4000, 15_999):
        chunks = list(Chunker(vad=EnergyVad()).split([bursts([0.3], length=30 * RATE + extra, seed=2)]))
        assert len(chunks) == 2
        assert len(chunks[1].samples) >= RATE


def test_a_silence_near_the_end_leaves_no_short_chunk():
    """A good cut is skipped if too little audio would remain after it, in blocks as in a whole."""
    chunker = Chunker(vad=EnergyVad(), max_chunk_s=1.0, min_chunk_s=0.2)
    samples = bursts([0.3], length=20_000, seed=2)
    samples[27 * 512 : 31 * 512] *= 0.0001
    for length in range(16_001, 20_000, 97):
        for blocks in ([samples[:length]], in_blocks(samples[:length], [1024])):
            assert min(len(chunk.samples) for chunk in chunker.split(blocks)) >= 0.2 * RATE


def test_quiet_speech_after_loud_speech_is_found(silero: SileroVad, join: Callable[..., Any]):
    """A quiet speaker after a loud speaker is not taken for silence."""
    speech = join(times=1, gap_s=0.0).samples
    samples = np.concatenate([speech, silence(4), speech * np.float32(0.003), silence(4)])
    chunks = list(Chunker(vad=silero).split([samples]))
    quiet = [chunk for chunk in chunks if chunk.start < 52 and chunk.end > 30]
    assert sum(chunk.end - chunk.start for chunk in quiet if chunk.has_speech) > 20


def test_a_click_is_not_speech(vad: VoiceActivityDetector):
    """A sound of 20 ms is not taken for speech."""
    samples = silence(40)
    samples[20 * RATE : 20 * RATE + 320] = 0.5
    assert not any(chunk.has_speech for chunk in Chunker(vad=vad).split([samples]))


def test_speech_is_timed_within_its_chunk(vad: VoiceActivityDetector, join: Callable[..., Any]):
    """The times of speech exclude the silence around it, except for a margin."""
    speech = join(times=1, gap_s=0.0).samples[: 5 * RATE]
    (chunk,) = Chunker(vad=vad).split([np.concatenate([silence(3), speech, silence(3)])])
    assert chunk.speech is not None
    assert chunk.speech[0] == pytest.approx(3.0, abs=0.4)
    assert chunk.speech[1] == pytest.approx(8.0, abs=0.6)


def test_a_chunk_is_yielded_before_the_next_is_read(join: Callable[..., Any]):
    """The first chunk is yielded when little more than the longest chunk has been read."""
    read = []

    def blocks() -> Iterator[np.ndarray]:
        for block in in_blocks(join(times=3, gap_s=0.5).samples, [RATE]):
            read.append(block)
            yield block

    next(Chunker(vad=EnergyVad()).split(blocks()))
    assert len(read) <= 33


def test_halves_are_the_chunk_cut_near_its_middle(vad: VoiceActivityDetector, join: Callable[..., Any]):
    """The halves have all samples and times of the chunk, and the cut lies in a silence of its middle half."""
    joined = join(times=1, gap_s=0.5)
    chunker = Chunker(vad=vad)
    (chunk,) = chunker.split([joined.samples])
    split_in_half = chunker.split_in_half(chunk)

    assert split_in_half is not None
    first, second = split_in_half
    np.testing.assert_array_equal(np.concatenate([first.samples, second.samples]), chunk.samples)
    assert (first.start, second.start, second.end) == (chunk.start, first.end, chunk.end)
    assert 0.25 * chunk.end < first.end < 0.75 * chunk.end
    assert any(start <= first.end <= end for start, end in joined.gaps)
    assert first.has_speech
    assert second.has_speech


def test_halves_of_a_later_chunk_keep_its_times(join: Callable[..., Any]):
    """The halves of a chunk in the middle of a recording are timed from the start of the recording."""
    chunker = Chunker(vad=EnergyVad())
    chunk = list(chunker.split([join(times=3, gap_s=0.5).samples]))[1]
    split_in_half = chunker.split_in_half(chunk)
    assert split_in_half is not None
    assert (split_in_half[0].start, split_in_half[1].end) == (chunk.start, chunk.end)
    assert split_in_half[0].speech is not None
    assert split_in_half[0].start <= split_in_half[0].speech[0] < split_in_half[0].speech[1] <= split_in_half[0].end


def test_a_short_chunk_has_no_halves(join: Callable[..., Any]):
    """A chunk shorter than two minimum chunks is not cut."""
    chunker = Chunker(vad=EnergyVad(), min_chunk_s=1.0)
    (chunk,) = chunker.split([join(times=1, gap_s=0.5).samples[: 2 * RATE]])
    assert chunker.split_in_half(chunk) is None


@pytest.mark.parametrize(
    "lengths",
    [
        {"max_chunk_s": 2.0, "min_chunk_s": 1.0},
        {"min_chunk_s": 0.0},
        {"max_chunk_s": float("inf")},
        {"max_chunk_s": 0.1, "min_chunk_s": 0.01},
        {"min_audio_s": 2.0},
    ],
)
def test_contradictory_durations_are_refused(lengths: dict[str, float]):
    """A chunker whose durations contradict each other is not created."""
    with pytest.raises(OptionError):
        Chunker(vad=EnergyVad(), **lengths)
