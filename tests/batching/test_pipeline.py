"""The batching pipeline with the engine of conftest.py, whose texts are the durations of recordings."""

from __future__ import annotations

import gc
import io
import threading
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
import soundfile

import asrlab
from asrlab import AudioError
from asrlab.engine.transcriber import Transcriber
from asrlab.options import Batching

if TYPE_CHECKING:
    from conftest import DurationBackend

RATE = 16_000
SIZE = 4
AHEAD = SIZE * 6 * 2
"""Items of a block of six batches that is decoded, and of another that is read meanwhile."""


def lasting(*seconds: float) -> list[np.ndarray]:
    """Return a tone of each duration."""
    return [np.full(round(RATE * duration), 0.1, np.float32) for duration in seconds]


def test_results_come_in_the_order_of_the_items(transcriber: Transcriber, backend: DurationBackend):
    """Results keep the order of the items whatever the order of decoding, each with its own text and language."""
    lengths = [0.1, 1.0, 0.2, 0.9, 0.3, 0.8, 0.4, 0.7, 0.6]
    outcomes = list(transcriber.transcribe_many(lasting(*lengths), sample_rate=RATE))
    assert [outcome.index for outcome in outcomes] == list(range(9))
    assert [float(outcome.unwrap().text) for outcome in outcomes] == lengths
    assert [outcome.unwrap().language for outcome in outcomes] == ["en", "de", *["en"] * 7]
    assert {str(outcome.unwrap().decoding) for outcome in outcomes} == {"batched"}
    assert len(backend.batches) == 3


def test_clips_of_similar_length_share_a_batch(transcriber: Transcriber, backend: DurationBackend):
    """The longest clips are decoded first, and each clip once."""
    list(transcriber.transcribe_many(lasting(0.1, 1.0, 0.2, 0.9, 0.3, 0.8, 0.4, 0.7), sample_rate=RATE))
    assert backend.batches == [[1.0, 0.9, 0.8, 0.7], [0.4, 0.3, 0.2, 0.1]]


def test_a_bad_item_fails_alone(transcriber: Transcriber):
    """A missing file, samples that are not finite, and an item without audio are errors of their own results."""

    class Broken:
        @property
        def audio(self) -> Path:
            raise RuntimeError("the archive is gone")

    items = [*lasting(0.1, 0.2), "missing.wav", np.full(100, np.nan, np.float32), Broken(), *lasting(0.3)]
    rates = [asrlab.Audio(samples=item, sample_rate=RATE) if isinstance(item, np.ndarray) else item for item in items]
    outcomes = list(transcriber.transcribe_many(rates))
    assert [outcome.item for outcome in outcomes] == rates
    assert [outcome.transcript and outcome.transcript.text for outcome in outcomes] == [
        "0.1",
        "0.2",
        *[None] * 3,
        "0.3",
    ]
    reasons = [getattr(outcome.error, "reason", str(outcome.error)) for outcome in outcomes[2:5]]
    assert reasons == ["missing", "not-finite", "the archive is gone"]


def test_few_items_are_read_ahead(transcriber: Transcriber):
    """No item is read before the first result is requested, and then at most two blocks ahead."""
    taken: list[int] = []

    def endless() -> Iterator[np.ndarray]:
        while True:
            taken.append(len(taken))
            yield lasting(0.1 + len(taken) % 7 / 10)[0]

    outcomes = transcriber.transcribe_many(endless(), sample_rate=RATE)
    assert taken == []
    for given in range(50):
        assert next(outcomes).index == given
        assert len(taken) <= given + AHEAD
    assert len(taken) >= 50 + SIZE * 6


def test_a_clip_that_fails_a_check_takes_the_full_path(transcriber: Transcriber, backend: DurationBackend):
    """Only that clip is decoded again; its transcript has the reason and the time of both."""
    backend.unsure = 0.2
    first, second = [outcome.unwrap() for outcome in transcriber.transcribe_many(lasting(0.1, 0.2), sample_rate=RATE)]
    assert (first.text, str(first.decoding)) == ("0.1", "batched")
    assert (second.text, str(second.decoding)) == ("full", "batched, then full: low probability")
    assert second.timings.total == pytest.approx(second.timings.audio + second.timings.inference)


def test_a_batch_that_fails_is_tried_one_by_one(transcriber: Transcriber, backend: DurationBackend):
    """The faulty clip has its own error; the others are decoded again."""
    backend.fails = 0.5
    outcomes = list(transcriber.transcribe_many(lasting(0.4, 0.5, 0.6), sample_rate=RATE))
    assert isinstance(outcomes[1].error, AudioError)
    assert {str(outcomes[place].unwrap().decoding) for place in (0, 2)} == {"batched, then full: ArithmeticError"}


def test_streams_take_the_full_path(transcriber: Transcriber, backend: DurationBackend, tmp_path: Path):
    """Streams are not read ahead, because other code may move their position."""
    short = tmp_path / "short.wav"
    soundfile.write(short, lasting(1.5)[0], RATE)
    outcomes = list(transcriber.transcribe_many([short, io.BytesIO(short.read_bytes()), short.read_bytes()]))
    assert [str(outcome.unwrap().decoding) for outcome in outcomes] == ["batched", "full", "batched"]
    assert backend.batches == [[1.5, 1.5]]


