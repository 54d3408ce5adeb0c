"""Tuning with a stand-in of known speed, and once with a real engine."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import cast

import attrs
import pytest

import asrlab
from asrlab import AsrlabError, Batching, Capabilities, Device, ModelInfo, OptionError, Segment
from asrlab.audio import Audio, open_audio
from asrlab.engine.contract import TranscriberInfo
from asrlab.engine.spec import EngineSpec
from asrlab.engine.transcriber import Transcriber, build_transcript
from asrlab.options import TranscribeOptions
from asrlab.plugin import Recognition
from asrlab.transcript import DecodingPath, TranscribeResult
from asrlab.tuning.calibration import Calibration, CalibrationStore
from asrlab.tuning.search import MIN_GAIN, N_CLIPS, TrialRunner, benchmark_clips, total_duration
from asrlab.tuning.tune import calibrate

ENGINE = EngineSpec(name="paced", factory="none:none", devices="none:none", models=())
DEFAULT = Batching(batch_size=8, workers=2, threads=2, padding_s=6.0, batch_encoder=False)
Pace = Callable[[Batching], float]


class Paced:
    """A stand-in for a transcriber: it takes one second over *pace* for each second of audio, by its own clock."""

    def __init__(self, pace: Pace) -> None:
        self.info = TranscriberInfo(
            model=ModelInfo(name="paced/one", engine="paced"),
            device=Device(requested="auto", resolved="cpu"),
            compute_type="float32",
            capabilities=Capabilities(),
        )
        self.calibration: Batching | None = None
        self.pace, self.now = pace, 0.0
        self.seen: set[Batching] = set()

    def batching(self, given: Batching | None = None) -> Batching:
        """Return *given* over the defaults."""
        return (given or Batching()).over(DEFAULT)

    def transcribe_many(
        self, items: Iterable[Audio], *, options: TranscribeOptions, batching: Batching, in_order: bool
    ) -> Iterator[TranscribeResult]:
        """Advance the clock for each item."""
        assert not in_order
        settings = self.batching(batching)
        self.seen.add(settings)
        for index, item in enumerate(items):
            reader = open_audio(item)
            reader.read()
            self.now += reader.duration / self.pace(settings)
            recognition = Recognition(segments=iter([Segment(text="one", start=0.0, end=1.0)]))
            transcript = build_transcript(self.info, reader, recognition, options, busy_s=0.0)
            yield TranscribeResult(
                index=index, item=item, transcript=attrs.evolve(transcript, decoding=DecodingPath(batched=True))
            )

    def calibrated(self, seconds: float = 1000.0) -> Calibration:
        """Calibrate on four cores, by its own clock."""
        transcriber = cast("Transcriber", self)
        runner = TrialRunner(transcriber, seconds=seconds, clock=lambda: self.now)
        return calibrate(transcriber, ENGINE, runner, threads=4)


def test_the_fastest_is_found():
    """Every dimension is searched, and the result depends on the times alone."""

    def pace(batching: Batching) -> float:
        return 100.0 * (batching.workers == 4) + 5.0 * (batching.batch_size or 0) + 20.0 * bool(batching.batch_encoder)

    made = Paced(pace).calibrated()
    assert made.batching == Batching(batch_size=32, workers=4, threads=1, padding_s=6.0, batch_encoder=True)
    assert made.complete
    assert {trial.step for trial in made.trials} == {"defaults", "workers", "batch size", "encoder", "window"}
    assert all(trial.batching.threads == 4 // (trial.batching.workers or 1) for trial in made.trials)


def test_little_gain_changes_nothing():
    """A candidate that is faster by less than the noise of a machine is not adopted."""
    gain = 1 + (MIN_GAIN - 1) / 2
    made = Paced(lambda batching: 100.0 if batching == DEFAULT else 100.0 * gain).calibrated()
    assert made.batching == DEFAULT


def test_a_shorter_window_is_never_tried():
    """Only the default and the full window are tried, because a shorter window loses words."""
    paced = Paced(lambda _batching: 100.0)
    paced.calibrated()
    assert {batching.padding_s for batching in paced.seen} == {6.0, 30.0}


def test_a_candidate_that_fails_is_recorded_and_not_adopted():
    """A candidate that runs out of memory has its error in the trials."""

    def pace(batching: Batching) -> float:
        if (batching.batch_size or 0) > 8:
            raise MemoryError("too large")
        return 100.0

    made = Paced(pace).calibrated()
    assert made.batching == DEFAULT
    assert [trial.error for trial in made.trials if trial.error] == ["MemoryError: too large"]


def test_the_time_limit_is_kept():
    """The best settings so far are the result, and candidates without a turn are listed."""
    made = Paced(lambda batching: 10.0 * (batching.workers or 1)).calibrated(seconds=100.0)
    assert not made.complete
    assert any(trial.error == "there was no time left for it" for trial in made.trials)
    assert made.seconds <= 100.0


def test_an_engine_that_fails_or_does_not_batch_is_refused():
    """An engine that fails or has no batches, and a bad time limit, are errors."""

    def broken(_batching: Batching) -> float:
        raise ArithmeticError("broken")

    with pytest.raises(
        AsrlabError, match="cannot be tuned because it fails with its default settings: ArithmeticError: broken"
    ):
        Paced(broken).calibrated()
    with pytest.raises(OptionError, match="takes recordings one by one"):
        asrlab.tune("echo/echo")
    with pytest.raises(OptionError, match="positive"):
        asrlab.tune("echo/echo", seconds=0)


def test_clips_are_of_mixed_lengths():
    """Clips of 2 to 20 seconds repeat after a cycle."""
    lengths = [len(clip.samples) / clip.sample_rate for clip in benchmark_clips(2 * N_CLIPS)]
    assert lengths[:N_CLIPS] == lengths[N_CLIPS:]
    assert min(lengths) == 2.0
    assert 15 < max(lengths) < 20
    assert total_duration(benchmark_clips(N_CLIPS)) == pytest.approx(sum(lengths[:N_CLIPS]))


def test_what_was_tuned_is_used_by_load(use_weights: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """``load`` uses the result of a short tuning, and given settings override it."""
    pytest.importorskip("faster_whisper", reason="faster-whisper is not installed")
    monkeypatch.setenv("ASRLAB_CACHE", str(tmp_path))
    made = asrlab.tune("faster-whisper/tiny.en", device="cpu", seconds=4.0, offline=True)
    assert made.trials[0].step == "defaults"
    (stored,) = CalibrationStore().all()
    assert stored[1] == made
    with asrlab.load("faster-whisper/tiny.en", device="cpu", offline=True) as transcriber:
        assert transcriber.calibration == made.batching == transcriber.batching()
        assert transcriber.batching(Batching(batch_size=3)) == attrs.evolve(made.batching, batch_size=3)
    with asrlab.load("faster-whisper/tiny.en", device="cpu", threads=1, offline=True) as other:
        assert other.calibration is None
