"""The scheduler with a small engine made here, which hears how long each recording lasts."""

from __future__ import annotations

import io
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path

import attrs
import numpy as np
import pytest
import soundfile

import asrlab
from asrlab import AudioError, Capabilities, Device, ModelInfo, OptionError, Recognition, Segment, TranscriberInfo
from asrlab.audio import AudioReader
from asrlab.batching import Decoded, Detected, Piece, transcribe_together
from asrlab.options import TranscribeOptions
from asrlab.transcriber import Many, Transcriber
from asrlab.transcript import Outcome

RATE = 16_000
SIZE = 4
AHEAD = SIZE * 5
"""One worker, one batch that waits for it, and three batches' worth to choose from."""


@attrs.define(kw_only=True)
class Lengths:
    """Steps that hear the length of a recording, fail where it is *fails* seconds, and doubt where it is *doubted*."""

    batches: list[list[float]] = attrs.field(factory=list)
    fails: float = 0.0
    doubted: float = 0.0
    batch_size: int = SIZE
    workers: int = 1
    longest: float = 2.0
    language: str | None = None

    def features(self, samples: np.ndarray) -> np.ndarray:
        """The samples."""
        return samples

    def encode(self, pieces: Sequence[Piece[np.ndarray]]) -> list[float]:
        """Their durations, by the features."""
        durations = [len(piece.features) / RATE for piece in pieces]
        self.batches.append(durations)
        if self.fails in durations:
            raise ArithmeticError("one of them")
        return durations

    def detect(self, encoded: list[float]) -> tuple[Detected, ...]:
        """Whole seconds are German."""
        return tuple(Detected(language="de" if each % 1 == 0 else "en", probability=0.9) for each in encoded)

    def decode(
        self, encoded: list[float], pieces: Sequence[Piece[np.ndarray]], languages: Sequence[str]
    ) -> tuple[Decoded, ...]:
        """The duration as text."""
        return tuple(
            Decoded(
                segments=(Segment(text=f"{duration:g}", start=0.0, end=9.0),),
                avg_logprob=-2.0 if duration == self.doubted else -0.1,
                compression_ratio=1.0,
                no_speech_prob=0.0,
            )
            for duration, _, _ in zip(encoded, pieces, languages, strict=True)
        )


class Measuring(Transcriber):
    """Hears "full" by the way of `transcribe`, and lengths in batches."""

    def __init__(self, steps: Lengths) -> None:
        info = TranscriberInfo(
            model=ModelInfo(name="measuring/one", engine="measuring"),
            device=Device(requested="cpu", resolved="cpu"),
            compute_type="float32",
            capabilities=Capabilities(),
        )
        super().__init__(info)
        self.steps = steps

    def recognize(self, audio: AudioReader, options: TranscribeOptions) -> Recognition:
        """One segment; half a second is more than it can take."""
        if len(audio.read()) == RATE // 2:
            raise AudioError("half a second")
        return Recognition(segments=iter([Segment(text="full", start=0.0, end=0.1)]), language=options.language or "en")

    def transcribe_batches(self, many: Many) -> Iterator[Outcome]:
        """With its steps."""
        return transcribe_together(self, self.steps, many)

    def release(self) -> None:
        """Nothing to give back."""


@pytest.fixture
def steps() -> Lengths:
    """The steps, one worker, four to a batch."""
    return Lengths()


@pytest.fixture
def measuring(steps: Lengths) -> Iterator[Measuring]:
    """The engine, loaded."""
    with Measuring(steps) as transcriber:
        yield transcriber


def lasting(*seconds: float) -> list[np.ndarray]:
    """A tone for each."""
    return [np.full(round(RATE * each), 0.1, np.float32) for each in seconds]