def speaking(*seconds: float) -> np.ndarray:
    """Return noise of each duration, with half a second of silence after each."""
    noise = np.random.default_rng(7)
    parts = [part for each in seconds for part in (noise.uniform(-0.3, 0.3, round(RATE * each)), np.zeros(RATE // 2))]
    return np.concatenate(parts).astype(np.float32)


def test_long_recordings_are_split_into_chunks(transcriber: Transcriber, backend: DurationBackend):
    """Chunks are cut at silence, decoded with other clips, and joined in the time of the recording."""
    long = speaking(1.2, 1.1, 1.3, 1.4, 1.2, 1.5, 1.1, 1.3)
    outcomes = list(transcriber.transcribe_many([long, *lasting(0.3)], sample_rate=RATE))
    transcript = outcomes[0].unwrap()
    chunks = [chunk for batch in backend.batches for chunk in batch if chunk != 0.3]
    assert sum(chunks) == pytest.approx(len(long) / RATE)
    assert str(transcript.decoding) == f"batched, {len(chunks)} chunks"
    assert len(chunks) >= 4
    assert [segment.text for segment in transcript.segments] == transcript.text.split()
    assert sum(segment.end - segment.start for segment in transcript.segments) == pytest.approx(len(long) / RATE)
    for before, after in pairwise(transcript.segments):
        assert before.end == pytest.approx(after.start)
    assert outcomes[1].unwrap().text == "0.3"


def test_a_long_recording_has_one_language(transcriber: Transcriber, backend: DurationBackend):
    """The first chunk is decoded alone and sets the language; with a requested language no chunk waits."""
    long = speaking(1.2, 1.1, 1.3, 1.4, 1.2, 1.5, 1.1, 1.3)
    transcript = next(transcriber.transcribe_many([long], sample_rate=RATE)).unwrap()
    assert (transcript.language, transcript.language_probability) == ("en", 0.9)
    assert len(backend.batches[0]) == 1
    backend.batches, backend.language = [], "fr"
    given = next(transcriber.transcribe_many([long], sample_rate=RATE, language="fr")).unwrap()
    assert (given.language, given.language_probability) == ("fr", None)
    assert len(backend.batches[0]) > 1


def test_a_chunk_that_fails_a_check_takes_the_full_path_alone(transcriber: Transcriber, backend: DurationBackend):
    """The chunk keeps its times in the recording, and the decoding path has the reason."""
    long = speaking(1.2, 1.1, 1.3, 1.4, 1.2, 1.5, 1.1, 1.3)
    list(transcriber.transcribe_many([long], sample_rate=RATE))
    first = backend.batches[0][0]
    backend.unsure = backend.batches[1][0]
    transcript = next(transcriber.transcribe_many([long], sample_rate=RATE)).unwrap()
    assert transcript.decoding is not None
    assert str(transcript.decoding).endswith(" chunks, then full: low probability (1)")
    (full,) = [segment for segment in transcript.segments if segment.text == "full"]
    assert full.start >= first


def test_silence_in_a_long_recording_is_skipped_with_a_warning(transcriber: Transcriber, backend: DurationBackend):
    """Long silence is not decoded, and the transcript has a warning."""
    long = np.concatenate([speaking(2.2), np.zeros(8 * RATE, np.float32), speaking(2.4)])
    transcript = next(transcriber.transcribe_many([long], sample_rate=RATE)).unwrap()
    assert [warning.code for warning in transcript.warnings] == ["no-voice"]
    assert sum(chunk for batch in backend.batches for chunk in batch) < len(long) / RATE - 4


def test_a_truncated_long_recording_is_one_failure(transcriber: Transcriber, tmp_path: Path):
    """Chunks that were decoded before the error are dropped."""
    whole = tmp_path / "long.wav"
    soundfile.write(whole, speaking(*[1.3] * 8), RATE, subtype="PCM_16")
    cut = tmp_path / "cut.wav"
    cut.write_bytes(whole.read_bytes()[: -3 * RATE])
    outcomes = list(transcriber.transcribe_many([cut, whole, cut], in_order=False))
    assert sorted((outcome.index, getattr(outcome.error, "reason", None)) for outcome in outcomes) == [
        (0, "truncated"),
        (1, None),
        (2, "truncated"),
    ]


def test_results_out_of_order_come_as_they_are_ready(transcriber: Transcriber):
    """The longest clips are decoded first, so their results come first."""
    items = lasting(*[0.1] * SIZE, *[1.0] * SIZE)
    outcomes = list(transcriber.transcribe_many(items, sample_rate=RATE, in_order=False))
    assert [outcome.index for outcome in outcomes] == [4, 5, 6, 7, 0, 1, 2, 3]


def test_batches_do_not_depend_on_the_speed_of_reading(transcriber: Transcriber, backend: DurationBackend):
    """Batches are the same for fast and slow input, so a repeated run gives the same texts."""
    lengths = [0.1 + place * 7 % 13 / 10 for place in range(60)]
    batches = []
    for delayed in (False, True):
        backend.batches = []
        slow = threading.Event()

        def items(wait: float) -> Iterator[np.ndarray]:
            for each in lasting(*lengths):
                slow.wait(wait)  # noqa: B023 - used at once
                yield each

        list(transcriber.transcribe_many(items(0.003 if delayed else 0.0), sample_rate=RATE))
        batches.append(backend.batches)
    assert batches[0] == batches[1]


def test_a_single_item_takes_the_full_path(transcriber: Transcriber, backend: DurationBackend):
    """``transcribe_many`` of one short item gives the result of ``transcribe``."""
    (outcome,) = transcriber.transcribe_many(lasting(1.0), sample_rate=RATE)
    assert (outcome.unwrap().text, str(outcome.unwrap().decoding)) == ("full", "full")
    assert list(transcriber.transcribe_many([])) == []


def test_a_batch_size_of_one_takes_them_one_by_one(transcriber: Transcriber, backend: DurationBackend):
    """A batch size of one turns off batches, reading ahead, and the decoding path in the transcript and its JSON."""
    taken: list[float] = []
    items = (taken.append(1.0) or each for each in lasting(0.1, 0.2, 0.3))
    outcomes = transcriber.transcribe_many(items, sample_rate=RATE, batching=Batching(batch_size=1))
    transcript = next(outcomes).unwrap()
    assert (len(taken), backend.batches, str(transcript.decoding)) == (1, [], "None")
    assert '"decoding"' not in transcript.to("json")


def test_the_batch_size_is_a_maximum(transcriber: Transcriber, backend: DurationBackend):
    """Batches have at most the requested size and are of equal size."""
    list(transcriber.transcribe_many(lasting(0.1, 0.2, 0.3, 0.4), sample_rate=RATE, batching=Batching(batch_size=3)))
    assert sorted(map(len, backend.batches)) == [2, 2]


def test_the_decoding_path_survives_json(transcriber: Transcriber):
    """A batched transcript is read back equal, with its times inside the recording."""
    transcript = next(transcriber.transcribe_many(lasting(0.1, 0.2), sample_rate=RATE)).unwrap()
    assert transcript.segments[0].end == 0.1
    assert asrlab.Transcript.from_json(transcript.to("json")) == transcript
    assert str(transcript.decoding) == "batched"


def test_an_error_of_the_input_comes_after_its_items(transcriber: Transcriber):
    """Results of all items before the error are yielded first."""

    def breaking() -> Iterator[np.ndarray]:
        yield from lasting(0.1, 0.2, 0.3)
        raise ConnectionError("the list is gone")

    texts: list[str] = []
    with pytest.raises(ConnectionError):  # noqa: PT012 - the outcomes before it are what is looked at
        for outcome in transcriber.transcribe_many(breaking(), sample_rate=RATE):
            texts.append(outcome.unwrap().text)  # noqa: PERF401 - a list that raises gives nothing
    assert texts == ["0.1", "0.2", "0.3"]


def test_closing_the_transcriber_meanwhile_is_an_error(transcriber: Transcriber):
    """The next result after ``close`` raises an error."""
    outcomes = transcriber.transcribe_many(lasting(*[0.1] * 50), sample_rate=RATE)
    next(outcomes)
    transcriber.close()
    with pytest.raises(asrlab.AsrlabError, match="is closed"):
        next(outcomes)


def test_leaving_early_ends_the_threads(transcriber: Transcriber):
    """No thread outlives the iterator, and none exists before it is used."""
    before = threading.active_count()
    outcomes = transcriber.transcribe_many(lasting(*[0.1] * 50), sample_rate=RATE)
    assert threading.active_count() == before
    next(outcomes)
    assert threading.active_count() > before
    outcomes.close()
    assert threading.active_count() == before


def test_several_workers_keep_the_order(transcriber: Transcriber, backend: DurationBackend):
    """Results keep their order with three batches decoded at once."""
    backend.workers = 3
    lengths = [0.1 + index % 11 / 10 for index in range(100)]
    outcomes = list(transcriber.transcribe_many(lasting(*lengths), sample_rate=RATE))
    assert [float(outcome.unwrap().text) for outcome in outcomes] == pytest.approx(lengths)
    assert sum(map(len, backend.batches)) == 100


def test_audio_is_freed_with_its_result(transcriber: Transcriber, backend: DurationBackend):
    """Without garbage collection, only samples of waiting and running clips stay in memory."""
    max_alive = 0
    items = (asrlab.Audio(samples=clip, sample_rate=8000) for clip in lasting(*[0.1] * 400))
    gc.disable()
    try:
        for _ in transcriber.transcribe_many(items):
            max_alive = max(max_alive, sum(reference() is not None for reference in backend.samples))
    finally:
        gc.enable()
    assert len(backend.samples) == 400
    assert max_alive <= AHEAD + 2 * SIZE
