"""What may stand of a batch, and how its time is shared."""

from __future__ import annotations

import attrs
import numpy as np
import pytest

from asrlab import Segment
from asrlab.audio import open_audio
from asrlab.batching import Decoded, Detected, Piece, doubt
from asrlab.batching.batch import Task, decode_together
from asrlab.batching.grouping import next_group
from asrlab.batching.intake import Clip

SURE = Detected(language="en", probability=0.9)
GOOD = Decoded(
    segments=(Segment(text="a good text", start=0.0, end=1.0),),
    avg_logprob=-0.3,
    compression_ratio=1.2,
    no_speech_prob=0.1,
)


def test_a_good_text_stands():
    """At the limits too, as in the engines; a language that was given is not in doubt."""
    assert doubt(GOOD, SURE) is None
    assert doubt(attrs.evolve(GOOD, avg_logprob=-1.0, compression_ratio=2.4, no_speech_prob=0.6), SURE) is None
    assert doubt(GOOD, Detected(language="en")) is None


@pytest.mark.parametrize(
    ("reason", "change"),
    [
        ("cut off", {"ended": False}),
        ("low probability", {"avg_logprob": -1.01}),
        ("compressible", {"compression_ratio": 2.41}),
        ("no speech", {"no_speech_prob": 0.61}),
        ("nothing heard", {"segments": ()}),
        ("repetition", {"segments": (Segment(text="on and on and " * 5, start=0.0, end=1.0),)}),
    ],
)
def test_each_reason_for_doubt_is_found(reason: str, change: dict[str, object]):
    """Any one of them is enough."""
    assert doubt(attrs.evolve(GOOD, **change), SURE) == reason


def test_a_language_at_less_than_even_odds_is_in_doubt():
    """The shorter window may be to blame."""
    assert doubt(GOOD, Detected(language="cy", probability=0.49)) == "language in doubt"


def test_the_group_of_the_one_that_waits_longest_is_next():
    """Of like length with it, cut from the longest down."""
    durations = [5.0, 9.0, 1.0, 6.0, 8.0, 2.0]
    assert next_group(durations, size=2, workers=1, last=False) == [3, 0]
    assert next_group(durations, size=4, workers=1, last=False) == [1, 4, 3, 0]


def test_the_last_groups_are_even():
    """Nine for two workers are five and four, not eight and one; the longest first."""
    assert len(next_group(list(range(9)), size=8, workers=2, last=True)) == 5
    assert next_group([1.0, 3.0, 2.0], size=8, workers=1, last=True) == [1, 2, 0]
    assert len(next_group(list(range(25)), size=8, workers=2, last=True)) == 7


class Given:
    """Steps that take what they are given for English."""

    language = "en"

    def encode(self, pieces: list[Piece[int]]) -> list[Piece[int]]:
        """As they are."""
        return pieces

    def decode(self, encoded: list[Piece[int]], pieces: list[Piece[int]], languages: list[str]) -> tuple[Decoded, ...]:
        """The same for all."""
        assert languages == ["en"] * len(pieces) == ["en"] * len(encoded)
        return (GOOD,) * len(pieces)


def test_time_is_shared_by_duration():
    """A clip of three seconds bears three times what one of a second does, besides its own features."""
    tasks = []
    for seconds in (1.0, 3.0):
        reader = open_audio(np.zeros(16, np.float32), sample_rate=16_000)
        clip = Clip(reader=reader, samples=reader.read(), piece=Piece(features=0, duration=seconds), busy=0.0)
        tasks.append(Task.of(clip))
    decode_together(tasks, Given())  # type: ignore[arg-type]
    assert tasks[1].busy == pytest.approx(3 * tasks[0].busy)
    assert tasks[0].busy > 0
    assert [task.reason for task in tasks] == [None, None]