def test_outcomes_come_in_the_order_of_the_items(measuring: Measuring, steps: Lengths):
    """Whatever order they were decoded in, and each with its own text and language."""
    lengths = [0.1, 1.0, 0.2, 0.9, 0.3, 0.8, 0.4, 0.7, 0.6]
    outcomes = list(measuring.transcribe_many(lasting(*lengths), sample_rate=RATE))
    assert [outcome.index for outcome in outcomes] == list(range(9))
    assert [float(outcome.unwrap().text) for outcome in outcomes] == lengths
    assert [outcome.unwrap().language for outcome in outcomes] == ["en", "de", *["en"] * 7]
    assert {outcome.unwrap().path for outcome in outcomes} == {"batched"}
    assert len(steps.batches) == 3


def test_clips_of_like_length_are_decoded_together(measuring: Measuring, steps: Lengths):
    """The longest first, and none twice."""
    list(measuring.transcribe_many(lasting(0.1, 1.0, 0.2, 0.9, 0.3, 0.8, 0.4, 0.7), sample_rate=RATE))
    assert steps.batches == [[1.0, 0.9, 0.8, 0.7], [0.4, 0.3, 0.2, 0.1]]


def test_a_bad_item_fails_alone(measuring: Measuring):
    """A missing file, samples that are not finite, and an item without audio are their own outcomes."""

    class Broken:
        @property
        def audio(self) -> Path:
            raise RuntimeError("the archive is gone")

    items = [*lasting(0.1, 0.2), "missing.wav", np.full(100, np.nan, np.float32), Broken(), *lasting(0.3)]
    rates = [asrlab.Audio(samples=item, sample_rate=RATE) if isinstance(item, np.ndarray) else item for item in items]
    outcomes = list(measuring.transcribe_many(rates))
    assert [outcome.item for outcome in outcomes] == rates
    assert [outcome.transcript and outcome.transcript.text for outcome in outcomes] == [
        "0.1",
        "0.2",
        *[None] * 3,
        "0.3",
    ]
    reasons = [getattr(outcome.error, "reason", str(outcome.error)) for outcome in outcomes[2:5]]
    assert reasons == ["missing", "not-finite", "the archive is gone"]


def test_items_are_taken_ahead_only_so_far(measuring: Measuring):
    """Nothing before the first outcome is asked for; then never more than five batches' worth beyond it."""
    taken: list[int] = []

    def endless() -> Iterator[np.ndarray]:
        while True:
            taken.append(len(taken))
            yield lasting(0.1 + len(taken) % 7 / 10)[0]

    outcomes = measuring.transcribe_many(endless(), sample_rate=RATE)
    assert taken == []
    for given in range(50):
        assert next(outcomes).index == given
        assert len(taken) <= given + AHEAD
    assert len(taken) > 50 + SIZE


def test_what_is_in_doubt_goes_the_full_way(measuring: Measuring, steps: Lengths):
    """Only that clip, with the reason in its transcript, and the time of both ways."""
    steps.doubted = 0.2
    first, second = [outcome.unwrap() for outcome in measuring.transcribe_many(lasting(0.1, 0.2), sample_rate=RATE)]
    assert (first.text, first.path) == ("0.1", "batched")
    assert (second.text, second.path) == ("full", "batched, then full: low probability")
    assert second.timings.total == pytest.approx(second.timings.audio + second.timings.inference)


def test_a_batch_that_fails_is_tried_one_by_one(measuring: Measuring, steps: Lengths):
    """The culprit's own error is its outcome; the others lose nothing but the time."""
    steps.fails = 0.5
    outcomes = list(measuring.transcribe_many(lasting(0.4, 0.5, 0.6), sample_rate=RATE))
    assert isinstance(outcomes[1].error, AudioError)
    assert {outcomes[place].unwrap().path for place in (0, 2)} == {"batched, then full: ArithmeticError"}


def test_what_does_not_fit_a_window_goes_the_full_way(measuring: Measuring, steps: Lengths, tmp_path: Path):
    """Longer than the longest, by its header or without one, and streams, whose place others may move."""
    long, short = tmp_path / "long.wav", tmp_path / "short.wav"
    soundfile.write(long, lasting(2.1)[0], RATE)
    soundfile.write(short, lasting(1.5)[0], RATE)
    stream = io.BytesIO(short.read_bytes())
    outcomes = list(measuring.transcribe_many([long, short, long.read_bytes(), stream, short]))
    assert [outcome.unwrap().path for outcome in outcomes] == ["full", "batched", "full", "full", "batched"]
    assert steps.batches == [[1.5, 1.5]]


