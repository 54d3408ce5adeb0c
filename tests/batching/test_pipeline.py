"""The pipeline with a small engine whose texts are the durations of recordings."""

from __future__ import annotations

import gc
import io
import threading
import weakref
from collections.abc import Iterator, Sequence
from itertools import pairwise
from pathlib import Path

import attrs
import numpy as np
import pytest
import soundfile

import asrlab
from asrlab import AudioError, Capabilities, Device, ModelInfo, Segment, TranscriberInfo
from asrlab.audio import AudioReader
from asrlab.batching import ChunkFeatures, Decoded, Detected, pipeline
from asrlab.engine.transcriber import Transcriber
from asrlab.options import Batching, TranscribeOptions
from asrlab.plugin import Recognition, Recognizer
from asrlab.vad import EnergyVad

RATE = 16_000
SIZE = 4
AHEAD = SIZE * 6 * 2
"""Items of a block of six batches that is decoded, and of another that is read meanwhile."""


@attrs.define(kw_only=True)
class Lengths:
    """A backend that returns durations. It fails at *fails* seconds, and is unsure at *unsure* seconds.

    It records the batches, and weak references to the samples.
    """

    batches: list[list[float]] = attrs.field(factory=list)
    held: list[weakref.ref[np.ndarray]] = attrs.field(factory=list)
    fails: float = 0.0
    unsure: float = 0.0
    size: int = SIZE
    workers: int = 1
    max_chunk_s: float = 4.0
    language: str | None = None

    @property
    def batching(self) -> Batching:
        """Four to a batch, unless the caller says."""
        return Batching(batch_size=self.size, workers=self.workers)

    def compute_features(self, samples: np.ndarray) -> np.ndarray:
        """The samples."""
        self.held.append(weakref.ref(samples))
        return samples

    def encode(self, pieces: Sequence[ChunkFeatures[np.ndarray]]) -> list[float]:
        """Their durations, by the features."""
        durations = [len(piece.features) / RATE for piece in pieces]
        self.batches.append(durations)
        if self.fails in durations:
            raise ArithmeticError("one of them")
        return durations

    def detect_languages(self, encoded: list[float]) -> tuple[Detected, ...]:
        """Whole seconds are German."""
        return tuple(Detected(language="de" if each % 1 == 0 else "en", probability=0.9) for each in encoded)

    def decode(
        self, encoded: list[float], pieces: Sequence[ChunkFeatures[np.ndarray]], languages: Sequence[str]
    ) -> tuple[Decoded, ...]:
        """The duration as text."""
        return tuple(
            Decoded(
                segments=(Segment(text=f"{duration:g}", start=0.0, end=9.0),),
                avg_logprob=-2.0 if duration == self.unsure else -0.1,
                compression_ratio=1.0,
                no_speech_prob=0.0,
            )
            for duration, _, _ in zip(encoded, pieces, languages, strict=True)
        )


class Measuring(Recognizer):
    """An engine that returns ``full`` on the full path and durations in batches."""

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

    def resolve_batching(self, given: Batching) -> Batching:
        """Return *given* over the settings of the backend."""
        return given.over(self.steps.batching)

    def batch_backend(self, options: TranscribeOptions, batching: Batching) -> Lengths:  # noqa: ARG002 - takes any
        """Return the backend, with the batch size asked for."""
        self.steps.size = batching.batch_size or SIZE
        return self.steps

    def release(self) -> None:
        """Nothing to give back."""


@pytest.fixture
def steps() -> Lengths:
    """A backend with one worker and batches of four."""
    return Lengths()


@pytest.fixture(autouse=True)
def energy_vad(monkeypatch: pytest.MonkeyPatch) -> None:
    """Split long recordings by their energy."""
    monkeypatch.setattr(pipeline, "load_vad", EnergyVad)


@pytest.fixture
def measuring(steps: Lengths) -> Iterator[Transcriber]:
    """The engine, loaded."""
    with Transcriber(Measuring(steps)) as transcriber:
        yield transcriber


def lasting(*seconds: float) -> list[np.ndarray]:
    """Return a tone of each duration."""
    return [np.full(round(RATE * each), 0.1, np.float32) for each in seconds]


