from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import numpy as np
import pytest

from asrlab.audio import open_audio
from asrlab.errors import AudioError
from asrlab.transcript import Segment, TranscriptWarning, Word
from asrlab.vad import Chunker, ChunkResult, EnergyVad, VoiceActivityDetector, transcribe_chunks

RATE = 16_000


class Engine:
    """Recognizer that states the length of a chunk, and stops at its limit in chunks longer than *limit_s*.

    Attributes:
        heard: Seconds of the chunks that it was given.
    """

    def __init__(self, *, limit_s: float = 31.0, text: str = "{:.2f} seconds") -> None:
        self.limit_s = limit_s
        self.text = text
        self.heard: list[float] = []

    def __call__(self, samples: np.ndarray) -> ChunkResult:
        """The length of *samples* in words."""
        seconds = len(samples) / RATE
        self.heard.append(seconds)
        text = f" {self.text.format(seconds)} "
        return ChunkResult(text=text, tokens=(len(samples),), ended=seconds <= self.limit_s)


def transcribe(
    samples: np.ndarray, engine: Callable[[np.ndarray], ChunkResult], **choices: Any
) -> tuple[list[Segment], list[TranscriptWarning]]:
    """Return the segments and warnings of *samples*, read as an engine would."""
    warnings: list[TranscriptWarning] = []
    chunker = Chunker(vad=choices.pop("vad", None) or EnergyVad(), **{"min_audio_s": 0.09, **choices})
    with open_audio(samples, sample_rate=RATE) as audio:
        segments = transcribe_chunks(
            audio.blocks(), recognize=engine, chunker=chunker, warnings=warnings, source=audio.name
        )
        return list(segments), warnings


def test_each_chunk_is_a_segment_timed_by_its_speech(vad: VoiceActivityDetector, join: Callable[..., Any]):
    """Segments come in order, one per chunk, each from the first speech in the chunk to the last."""
    joined = join(times=3, gap_s=1.0)
    engine = Engine()
    segments, warnings = transcribe(joined.samples, engine, vad=vad)

    assert len(segments) == len(engine.heard) >= 3
    assert sum(engine.heard) == pytest.approx(len(joined.samples) / RATE)
    assert [segment.text for segment in segments] == [f"{seconds:.2f} seconds" for seconds in engine.heard]
    assert [segment.tokens for segment in segments] == [(round(seconds * RATE),) for seconds in engine.heard]
    for before, after in pairwise(segments):
        assert before.end < after.start
        assert any(start - 0.6 <= before.end and after.start <= end + 0.6 for start, end in joined.gaps)
    assert warnings == []


def test_segments_that_the_engine_timed_are_shifted_to_their_chunk(
    vad: VoiceActivityDetector, join: Callable[..., Any]
):
    """Segments and their words are shifted to the start of their chunk, and none exceeds the chunk."""
    joined = join(times=3, gap_s=1.0)
    lengths: list[float] = []

    def timed(samples: np.ndarray) -> ChunkResult:
        lengths.append(len(samples) / RATE)
        word = Word(text="here", start=0.5, end=0.75)
        late = Segment(text="padding", start=lengths[-1] - 0.5, end=lengths[-1] + 5)
        return ChunkResult(
            text="here padding", segments=(Segment(text="here", start=0.5, end=1.0, words=(word,)), late)
        )

    segments, warnings = transcribe(joined.samples, timed, vad=vad)
    starts = [sum(lengths[:place]) for place in range(len(lengths))]
    assert len(lengths) >= 3
    assert [segment.start for segment in segments[::2]] == pytest.approx([start + 0.5 for start in starts])
    assert [word.end for segment in segments for word in segment.words or ()] == pytest.approx(
        [start + 0.75 for start in starts]
    )
    ends = [start + length for start, length in zip(starts, lengths, strict=True)]
    assert [segment.end for segment in segments[1::2]] == pytest.approx(ends)
    assert warnings == []


def test_audio_that_fits_reaches_the_engine_unchanged(join: Callable[..., Any]):
    """A recording of 30 s or less is passed to the engine unchanged."""
    samples = join(times=1, gap_s=0.5).samples
    given = []

    def keep(chunk: np.ndarray) -> ChunkResult:
        given.append(chunk)
        return ChunkResult(text="kept")

    transcribe(samples, keep)
    (chunk,) = given
    np.testing.assert_array_equal(chunk, samples)


