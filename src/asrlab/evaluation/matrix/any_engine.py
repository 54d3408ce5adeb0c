"""The checks that any engine has."""

from __future__ import annotations

from typing import Any

from asrlab.engine.transcriber import Transcriber
from asrlab.evaluation.matrix.cell_context import CellContext, Suite
from asrlab.evaluation.matrix.measure import Speech, disorder, joined_smoke
from asrlab.options import TranscribeOptions
from asrlab.transcript import Transcript


def _nothing(_stage: CellContext) -> None:
    """Nothing is compared with the CPU."""


def _run(stage: CellContext, _prepared: Any) -> None:
    transcriber = load_checked(stage)
    if transcriber is None:
        return
    with transcriber:
        check_device(stage, transcriber)
        transcript = transcribe_checked(stage, transcriber, joined_smoke())
        if transcript is not None:
            check_times(stage, transcript)


SUITE = Suite(prepare=_nothing, run=_run)


def load_checked(stage: CellContext, **choices: Any) -> Transcriber | None:
    """Load the cell's model; None if that fails."""
    with stage.check("load") as check:
        transcriber = stage.load(stage.job.asked, **choices)
        check.saw(f"{transcriber.info.compute_type}, {transcriber.load_time:.1f} s")
        return transcriber
    return None


def check_device(stage: CellContext, transcriber: Transcriber, *, really: str = "") -> None:
    """The device that is reported is the one asked for, and where the parameters are.

    Args:
        stage: The cell.
        transcriber: The loaded model.
        really: The kind of device that the parameters are on; empty if the engine does not tell.
    """
    with stage.check("device") as check:
        device = transcriber.info.device
        check.saw(f"reported {device}" + (f", parameters on {really}" if really else ""))
        kinds = {device.resolved.partition(":")[0], really or stage.device}
        check.require(kinds == {stage.device}, f"not the {stage.device} that was asked for: {check.detail}")
        check.require(
            device.simulated == stage.job.where.simulated, f"the device says simulated={device.simulated}, and is not"
        )


def transcribe_checked(stage: CellContext, transcriber: Transcriber, speech: Speech) -> Transcript | None:
    """Transcribe *speech*, with the times of words where the engine can; None if that fails."""
    with stage.check("transcribe") as check:
        words = transcriber.info.capabilities.word_timestamps
        transcript = transcriber.transcribe(speech.audio, options=TranscribeOptions(word_timestamps=words))
        codes = sorted({warning.code for warning in transcript.warnings})
        check.saw(f"{transcript.duration:.1f} s in {transcript.timings.total:.1f} s")
        if codes:
            check.saw(f"warnings: {', '.join(codes)}")
        check.require(transcript.text.strip(), "the text is empty")
        return transcript
    return None


def check_times(stage: CellContext, transcript: Transcript) -> None:
    """Segments and words are in order and inside the audio."""
    with stage.check("segments") as check:
        check.saw(f"{len(transcript.segments)} segments, {len(transcript.words or ())} timed words")
        wrong = disorder(transcript)
        check.require(not wrong, wrong)