def test_results_come_in_the_order_of_the_items(measuring: Transcriber, steps: Lengths):
    """Results keep the order of the items whatever the order of decoding, each with its own text and language."""
    lengths = [0.1, 1.0, 0.2, 0.9, 0.3, 0.8, 0.4, 0.7, 0.6]
    outcomes = list(measuring.transcribe_many(lasting(*lengths), sample_rate=RATE))
    assert [outcome.index for outcome in outcomes] == list(range(9))
    assert [float(outcome.unwrap().text) for outcome in outcomes] == lengths
    assert [outcome.unwrap().language for outcome in outcomes] == ["en", "de", *["en"] * 7]
    assert {str(outcome.unwrap().decoding) for outcome in outcomes} == {"batched"}
    assert len(steps.batches) == 3


def test_clips_of_similar_length_share_a_batch(measuring: Transcriber, steps: Lengths):
    """The longest clips are decoded first, and each clip once."""
    list(measuring.transcribe_many(lasting(0.1, 1.0, 0.2, 0.9, 0.3, 0.8, 0.4, 0.7), sample_rate=RATE))
    assert steps.batches == [[1.0, 0.9, 0.8, 0.7], [0.4, 0.3, 0.2, 0.1]]


def test_a_bad_item_fails_alone(measuring: Transcriber):
    """A missing file, samples that are not finite, and an item without audio are errors of their own results."""

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


def test_few_items_are_read_ahead(measuring: Transcriber):
    """No item is read before the first result is requested, and then at most two blocks ahead."""
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
    assert len(taken) > 50 + SIZE * 6


def test_a_clip_that_fails_a_check_takes_the_full_path(measuring: Transcriber, steps: Lengths):
    """Only that clip is decoded again; its transcript has the reason and the time of both."""
    steps.unsure = 0.2
    first, second = [outcome.unwrap() for outcome in measuring.transcribe_many(lasting(0.1, 0.2), sample_rate=RATE)]
    assert (first.text, str(first.decoding)) == ("0.1", "batched")
    assert (second.text, str(second.decoding)) == ("full", "batched, then full: low probability")
    assert second.timings.total == pytest.approx(second.timings.audio + second.timings.inference)


def test_a_batch_that_fails_is_tried_one_by_one(measuring: Transcriber, steps: Lengths):
    """The faulty clip has its own error; the others are decoded again."""
    steps.fails = 0.5
    outcomes = list(measuring.transcribe_many(lasting(0.4, 0.5, 0.6), sample_rate=RATE))
    assert isinstance(outcomes[1].error, AudioError)
    assert {str(outcomes[place].unwrap().decoding) for place in (0, 2)} == {"batched, then full: ArithmeticError"}


def test_streams_take_the_full_path(measuring: Transcriber, steps: Lengths, tmp_path: Path):
    """Streams are not read ahead, because other code may move their position."""
    short = tmp_path / "short.wav"
    soundfile.write(short, lasting(1.5)[0], RATE)
    outcomes = list(measuring.transcribe_many([short, io.BytesIO(short.read_bytes()), short.read_bytes()]))
    assert [str(outcome.unwrap().decoding) for outcome in outcomes] == ["batched", "full", "batched"]
    assert steps.batches == [[1.5, 1.5]]