def test_a_text_that_does_not_end_is_retried_in_halves(join: Callable[..., Any]):
    """The two halves are two segments, and a warning states the times and the result."""
    samples = join(times=1, gap_s=0.5).samples
    engine = Engine(limit_s=25.0)
    segments, warnings = transcribe(samples, engine)

    assert len(engine.heard) == 3
    assert [segment.text for segment in segments] == [f"{seconds:.2f} seconds" for seconds in engine.heard[1:]]
    assert segments[0].end <= segments[1].start
    (warning,) = warnings
    assert warning.code == "halved"
    assert f"0.00 to {len(samples) / RATE:.2f} s did not end" in warning.message
    assert f"cut at {engine.heard[1]:.2f} s, and ended" in warning.message


def test_a_half_that_does_not_end_keeps_its_text(join: Callable[..., Any]):
    """A half is not retried: its text so far stays, with a warning of its own."""
    engine = Engine(limit_s=1.0)
    segments, warnings = transcribe(join(times=1, gap_s=0.5).samples, engine)

    assert len(engine.heard) == 3
    assert [segment.text for segment in segments] == [f"{seconds:.2f} seconds" for seconds in engine.heard[1:]]
    assert [warning.code for warning in warnings] == ["output-truncated"] * 3
    assert "but did not end everywhere" in warnings[0].message
    assert "words are missing" in warnings[1].message
    assert f"{engine.heard[1]:.2f} to" in warnings[2].message


def test_a_chunk_too_short_to_halve_keeps_its_text(join: Callable[..., Any]):
    """The text of a chunk that cannot be halved is kept with a warning."""
    engine = Engine(limit_s=0.5)
    segments, warnings = transcribe(join(times=1, gap_s=0.5).samples[: int(1.5 * RATE)], engine)
    assert [segment.text for segment in segments] == ["1.50 seconds"]
    assert [warning.code for warning in warnings] == ["output-truncated"]


def test_only_the_half_with_speech_is_retried(join: Callable[..., Any]):
    """A model that does not stop in a silence does not receive the silence again."""
    speech = join(times=1, gap_s=0.5).samples[: 7 * RATE]
    quiet = (np.random.default_rng(3).standard_normal(20 * RATE) * 1e-4).astype(np.float32)
    engine = Engine(limit_s=20.0)
    segments, warnings = transcribe(np.concatenate([speech, quiet]), engine)

    assert len(engine.heard) == 2
    assert len(segments) == 1
    assert [warning.code for warning in warnings] == ["halved", "no-voice"]
    assert f"{engine.heard[1]:.2f} to 27.00 s" in warnings[1].message


def test_a_loop_is_kept_with_a_warning(join: Callable[..., Any]):
    """The text stays unchanged; the warning has the times and the phrase."""
    segments, warnings = transcribe(
        join(times=1, gap_s=0.5).samples, lambda _: ChunkResult(text="so " + "it goes on, " * 30)
    )
    assert len(segments) == 1
    (warning,) = warnings
    assert warning.code == "repetition"
    assert 'repeats "it goes on" 30 times' in warning.message
    assert "0.00 to" in warning.message


def test_a_long_silence_is_not_transcribed(vad: VoiceActivityDetector, join: Callable[..., Any]):
    """A long silence gives no segment, and one warning states its times."""
    speech = join(times=1, gap_s=0.0).samples[: 20 * RATE]
    quiet = (np.random.default_rng(3).standard_normal(200 * RATE) * 1e-4).astype(np.float32)
    engine = Engine()
    segments, warnings = transcribe(np.concatenate([speech, quiet, speech]), engine, vad=vad)

    assert len(segments) == 2
    assert sum(engine.heard) < 43
    (warning,) = warnings
    assert warning.code == "no-voice"
    assert warning.message.startswith(("198.", "199."))
    assert str(vad.info) in warning.message


def test_many_silences_are_one_warning(join: Callable[..., Any]):
    """The warning lists the first five silences and counts the others."""
    quiet = (np.random.default_rng(3).standard_normal(35 * RATE) * 1e-4).astype(np.float32)
    speech = join(times=1, gap_s=0.0).samples[: 4 * RATE]
    samples = np.concatenate([part for _ in range(7) for part in (speech, quiet)])
    _, warnings = transcribe(samples, Engine())
    (warning,) = warnings
    assert warning.message.count(" to ") == 5
    assert "2 more" in warning.message


