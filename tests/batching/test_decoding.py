"""Quality checks of a batch, shared time, and bucketing by length."""

from __future__ import annotations

from itertools import pairwise

import attrs
import numpy as np
import pytest
from hypothesis import given, strategies as st

from asrlab import Segment
from asrlab.batching import ChunkFeatures, Decoded, Detected
from asrlab.batching.contract import Chunk, Recording
from asrlab.batching.decoding import SharedClock, decode_batch, fallback_reason
from asrlab.batching.reader import bucket_by_length

SURE = Detected(language="en", probability=0.9)
GOOD = Decoded(
    segments=(Segment(text="a good text", start=0.0, end=1.0),),
    avg_logprob=-0.3,
    compression_ratio=1.2,
    no_speech_prob=0.1,
)


def test_a_good_text_passes_all_checks():
    """Values at the limits pass, as in the engines; a requested language is never uncertain."""
    assert fallback_reason(GOOD, SURE) is None
    assert (
        fallback_reason(attrs.evolve(GOOD, avg_logprob=-1.0, compression_ratio=2.4, no_speech_prob=0.6), SURE) is None
    )
    assert fallback_reason(GOOD, Detected(language="en")) is None


@pytest.mark.parametrize(
    ("reason", "change"),
    [
        ("cut off", {"ended": False}),
        ("speech remaining", {"remaining_s": 0.02}),
        ("low probability", {"avg_logprob": -1.01}),
        ("compressible", {"compression_ratio": 2.41}),
        ("no speech", {"no_speech_prob": 0.61}),
        ("no text", {"segments": ()}),
        ("repetition", {"segments": (Segment(text="on and on and " * 5, start=0.0, end=1.0),)}),
    ],
)
def test_each_check_fails_with_its_reason(reason: str, change: dict[str, object]):
    """One failed check is enough for the full path."""
    assert fallback_reason(attrs.evolve(GOOD, **change), SURE) == reason


def test_a_language_of_less_than_even_odds_is_uncertain():
    """A language detected with a probability below one half needs the full path."""
    assert fallback_reason(GOOD, Detected(language="cy", probability=0.49)) == "uncertain language"


class Given:
    """A backend whose language is English."""

    language = "en"

    def encode(self, pieces: list[ChunkFeatures[int]]) -> list[ChunkFeatures[int]]:
        """As they are."""
        return pieces

    def decode(
        self, encoded: list[ChunkFeatures[int]], pieces: list[ChunkFeatures[int]], languages: list[str]
    ) -> tuple[Decoded, ...]:
        """The same for all."""
        assert languages == ["en"] * len(pieces) == ["en"] * len(encoded)
        return (GOOD,) * len(pieces)


def whole_chunk(seconds: float) -> Chunk:
    """Return a chunk that is a whole recording of *seconds* seconds."""
    features = ChunkFeatures(features=0, duration=seconds)
    recording = Recording(index=0, item=None)
    return Chunk(
        recording=recording, samples=np.zeros(16, np.float32), start=0.0, features=features, is_whole=True, busy_s=0.0
    )


def test_time_is_shared_by_duration():
    """A chunk of three seconds bears three times the decoding time of a chunk of one second."""
    chunks = [whole_chunk(1.0), whole_chunk(3.0)]
    decode_batch(chunks, Given(), SharedClock())  # type: ignore[arg-type]
    assert chunks[1].busy_s == pytest.approx(3 * chunks[0].busy_s)
    assert chunks[0].busy_s > 0
    assert [chunk.fallback_reason for chunk in chunks] == [None, None]


def test_times_of_parallel_work_add_up_to_the_whole():
    """Two threads that overlap for five seconds bear half of these each, in addition to their own time."""
    now = iter([0.0, 0.0, 2.0, 7.0, 10.0])
    clock = SharedClock(lambda: next(now))
    first = clock.add(1)
    second = clock.add(1)
    assert clock.add(-1) - first == pytest.approx(4.5)
    assert clock.add(-1) - second == pytest.approx(2.5 + 3.0)


@given(st.lists(st.floats(0.1, 30.0), min_size=1, max_size=60), st.integers(1, 16), st.integers(1, 4))
def test_batches_are_even_and_of_similar_length(durations: list[float], size: int, workers: int):
    """Each chunk is in one batch, batch sizes differ by at most one, and batches are sorted from long to short."""
    groups = bucket_by_length(durations, size=size, workers=workers)
    assert sorted(place for group in groups for place in group) == list(range(len(durations)))
    sizes = [len(group) for group in groups]
    assert max(sizes) <= size
    assert max(sizes) - min(sizes) <= 1
    assert min(sizes) >= 1
    for longer, shorter in pairwise(groups):
        assert min(durations[place] for place in longer) >= max(durations[place] for place in shorter)
    assert len(groups) % workers == 0 or len(groups) == len(durations)
