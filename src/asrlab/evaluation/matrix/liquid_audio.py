"""The checks of LFM2.5-Audio with its real weights, where they are on the machine."""

from __future__ import annotations

from typing import Any

from asrlab.evaluation.matrix.any_engine import check_device, check_times, load_checked, transcribe_checked
from asrlab.evaluation.matrix.cell_context import CellContext, Suite
from asrlab.evaluation.matrix.measure import codes, joined_smoke, word_errors

_MOST_ERRORS = 7  # of 70 words


def _nothing(_stage: CellContext) -> None:
    """The CPU takes minutes and 6 GB for it: texts are compared with what was said."""


def _run(stage: CellContext, _prepared: Any) -> None:
    transcriber: Any = load_checked(stage)
    if transcriber is None:
        return
    speech = joined_smoke()
    with transcriber:
        check_device(stage, transcriber, really=next(transcriber.recognizer.model.parameters()).device.type)
        transcript = transcribe_checked(stage, transcriber, speech)
        if transcript is not None:
            check_times(stage, transcript)
            with stage.check("text") as check:
                errors = word_errors(speech.text, transcript.text)
                check.saw(f"{errors.errors} errors in {errors.reference_length} words")
                check.require(errors.errors <= _MOST_ERRORS, f"more than {_MOST_ERRORS} errors: {transcript.text}")
        with stage.check("speech decoding") as check:
            wave = transcriber.recognizer.processor.decode(codes(stage.device))
            check.saw(f"waveform {tuple(wave.shape)} on {wave.device}")
            check.require(bool(wave.isfinite().all()), "the waveform has values that are not finite")


SUITE = Suite(prepare=_nothing, run=_run)