def speaking(*seconds: float) -> np.ndarray:
    """Return noise of each duration, with half a second of silence after each."""
    noise = np.random.default_rng(7)
    parts = [part for each in seconds for part in (noise.uniform(-0.3, 0.3, round(RATE * each)), np.zeros(RATE // 2))]
    return np.concatenate(parts).astype(np.float32)


def test_long_recordings_are_split_into_chunks(measuring: Transcriber, steps: Lengths):
    """Chunks are cut at silence, decoded with other clips, and joined in the time of the recording."""
    long = speaking(1.2, 1.1, 1.3, 1.4, 1.2, 1.5, 1.1, 1.3)
    outcomes = list(measuring.transcribe_many([long, *lasting(0.3)], sample_rate=RATE))
    transcript = outcomes[0].unwrap()
    pieces = [piece for batch in steps.batches for piece in batch if piece != 0.3]
    assert sum(pieces) == pytest.approx(len(long) / RATE)
    assert str(transcript.decoding) == f"batched, {len(pieces)} chunks"
    assert len(pieces) >= 4
    assert [segment.text for segment in transcript.segments] == transcript.text.split()
    assert sum(segment.end - segment.start for segment in transcript.segments) == pytest.approx(len(long) / RATE)
    for before, after in pairwise(transcript.segments):
        assert before.end == pytest.approx(after.start)
    assert outcomes[1].unwrap().text == "0.3"


def test_a_long_recording_has_one_language(measuring: Transcriber, steps: Lengths):
    """The first chunk is decoded alone and sets the language; with a requested language no chunk waits."""
    long = speaking(1.2, 1.1, 1.3, 1.4, 1.2, 1.5, 1.1, 1.3)
    transcript = next(measuring.transcribe_many([long], sample_rate=RATE)).unwrap()
    assert (transcript.language, transcript.language_probability) == ("en", 0.9)
    assert len(steps.batches[0]) == 1
    steps.batches, steps.language = [], "fr"
    given = next(measuring.transcribe_many([long], sample_rate=RATE, language="fr")).unwrap()
    assert (given.language, given.language_probability) == ("fr", None)
    assert len(steps.batches[0]) > 1


def test_a_chunk_that_fails_a_check_takes_the_full_path_alone(measuring: Transcriber, steps: Lengths):
    """The chunk keeps its times in the recording, and the decoding path has the reason."""
    long = speaking(1.2, 1.1, 1.3, 1.4, 1.2, 1.5, 1.1, 1.3)
    list(measuring.transcribe_many([long], sample_rate=RATE))
    first = steps.batches[0][0]
    steps.unsure = steps.batches[1][0]
    transcript = next(measuring.transcribe_many([long], sample_rate=RATE)).unwrap()
    assert transcript.decoding is not None
    assert str(transcript.decoding).endswith(" chunks, then full: low probability (1)")
    (full,) = [segment for segment in transcript.segments if segment.text == "full"]
    assert full.start >= first


def test_silence_in_a_long_recording_is_skipped_with_a_warning(measuring: Transcriber, steps: Lengths):
    """Long silence is not decoded, and the transcript has a warning."""
    long = np.concatenate([speaking(2.2), np.zeros(8 * RATE, np.float32), speaking(2.4)])
    transcript = next(measuring.transcribe_many([long], sample_rate=RATE)).unwrap()
    assert [warning.code for warning in transcript.warnings] == ["no-voice"]
    assert sum(piece for batch in steps.batches for piece in batch) < len(long) / RATE - 4


def test_a_truncated_long_recording_is_one_failure(measuring: Transcriber, tmp_path: Path):
    """Chunks that were decoded before the error are dropped."""
    whole = tmp_path / "long.wav"
    soundfile.write(whole, speaking(*[1.3] * 8), RATE, subtype="PCM_16")
    cut = tmp_path / "cut.wav"
    cut.write_bytes(whole.read_bytes()[: -3 * RATE])
    outcomes = list(measuring.transcribe_many([cut, whole, cut], in_order=False))
    assert sorted((outcome.index, getattr(outcome.error, "reason", None)) for outcome in outcomes) == [
        (0, "truncated"),
        (1, None),
        (2, "truncated"),
    ]


def test_results_out_of_order_come_as_they_are_ready(measuring: Transcriber):
    """The longest clips are decoded first, so their results come first."""
    items = lasting(*[0.1] * SIZE, *[1.0] * SIZE)
    outcomes = list(measuring.transcribe_many(items, sample_rate=RATE, in_order=False))
    assert [outcome.index for outcome in outcomes] == [4, 5, 6, 7, 0, 1, 2, 3]


def test_batches_do_not_depend_on_the_speed_of_reading(measuring: Transcriber, steps: Lengths):
    """Batches are the same for fast and slow input, so a repeated run gives the same texts."""
    lengths = [0.1 + place * 7 % 13 / 10 for place in range(60)]
    batches = []
    for delayed in (False, True):
        steps.batches = []
        slow = threading.Event()

        def items(wait: float) -> Iterator[np.ndarray]:
            for each in lasting(*lengths):
                slow.wait(wait)  # noqa: B023 - used at once
                yield each

        list(measuring.transcribe_many(items(0.003 if delayed else 0.0), sample_rate=RATE))
        batches.append(steps.batches)
    assert batches[0] == batches[1]


def test_a_single_item_takes_the_full_path(measuring: Transcriber, steps: Lengths):
    """``transcribe_many`` of one short item gives the result of ``transcribe``."""
    (outcome,) = measuring.transcribe_many(lasting(1.0), sample_rate=RATE)
    assert (outcome.unwrap().text, str(outcome.unwrap().decoding)) == ("full", "full")
    assert list(measuring.transcribe_many([])) == []


def test_a_batch_size_of_one_takes_them_one_by_one(measuring: Transcriber, steps: Lengths):
    """A batch size of one turns off batches, reading ahead, and the decoding path in the transcript and its JSON."""
    taken: list[float] = []
    items = (taken.append(1.0) or each for each in lasting(0.1, 0.2, 0.3))
    outcomes = measuring.transcribe_many(items, sample_rate=RATE, batching=Batching(batch_size=1))
    transcript = next(outcomes).unwrap()
    assert (len(taken), steps.batches, str(transcript.decoding)) == (1, [], "None")
    assert '"decoding"' not in transcript.to("json")


def test_the_batch_size_is_a_maximum(measuring: Transcriber, steps: Lengths):
    """Batches have at most the requested size and are of equal size."""
    list(measuring.transcribe_many(lasting(0.1, 0.2, 0.3, 0.4), sample_rate=RATE, batching=Batching(batch_size=3)))
    assert sorted(map(len, steps.batches)) == [2, 2]


def test_the_decoding_path_survives_json(measuring: Transcriber):
    """A batched transcript is read back equal, with its times inside the recording."""
    transcript = next(measuring.transcribe_many(lasting(0.1, 0.2), sample_rate=RATE)).unwrap()
    assert transcript.segments[0].end == 0.1
    assert asrlab.Transcript.from_json(transcript.to("json")) == transcript
    assert str(transcript.decoding) == "batched"


def test_an_error_of_the_input_comes_after_its_items(measuring: Transcriber):
    """Results of all items before the error are yielded first."""

    def breaking() -> Iterator[np.ndarray]:
        yield from lasting(0.1, 0.2, 0.3)
        raise ConnectionError("the list is gone")

    texts: list[str] = []
    with pytest.raises(ConnectionError):  # noqa: PT012 - the outcomes before it are what is looked at
        for outcome in measuring.transcribe_many(breaking(), sample_rate=RATE):
            texts.append(outcome.unwrap().text)  # noqa: PERF401 - a list that raises gives nothing
    assert texts == ["0.1", "0.2", "0.3"]


def test_closing_the_transcriber_meanwhile_is_an_error(measuring: Transcriber):
    """The next result after ``close`` raises an error."""
    outcomes = measuring.transcribe_many(lasting(*[0.1] * 50), sample_rate=RATE)
    next(outcomes)
    measuring.close()
    with pytest.raises(asrlab.AsrlabError, match="is closed"):
        next(outcomes)


def test_leaving_early_ends_the_threads(measuring: Transcriber):
    """No thread outlives the iterator, and none exists before it is used."""
    before = threading.active_count()
    outcomes = measuring.transcribe_many(lasting(*[0.1] * 50), sample_rate=RATE)
    assert threading.active_count() == before
    next(outcomes)
    assert threading.active_count() > before
    outcomes.close()
    assert threading.active_count() == before


def test_several_workers_keep_the_order(steps: Lengths):
    """Results keep their order with three batches decoded at once."""
    steps.workers = 3
    lengths = [0.1 + place % 11 / 10 for place in range(100)]
    with Transcriber(Measuring(steps)) as transcriber:
        outcomes = list(transcriber.transcribe_many(lasting(*lengths), sample_rate=RATE))
    assert [float(outcome.unwrap().text) for outcome in outcomes] == pytest.approx(lengths)
    assert sum(map(len, steps.batches)) == 100


def test_audio_is_freed_with_its_result():
    """Without garbage collection, only samples of waiting and running clips stay in memory."""
    steps, most = Lengths(), 0
    items = (asrlab.Audio(samples=clip, sample_rate=8000) for clip in lasting(*[0.1] * 400))
    gc.disable()
    try:
        with Transcriber(Measuring(steps)) as measuring:
            for _ in measuring.transcribe_many(items):
                most = max(most, sum(each() is not None for each in steps.held))
    finally:
        gc.enable()
    assert len(steps.held) == 400
    assert most <= AHEAD + 2 * SIZE
