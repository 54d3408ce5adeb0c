"""Behaviour of every transcriber, shown with the echo engine and a small one."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import soundfile

import asrlab
from asrlab import (
    Audio,
    AudioError,
    Capabilities,
    Device,
    ModelInfo,
    OptionError,
    Segment,
    Transcriber,
    TranscriberInfo,
)
from asrlab.audio import AudioReader
from asrlab.options import TranscribeOptions
from asrlab.plugin import Recognition, Recognizer

RATE = 16_000


@pytest.fixture
def echo() -> Iterator[Transcriber]:
    """The echo engine, loaded."""
    with asrlab.load("echo/echo") as transcriber:
        yield transcriber


@pytest.fixture
def recording(tmp_path: Path) -> Path:
    """One second of silence, one quiet and half a second loud."""
    noise = np.random.default_rng(0).uniform(-1, 1, RATE)
    samples = np.concatenate([np.zeros(RATE), noise * 0.01, noise[: RATE // 2] * 0.5])
    path = tmp_path / "recording.wav"
    soundfile.write(path, samples, RATE)
    return path


class Slow(Recognizer):
    """An engine that yields two segments and records its events."""

    def __init__(self) -> None:
        super().__init__(
            TranscriberInfo(
                model=ModelInfo(name="slow/slow", engine="slow"),
                device=Device(requested="cpu", resolved="cpu"),
                compute_type="float32",
                capabilities=Capabilities(),
            )
        )
        self.events: list[str] = []

    def recognize(self, audio: AudioReader, options: TranscribeOptions) -> Recognition:
        """Two segments, the second beyond the end of the audio."""
        audio.read()
        return Recognition(segments=self._segments(), language=options.language)

    def _segments(self) -> Iterator[Segment]:
        try:
            for place in range(2):
                self.events.append(f"segment {place}")
                yield Segment(text=str(place), start=place, end=place + 1.0)
        finally:
            self.events.append("ended")

    def release(self) -> None:
        """Note it."""
        self.events.append("released")


def test_a_transcript_has_the_facts_of_its_making(echo: Transcriber, recording: Path):
    """A transcript has the text, the times, the requested and used device, the weights and the versions."""
    transcript = echo.transcribe(recording, word_timestamps=True)
    assert transcript.text == "silence quiet loud"
    assert [(segment.start, segment.end) for segment in transcript.segments] == [(0, 1), (1, 2), (2, 2.5)]
    assert [word.text for word in transcript.words or ()] == ["silence", "quiet", "loud"]
    assert transcript.duration == 2.5
    assert (transcript.device.requested, transcript.device.resolved) == ("auto", "cpu")
    assert transcript.version_of("asrlab") == asrlab.__version__
    assert transcript.version_of("nothing") is None
    assert transcript.timings.total == pytest.approx(transcript.timings.audio + transcript.timings.inference)
    assert transcript.timings.audio > 0
    assert echo.load_time > 0


def test_every_kind_of_source_gives_the_same_text(echo: Transcriber, recording: Path):
    """A path, text, bytes, a file object, an array and an `Audio` are the same recording."""
    samples, _ = soundfile.read(recording, dtype="float32")
    texts = [
        echo.transcribe(recording).text,
        echo.transcribe(str(recording)).text,
        echo.transcribe(recording.read_bytes()).text,
        echo.transcribe(samples, sample_rate=RATE).text,
        echo.transcribe(Audio(samples=samples, sample_rate=RATE)).text,
        echo.transcribe(asrlab.AudioFile(path=recording)).text,
    ]
    with recording.open("rb") as file:
        texts.append(echo.transcribe(file).text)
    assert set(texts) == {"silence quiet loud"}


def test_many_keeps_order_and_isolates_a_bad_item(echo: Transcriber, recording: Path):
    """There is a result per item, in order; a missing file does not end the others."""
    outcomes = list(echo.transcribe_many([recording, "missing.wav", recording]))
    assert [outcome.index for outcome in outcomes] == [0, 1, 2]
    assert [outcome.transcript is None for outcome in outcomes] == [False, True, False]
    assert isinstance(outcomes[1].error, AudioError)
    assert outcomes[1].item == "missing.wav"
    with pytest.raises(AudioError):
        outcomes[1].unwrap()


def test_many_reads_an_item_only_when_its_turn_comes(echo: Transcriber, recording: Path):
    """Items of an endless input are read one at a time."""
    taken: list[int] = []

    def endless() -> Iterator[Path]:
        while True:
            taken.append(len(taken))
            yield recording

    outcomes = echo.transcribe_many(endless())
    assert taken == []
    next(outcomes)
    next(outcomes)
    assert taken == [0, 1]


def test_many_takes_utterances(echo: Transcriber):
    """A data set can be transcribed directly, and each result has its utterance."""
    outcomes = list(echo.transcribe_many(asrlab.evaluation.load_dataset("smoke")))
    assert len(outcomes) == 5
    assert all(isinstance(outcome.item, asrlab.evaluation.Utterance) and outcome.transcript for outcome in outcomes)


def test_an_item_that_cannot_give_its_audio_fails_alone(echo: Transcriber, recording: Path):
    """An item whose audio raises has the error as its result."""

    class Broken:
        @property
        def audio(self) -> Path:
            raise RuntimeError("the archive is gone")

    outcomes = list(echo.transcribe_many([Broken(), recording]))
    assert str(outcomes[0].error) == "the archive is gone"
    assert outcomes[1].transcript is not None


def test_many_refuses_options_at_once(echo: Transcriber, recording: Path):
    """A bad option is raised at once, because options are the same for all items."""
    with pytest.raises(OptionError, match="beam_size"):
        echo.transcribe_many([recording], beam_size=5)


def test_stream_yields_segments_as_they_are_ready():
    """The first segment is yielded before the second is decoded; the transcript exists when all are read."""
    slow = Slow()
    stream = Transcriber(slow).stream(np.zeros(RATE * 2, np.float32), sample_rate=RATE)
    assert slow.events == []
    assert next(stream).text == "0"
    assert slow.events == ["segment 0"]
    with pytest.raises(asrlab.AsrlabError, match="not been read to its end"):
        stream.transcript  # noqa: B018 - the access is what is tested
    assert [segment.text for segment in stream] == ["1"]
    assert stream.transcript.text == "0 1"
    assert next(stream, None) is None


def test_leaving_a_stream_ends_the_work():
    """Leaving a stream early ends the engine's work on it."""
    slow = Slow()
    with Transcriber(slow).stream(np.zeros(RATE, np.float32), sample_rate=RATE) as stream:
        next(stream)
    assert slow.events == ["segment 0", "ended"]


