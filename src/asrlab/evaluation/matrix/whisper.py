"""The checks of both Whisper engines, with real weights and real speech."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import attrs

from asrlab.engine.transcriber import Transcriber
from asrlab.evaluation.catalog import load_dataset
from asrlab.evaluation.matrix.any_engine import check_device, check_times, load_checked, transcribe_checked
from asrlab.evaluation.matrix.cell_context import CellContext, Suite
from asrlab.evaluation.matrix.measure import (
    Speech,
    difference,
    joined_smoke,
    numbers_tolerance,
    word_errors,
    word_times,
)
from asrlab.evaluation.matrix.patch_checks import check_patches, of_faster_whisper, of_openai_whisper
from asrlab.loading import load
from asrlab.options import TranscribeOptions
from asrlab.transcript import Transcript

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


_MOST_ERRORS = 2  # of 70 words
_WINDOW = 30 * 16_000


@attrs.frozen(kw_only=True, eq=False)
class _Reference:
    """What the CPU says.

    Attributes:
        transcript: Of the joined clips.
        numbers: What the model computes in float32, by name.
    """

    transcript: Transcript
    numbers: Mapping[str, Any]


def _prepare(stage: CellContext) -> _Reference | None:
    if stage.is_reference:
        return None
    speech = joined_smoke()
    with load(stage.job.asked, device="cpu", offline=True) as transcriber:
        transcript = transcriber.transcribe(speech.audio, options=TranscribeOptions(word_timestamps=True))
        numbers = _float32_numbers(stage, transcriber, speech)
    return _Reference(transcript=transcript, numbers=numbers)


def _run(stage: CellContext, reference: _Reference | None) -> None:
    transcriber = load_checked(stage)
    if transcriber is None:
        return
    speech = joined_smoke()
    with transcriber:
        check_device(stage, transcriber, really=_place(transcriber))
        transcript = transcribe_checked(stage, transcriber, speech)
        if reference is not None:
            _check_numbers(stage, transcriber, speech, reference)
    if transcript is not None:
        check_times(stage, transcript)
        _check_text(stage, transcript, speech, reference)
        _check_language(stage, transcript)
        _check_words(stage, transcript, reference)
    _check_patches(stage)


SUITE = Suite(prepare=_prepare, run=_run)


def _place(transcriber: Any) -> str:
    """The kind of device that the parameters are on."""
    model = transcriber.recognizer._model  # noqa: SLF001 - the engines keep it nowhere else
    return str(model.device.type) if hasattr(model, "device") else str(model.model.device)


def _check_text(stage: CellContext, transcript: Transcript, speech: Speech, reference: _Reference | None) -> None:
    with stage.check("text") as check:
        errors = word_errors(speech.text, transcript.text)
        check.saw(f"{errors.errors} errors in {errors.reference_length} words")
        check.require(errors.errors <= _MOST_ERRORS, f"more than {_MOST_ERRORS} errors: {transcript.text}")
        if reference is not None:
            same = transcript.text == reference.transcript.text
            check.saw("the CPU's text" if same else f"the CPU's text is: {reference.transcript.text}")
            check.require(same or stage.simulation is None, f"not the CPU's text: {transcript.text}")


def _check_language(stage: CellContext, transcript: Transcript) -> None:
    with stage.check("language") as check:
        probability = transcript.language_probability
        check.saw(f"{transcript.language}, probability {probability}")
        check.require(transcript.language == "en", f"detected {transcript.language!r} in English speech")
        check.require(probability is None or 0 <= probability <= 1, f"a probability of {probability}")


def _check_words(stage: CellContext, transcript: Transcript, reference: _Reference | None) -> None:
    with stage.check("word times") as check:
        if transcript.words is None:
            check.stop("refused", "the engine times no words on this device")
            return
        spoken = " ".join(word.text for word in transcript.words)
        check.saw(f"{len(transcript.words)} words")
        check.require(word_errors(transcript.text, spoken).errors == 0, f"the words are not the text's: {spoken}")
        if reference is not None:
            figure = word_times(
                transcript.words, reference.transcript.words or (), demanded=stage.simulation is not None
            )
            if figure is None:
                check.saw("not the CPU's words, so that no times are compared")
            else:
                check.measured(figure)


def _check_numbers(stage: CellContext, transcriber: Transcriber, speech: Speech, reference: _Reference) -> None:
    with stage.check("numbers") as check:
        tolerance = numbers_tolerance(simulated=stage.simulation is not None)
        for name, values in _float32_numbers(stage, transcriber, speech).items():
            check.measured(difference(name, values, reference.numbers[name], tolerance=tolerance))
        check.saw("float32 on both")


def _float32_numbers(stage: CellContext, transcriber: Transcriber, speech: Speech) -> Mapping[str, Any]:
    """What the model computes in float32; it is loaded anew where *transcriber* computes in another format."""
    if transcriber.info.compute_type == "float32":
        return _numbers(transcriber, speech)
    device = transcriber.info.device.resolved
    with load(stage.job.asked, device=device, compute_type="float32", offline=True) as other:
        return _numbers(other, speech)


def _numbers(transcriber: Any, speech: Speech) -> Mapping[str, Any]:
    import numpy as np

    samples: NDArray[np.float32] = np.zeros(_WINDOW, np.float32)
    samples[: len(speech.audio.samples)] = speech.audio.samples
    model = transcriber.recognizer._model  # noqa: SLF001 - the engines keep it nowhere else
    is_torch = transcriber.info.model.engine == "openai-whisper"
    return _torch_numbers(model, samples, speech.text) if is_torch else _ctranslate2_numbers(model, samples)


def _torch_numbers(model: Any, samples: NDArray[np.float32], text: str) -> Mapping[str, Any]:
    """The encoder's output for one window, and the logits for the tokens of what was said."""
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
    """The encoder's output for one window; CTranslate2 gives the logits of a whole vocabulary to nobody."""
    import ctranslate2
    import numpy as np

    features = model.encode(model.feature_extractor(samples, padding=0))
    on_cpu = features if features.device == "cpu" else features.to_device(ctranslate2.Device.cpu)
    return {"encoder": np.array(on_cpu)}


def _check_patches(stage: CellContext) -> None:
    if stage.job.model.startswith("openai-whisper/"):
        check_patches(stage, "openai-whisper", of_openai_whisper(stage.device))
    else:
        clip = next(iter(load_dataset("smoke"))).audio
        check_patches(stage, "faster-whisper", of_faster_whisper(Path(str(clip))))
