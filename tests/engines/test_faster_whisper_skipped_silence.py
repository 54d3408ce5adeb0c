"""Silence that faster-whisper's filter skips, and the times after it."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np
import pytest
import webvtt

import asrlab

pytest.importorskip("faster_whisper", reason="faster-whisper is not installed")

from io import StringIO

from faster_whisper.transcribe import Segment as EngineSegment, Word as EngineWord

from asrlab.engines.faster_whisper.skipped_silence import JoinedSpeech, SpeechSpan, find_speech, split_by_share

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

GAP_S = 33.0
RATE = 16_000
# 0 to 3 s and 36 to 40 s of a recording are 0 to 3 s and 3 to 7 s of the decoded samples
SPEECH = JoinedSpeech(
    samples=np.zeros(7 * RATE, np.float32),
    spans=(SpeechSpan(start=0.0, end=3.0, joined=0.0), SpeechSpan(start=36.0, end=40.0, joined=3.0)),
)


@pytest.fixture(scope="module")
def base(use_weights: Path) -> Iterator[asrlab.Transcriber]:
    """Load Whisper base on the CPU."""
    with asrlab.load("faster-whisper/base", device="cpu", offline=True) as transcriber:
        yield transcriber


@pytest.fixture(scope="module")
def joined(speech: dict[str, asrlab.evaluation.Utterance]) -> np.ndarray:
    """Return three clips with 33 s of faint noise between them; float32, shape (n,), at 16 kHz."""
    clips = [asrlab.load_audio(speech[name].audio).samples for name in ("0880", "0930", "0890")]
    noise = (np.random.default_rng(1).standard_normal(round(GAP_S * RATE)) * 1e-4).astype(np.float32)
    return np.concatenate([clips[0], noise, clips[1], noise, clips[2]])


@pytest.mark.parametrize("options", [{}, {"word_timestamps": True}], ids=["segments", "words"])
def test_no_cue_overlaps_skipped_silence(base: asrlab.Transcriber, joined: np.ndarray, options: dict[str, bool]):
    """Segments and words lie within detected speech, and each cue lasts at least 0.7 s."""
    transcript = base.transcribe(joined, sample_rate=RATE, language="en", vad_filter=True, **options)
    spans = find_speech(joined, None).spans
    assert len(spans) == 3
    assert "ill-disposed" in transcript.text
    for timed in (*transcript.segments, *(transcript.words or ())):
        assert any(span.start <= timed.start <= timed.end <= span.end for span in spans), timed
    captions = webvtt.from_buffer(StringIO(transcript.to("vtt"))).captions
    times = [(caption.start_in_seconds, caption.end_in_seconds) for caption in captions]
    assert len(times) >= 3
    assert all(0.69 < end - start < 10 for start, end in times)
    assert all(first <= second for (_, first), (second, _) in pairwise(times))


def segment(text: str, start: float, end: float, words: list[EngineWord] | None = None) -> EngineSegment:
    """Return a segment of the engine, timed in the decoded samples."""
    return EngineSegment(
        id=1, seek=0, start=start, end=end, text=text, tokens=[1, 2], avg_logprob=-0.1, compression_ratio=1.0,
        no_speech_prob=0.0, words=words, temperature=0.0,
    )  # fmt: skip


def restore(segment: EngineSegment) -> list[tuple[str, float, float]]:
    """Return text, start and end of the segments of the recording."""
    return [(part.text.strip(), part.start, part.end) for part in SPEECH.restore_times([segment])]


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ((" He was.", 0.5, 2.5), [("He was.", 0.5, 2.5)]),
        ((" He was.", 0.5, 3.2), [("He was.", 0.5, 3.0)]),
        ((" He was.", 2.8, 6.0), [("He was.", 36.0, 39.0)]),
        ((" He was.", 4.0, 9.0), [("He was.", 37.0, 40.0)]),
        ((" He was it. And she?", 0.0, 7.0), [("He was it.", 0.0, 3.0), ("And she?", 36.0, 40.0)]),
        ((" Alone", 0.0, 7.0), [("Alone", 36.0, 40.0)]),
        (("", 2.0, 2.0), [("", 2.0, 2.0)]),
    ],
    ids=["whole", "just-after-the-cut", "just-before-the-cut", "beyond-the-end", "on-both-sides", "one-word", "empty"],
)
def test_a_segment_is_moved_to_its_speech(fields: tuple[str, float, float], expected: list[object]):
    """A segment without words across a cut is split by its share of time, at punctuation if possible."""
    assert restore(segment(*fields)) == expected


def test_words_on_both_sides_of_a_cut_are_two_segments():
    """Each word belongs to the speech around its middle, is clamped to it, and determines its segment."""
    words = [
        EngineWord(start=2.0, end=2.6, word=" one", probability=1.0),
        EngineWord(start=2.7, end=3.2, word=" two", probability=1.0),
        EngineWord(start=2.9, end=3.5, word=" three", probability=1.0),
        EngineWord(start=6.5, end=7.4, word=" four.", probability=1.0),
    ]
    segments = list(SPEECH.restore_times([segment(" one two three four.", 2.0, 7.4, words)]))
    assert [(part.text.strip(), part.start, part.end) for part in segments] == [
        ("one two", 2.0, 3.0),
        ("three four.", 36.0, 40.0),
    ]
    assert [[(word.start, word.end) for word in part.words or ()] for part in segments] == [
        [(2.0, 2.6), (2.7, 3.0)],
        [(36.0, 36.5), (39.5, 40.0)],
    ]
    assert [part.tokens for part in segments] == [[1, 2], []]


def test_splitting_a_text_loses_no_word():
    """For any shares, the joined parts are the text."""
    for count in range(1, 6):
        for lengths in ([1.0], [1.0, 9.0], [9.0, 1.0], [1e-6, 1.0, 1e-6], [1.0] * 4):
            text = " ".join(f"w{number}," for number in range(count))
            parts = split_by_share(text, lengths)
            assert len(parts) == len(lengths)
            assert " ".join(part for part in parts if part) == text


def test_silence_has_no_speech(base: asrlab.Transcriber):
    """Silence has no speech spans and an empty text."""
    samples = np.zeros(3 * RATE, np.float32)
    assert find_speech(samples, None).spans == ()
    assert base.transcribe(samples, sample_rate=RATE, vad_filter=True).text == ""