def test_times_beyond_the_audio_are_clamped():
    """Segments lie inside the recording whatever the engine returns."""
    transcript = Transcriber(Slow()).transcribe(np.zeros(RATE * 3 // 2, np.float32), sample_rate=RATE)
    assert [(segment.start, segment.end) for segment in transcript.segments] == [(0, 1), (1, 1.5)]


def test_calls_of_a_closed_transcriber_are_errors(recording: Path):
    """Closing twice is allowed; every call after it raises an error."""
    transcriber = asrlab.load("echo/echo")
    later = transcriber.transcribe_many([recording, recording])
    next(later)
    transcriber.close()
    transcriber.close()
    assert transcriber.closed
    for call in (transcriber.transcribe, transcriber.stream, transcriber.transcribe_many):
        with pytest.raises(asrlab.AsrlabError, match="echo/echo is closed"):
            call(recording)
    with pytest.raises(asrlab.AsrlabError, match="is closed"):
        next(later)


def test_release_is_called_once():
    """``release`` is called once however often the transcriber is closed."""
    slow = Slow()
    with Transcriber(slow) as transcriber:
        transcriber.close()
    assert slow.events == ["released"]


def test_threads_share_a_transcriber(echo: Transcriber, recording: Path):
    """Calls from several threads do not mix."""
    silent = np.zeros(RATE * 2, np.float32)
    texts: dict[int, str] = {}

    def call(number: int) -> None:
        for _ in range(5):
            if number % 2:
                texts[number] = echo.transcribe(silent, sample_rate=RATE).text
            else:
                texts[number] = echo.transcribe(recording).text

    threads = [threading.Thread(target=call, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert texts == {0: "silence quiet loud", 1: "silence silence", 2: "silence quiet loud", 3: "silence silence"}


def test_silence_and_truncation_are_warnings_in_the_transcript(echo: Transcriber, recording: Path, tmp_path: Path):
    """Warnings about the audio are in the transcript."""
    silent = echo.transcribe(np.zeros(RATE, np.float32), sample_rate=RATE)
    assert [warning.code for warning in silent.warnings] == ["silent"]
    short = tmp_path / "short.wav"
    short.write_bytes(recording.read_bytes()[:-RATE])
    with pytest.raises(AudioError, match="allow_truncated"):
        echo.transcribe(short)
    assert [warning.code for warning in echo.transcribe(short, allow_truncated=True).warnings] == ["truncated"]
