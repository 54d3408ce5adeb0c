"""The checks of any engine."""

from __future__ import annotations

from typing import Any

from asrlab.engine.transcriber import Transcriber
from asrlab.evaluation.matrix.cell_context import CellContext, Suite
from asrlab.evaluation.matrix.measure import Speech, concatenated_smoke, timestamp_error
from asrlab.options import TranscribeOptions
from asrlab.transcript import Transcript


def _run(context: CellContext, _reference: Any) -> None:
    transcriber = check_load(context)
    if transcriber is None:
        return
    with transcriber:
        check_device(context, transcriber)
        transcript = check_transcription(context, transcriber, concatenated_smoke())
        if transcript is not None:
            check_times(context, transcript)


SUITE = Suite(run=_run)


def check_load(context: CellContext, model: str | None = None) -> Transcriber | None:
    """Load *model*, or else the cell's model, as a check; return None if loading fails."""
    with context.check("load") as check:
        transcriber = context.load(model or context.job.load_name)
        check.note(f"{transcriber.info.compute_type}, {transcriber.load_time:.1f} s")
        return transcriber
    return None


def check_device(context: CellContext, transcriber: Transcriber, *, parameter_device: str = "") -> None:
    """Check that the reported device is the requested device, and holds the parameters.

    Args:
        context: The cell.
        transcriber: The loaded model.
        parameter_device: Kind of the device that holds the parameters; empty if the engine does not tell.
    """
    with context.check("device") as check:
        device = transcriber.info.device
        check.note(f"reported {device}" + (f", parameters on {parameter_device}" if parameter_device else ""))
        kinds = {device.resolved.partition(":")[0], parameter_device or context.device}
        check.require(kinds == {context.device}, f"not the requested {context.device}: {check.detail}")
        simulated = context.job.device.simulated
        check.require(
            device.simulated == simulated, f"the device reports simulated={device.simulated} instead of {simulated}"
        )


def check_transcription(context: CellContext, transcriber: Transcriber, speech: Speech) -> Transcript | None:
    """Transcribe *speech* as a check, with word times if the engine has them; return None on failure."""
    with context.check("transcribe") as check:
        words = transcriber.info.capabilities.word_timestamps
        transcript = transcriber.transcribe(speech.audio, options=TranscribeOptions(word_timestamps=words))
        codes = sorted({warning.code for warning in transcript.warnings})
        check.note(f"{transcript.duration:.1f} s in {transcript.timings.total:.1f} s")
        if codes:
            check.note(f"warnings: {', '.join(codes)}")
        check.require(transcript.text.strip(), "the text is empty")
        return transcript
    return None


def check_times(context: CellContext, transcript: Transcript) -> None:
    """Check that segments and words are in order and inside the audio."""
    with context.check("segments") as check:
        check.note(f"{len(transcript.segments)} segments, {len(transcript.words or ())} timed words")
        error = timestamp_error(transcript)
        check.require(not error, error)