def test_a_short_recording_without_speech_is_transcribed_with_a_warning():
    """A detector that errs does not swallow a whole recording, and a warning reports the chunk."""
    noise = (np.random.default_rng(3).standard_normal(5 * RATE) * 5e-4).astype(np.float32)
    engine = Engine()
    segments, warnings = transcribe(noise, engine)
    assert engine.heard == [5.0]
    assert (segments[0].start, segments[0].end) == (0.0, 5.0)
    (warning,) = warnings
    assert warning.code == "no-voice"
    assert "may be made up" in warning.message


def test_digital_silence_is_not_transcribed():
    """A recording of zeros contains no speech, even a short one."""
    engine = Engine()
    segments, warnings = transcribe(np.zeros(5 * RATE, np.float32), engine)
    assert engine.heard == []
    assert segments == []
    assert [warning.code for warning in warnings] == ["no-voice"]


def test_a_recording_below_the_minimum_is_refused():
    """The error names the recording, its length and the model's minimum."""
    with pytest.raises(AudioError, match=r"'<array>' lasts 0\.050 s, .* needs at least 0\.09 s") as caught:
        transcribe(np.full(800, 0.1, np.float32), Engine())
    assert caught.value.reason == "too-short"
    assert caught.value.source == "<array>"


def test_a_recording_of_the_minimum_is_transcribed():
    """A recording of exactly 90 ms is accepted with a minimum of 90 ms."""
    engine = Engine()
    transcribe(np.full(1440, 0.1, np.float32) * np.resize(np.array([1, -1], np.float32), 1440), engine)
    assert engine.heard == [0.09]


def test_an_error_in_a_chunk_ends_the_transcription(join: Callable[..., Any]):
    """The segments before the error are yielded, and the error names the chunk."""
    heard = []

    def fail_second(samples: np.ndarray) -> ChunkResult:
        heard.append(len(samples))
        if len(heard) == 2:
            raise RuntimeError("out of memory")
        return ChunkResult(text="fine")

    chunker = Chunker(vad=EnergyVad())
    segments = transcribe_chunks(
        [join(times=3, gap_s=0.5).samples], recognize=fail_second, chunker=chunker, warnings=[], source="talk.wav"
    )
    first = next(segments)
    assert first.text == "fine"
    with pytest.raises(RuntimeError, match="out of memory") as caught:
        next(segments)
    assert f"in {heard[0] / RATE:.2f} to" in caught.value.__notes__[0]
    assert "'talk.wav'" in caught.value.__notes__[0]


def test_a_chunk_without_text_gives_no_segment(join: Callable[..., Any]):
    """A text of white space gives no segment."""
    segments, _ = transcribe(join(times=1, gap_s=0.5).samples, lambda _: ChunkResult(text=" \n"))
    assert segments == []


_HOUR = """
import json
import numpy as np
from asrlab.vad import Chunker, EnergyVad, ChunkResult, transcribe_chunks
from asrlab.evaluation.metrics import peak_resident_bytes

noise = np.random.default_rng(1).standard_normal(16_000).astype(np.float32)
shape = np.repeat(np.array([0.3, 0.2, 0.3, 0.001], np.float32), 4000)

def blocks():
    for _ in range(3600):
        yield noise * shape

chunks = []

def recognize(samples):
    chunks.append(len(samples))
    return ChunkResult(text=str(len(chunks)))

def run():
    chunker = Chunker(vad=EnergyVad())
    return sum(1 for _ in transcribe_chunks(blocks(), recognize=recognize, chunker=chunker, warnings=[]))

EnergyVad().start().feed(noise * shape)
before = peak_resident_bytes()
segments = run()
print(json.dumps({"grown": peak_resident_bytes() - before, "segments": segments, "samples": sum(chunks)}))
"""


def test_an_hour_takes_no_more_memory_than_a_few_chunks():
    """Only a chunk and a block are in memory, for a recording of any length."""
    done = subprocess.run([sys.executable, "-c", _HOUR], capture_output=True, text=True, check=True)
    measured = json.loads(done.stdout)
    assert measured["samples"] == 3600 * RATE
    assert measured["segments"] >= 120
    assert measured["grown"] < 40e6
