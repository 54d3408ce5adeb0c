"""The checks of both Whisper engines, with real weights and real speech."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import attrs

from asrlab.engine.transcriber import Transcriber
from asrlab.evaluation.catalog import load_dataset
from asrlab.evaluation.matrix.any_engine import check_device, check_load, check_times, check_transcription
from asrlab.evaluation.matrix.cell_context import CellContext, Suite
from asrlab.evaluation.matrix.measure import (
    Speech,
    concatenated_smoke,
    difference,
    number_tolerance,
    word_errors,
    word_time_difference,
)
from asrlab.evaluation.matrix.patch_checks import check_patches, faster_whisper_programs, openai_whisper_programs
from asrlab.loading import load
from asrlab.options import TranscribeOptions
from asrlab.transcript import Transcript

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


_MAX_WORD_ERRORS = 2  # of 70 words
_N_WINDOW_SAMPLES = 30 * 16_000


@attrs.frozen(kw_only=True, eq=False)
class _Reference:
    """The results on the CPU.

    Attributes:
        transcript: Transcript of the concatenated clips.
        numbers: Encoder output and logits in float32, by name.
    """

    transcript: Transcript
    numbers: Mapping[str, Any]


def _setup(context: CellContext) -> _Reference | None:
    if context.is_reference:
        return None
    speech = concatenated_smoke()
    with load(context.job.load_name, device="cpu", offline=True) as transcriber:
        transcript = transcriber.transcribe(speech.audio, options=TranscribeOptions(word_timestamps=True))
        numbers = _float32_numbers(context, transcriber, speech)
    return _Reference(transcript=transcript, numbers=numbers)


def _run(context: CellContext, reference: _Reference | None) -> None:
    transcriber = check_load(context)
    if transcriber is None:
        return
    speech = concatenated_smoke()
    with transcriber:
        check_device(context, transcriber, parameter_device=_parameter_device(transcriber))
        transcript = check_transcription(context, transcriber, speech)
        if reference is not None:
            _check_numbers(context, transcriber, speech, reference)
    if transcript is not None:
        check_times(context, transcript)
        _check_text(context, transcript, speech, reference)
        _check_language(context, transcript)
        _check_word_times(context, transcript, reference)
    _check_patches(context)


SUITE = Suite(setup=_setup, run=_run)


def _parameter_device(transcriber: Any) -> str:
    model = transcriber.recognizer._model  # noqa: SLF001 - the only reference to the model
    return str(model.device.type) if hasattr(model, "device") else str(model.model.device)


def _check_text(context: CellContext, transcript: Transcript, speech: Speech, reference: _Reference | None) -> None:
    with context.check("text") as check:
        errors = word_errors(speech.text, transcript.text)
        check.note(f"{errors.errors} errors in {errors.reference_length} words")
        check.require(errors.errors <= _MAX_WORD_ERRORS, f"more than {_MAX_WORD_ERRORS} errors: {transcript.text}")
        if reference is not None:
            same = transcript.text == reference.transcript.text
            check.note("equals the CPU's text" if same else f"the CPU's text: {reference.transcript.text}")
            check.require(same or context.simulation is None, f"the text differs from the CPU's: {transcript.text}")


def _check_language(context: CellContext, transcript: Transcript) -> None:
    with context.check("language") as check:
        probability = transcript.language_probability
        check.note(f"{transcript.language}, probability {probability}")
        check.require(transcript.language == "en", f"detected {transcript.language!r} for English speech")
        check.require(probability is None or 0 <= probability <= 1, f"the probability is {probability}")


def _check_word_times(context: CellContext, transcript: Transcript, reference: _Reference | None) -> None:
    with context.check("word times") as check:
        if transcript.words is None:
            check.skip("refused", "the engine has no word times on this device")
            return
        words = " ".join(word.text for word in transcript.words)
        check.note(f"{len(transcript.words)} words")
        check.require(word_errors(transcript.text, words).errors == 0, f"the words differ from the text: {words}")
        if reference is not None:
            figure = word_time_difference(
                transcript.words, reference.transcript.words or (), required=context.simulation is not None
            )
            if figure is None:
                check.note("words differ from the CPU's; times are not compared")
            else:
                check.measure(figure)


def _check_numbers(context: CellContext, transcriber: Transcriber, speech: Speech, reference: _Reference) -> None:
    with context.check("numbers") as check:
        tolerance = number_tolerance(simulated=context.simulation is not None)
        for name, values in _float32_numbers(context, transcriber, speech).items():
            check.measure(difference(name, values, reference.numbers[name], tolerance=tolerance))
        check.note("float32 on both")


def _float32_numbers(context: CellContext, transcriber: Transcriber, speech: Speech) -> Mapping[str, Any]:
    """Compute in float32; load the model again if *transcriber* has another compute type."""
    if transcriber.info.compute_type == "float32":
        return _numbers(transcriber, speech)
    device = transcriber.info.device.resolved
    with load(context.job.load_name, device=device, compute_type="float32", offline=True) as float32_transcriber:
        return _numbers(float32_transcriber, speech)


def _numbers(transcriber: Any, speech: Speech) -> Mapping[str, Any]:
    import numpy as np

    samples: NDArray[np.float32] = np.zeros(_N_WINDOW_SAMPLES, np.float32)
    samples[: len(speech.audio.samples)] = speech.audio.samples
    model = transcriber.recognizer._model  # noqa: SLF001 - the only reference to the model
    is_torch = transcriber.info.model.engine == "openai-whisper"
    return _torch_numbers(model, samples, speech.text) if is_torch else _ctranslate2_numbers(model, samples)


def _torch_numbers(model: Any, samples: NDArray[np.float32], text: str) -> Mapping[str, Any]:
    """Compute the encoder's output for one window, and the logits for the tokens of the reference."""
    import torch
    from whisper.audio import log_mel_spectrogram
    from whisper.tokenizer import get_tokenizer

    tokenizer = get_tokenizer(model.is_multilingual, num_languages=model.num_languages, language="en")
    tokens = [*tokenizer.sot_sequence_including_notimestamps, *tokenizer.encode(f" {text}")]
    with torch.no_grad():
        mel = log_mel_spectrogram(samples, model.dims.n_mels).to(model.device)
        features = model.encoder(mel[None])
        logits = model.decoder(torch.tensor([tokens]).to(model.device), features)
    return {"encoder": features.cpu(), "logits": logits.cpu()}


def _ctranslate2_numbers(model: Any, samples: NDArray[np.float32]) -> Mapping[str, Any]:
    """Compute the encoder's output for one window; CTranslate2 has no access to the logits."""
    import ctranslate2
    import numpy as np

    features = model.encode(model.feature_extractor(samples, padding=0))
    on_cpu = features if features.device == "cpu" else features.to_device(ctranslate2.Device.cpu)
    return {"encoder": np.array(on_cpu)}


def _check_patches(context: CellContext) -> None:
    if context.job.model.startswith("openai-whisper/"):
        check_patches(context, "openai-whisper", openai_whisper_programs(context.device))
    else:
        clip = next(iter(load_dataset("smoke"))).audio
        check_patches(context, "faster-whisper", faster_whisper_programs(Path(str(clip))))