def test_a_single_item_goes_the_full_way(measuring: Measuring, steps: Lengths):
    """So that `transcribe_many` of one is `transcribe`."""
    (outcome,) = measuring.transcribe_many(lasting(1.0), sample_rate=RATE)
    assert (outcome.unwrap().text, outcome.unwrap().path) == ("full", "full")
    assert list(measuring.transcribe_many([])) == []


def test_a_batch_size_of_one_takes_them_one_by_one(measuring: Measuring, steps: Lengths):
    """No batch, no reading ahead, no path in the transcript or its JSON."""
    taken: list[float] = []
    items = (taken.append(1.0) or each for each in lasting(0.1, 0.2, 0.3))
    outcomes = measuring.transcribe_many(items, sample_rate=RATE, batch_size=1)
    transcript = next(outcomes).unwrap()
    assert (len(taken), steps.batches, transcript.path) == (1, [], None)
    assert '"path"' not in transcript.to("json")


def test_the_batch_size_is_the_most(measuring: Measuring, steps: Lengths):
    """As it was given; the last batches are made even."""
    list(measuring.transcribe_many(lasting(0.1, 0.2, 0.3, 0.4), sample_rate=RATE, batch_size=3))
    assert sorted(map(len, steps.batches)) == [2, 2]
    for wrong in (0, -1, 2.5, True, 2000):
        with pytest.raises(OptionError, match="batch_size"):
            measuring.transcribe_many([], batch_size=wrong)


def test_the_path_survives_json(measuring: Measuring):
    """A batched transcript reads back as it was, its times inside the recording."""
    transcript = next(measuring.transcribe_many(lasting(0.1, 0.2), sample_rate=RATE)).unwrap()
    assert transcript.segments[0].end == 0.1
    assert asrlab.Transcript.from_json(transcript.to("json")) == transcript
    assert transcript.path == "batched"


def test_what_the_input_raises_comes_after_its_items(measuring: Measuring):
    """Nothing that was taken before is lost."""

    def breaking() -> Iterator[np.ndarray]:
        yield from lasting(0.1, 0.2, 0.3)
        raise ConnectionError("the list is gone")

    texts: list[str] = []
    with pytest.raises(ConnectionError):  # noqa: PT012 - the outcomes before it are what is looked at
        for outcome in measuring.transcribe_many(breaking(), sample_rate=RATE):
            texts.append(outcome.unwrap().text)  # noqa: PERF401 - a list that raises gives nothing
    assert texts == ["0.1", "0.2", "0.3"]


def test_a_transcriber_closed_meanwhile_says_so(measuring: Measuring):
    """As one by one."""
    outcomes = measuring.transcribe_many(lasting(*[0.1] * 50), sample_rate=RATE)
    next(outcomes)
    measuring.close()
    with pytest.raises(asrlab.AsrlabError, match="is closed"):
        next(outcomes)


def test_leaving_early_ends_the_threads(measuring: Measuring):
    """None of them outlives the iterator, and none is there before it is used."""
    before = threading.active_count()
    outcomes = measuring.transcribe_many(lasting(*[0.1] * 50), sample_rate=RATE)
    assert threading.active_count() == before
    next(outcomes)
    assert threading.active_count() > before
    outcomes.close()
    assert threading.active_count() == before


def test_several_workers_keep_the_order(steps: Lengths):
    """With three batches at once."""
    steps.workers = 3
    lengths = [0.1 + place % 11 / 10 for place in range(100)]
    with Measuring(steps) as transcriber:
        outcomes = list(transcriber.transcribe_many(lasting(*lengths), sample_rate=RATE))
    assert [float(outcome.unwrap().text) for outcome in outcomes] == pytest.approx(lengths)
    assert sum(map(len, steps.batches)) == 100
