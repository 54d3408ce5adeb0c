"""The checks of both Whisper engines, with real weights and real speech."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import attrs

from asrlab.engine.transcriber import Transcriber
from asrlab.evaluation.catalog import load_dataset
from asrlab.evaluation.matrix.cell import CellContext, Suite
from asrlab.evaluation.matrix.checks import (
    Programs,
    Speech,
    check_load,
    check_patches,
    check_recognition,
    check_text,
    concatenated_smoke,
    measure_numbers,
    word_errors,
    word_time_difference,
)
from asrlab.loading import load
from asrlab.options import TranscribeOptions
from asrlab.transcript import Transcript

if TYPE_CHECKING:
    pass


_MAX_WORD_ERRORS = 2  # of 70 words
_N_WINDOW_SAMPLES = 30 * 16_000


@attrs.frozen(kw_only=True, eq=False)
class _Reference:
    """The results on the CPU: transcript of the concatenated clips, and encoder output and logits in float32."""

    transcript: Transcript
    numbers: Mapping[str, Any]


def _setup(context: CellContext) -> _Reference | None:
    if context.device == "cpu":
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
        transcript = check_recognition(context, transcriber, speech, parameter_device=_parameter_device(transcriber))
        if reference is not None:
            with context.check("numbers") as check:
                numbers = _float32_numbers(context, transcriber, speech)
                measure_numbers(check, numbers, reference.numbers, simulated=context.is_simulated)
                check.note("float32 on both")
    if transcript is not None:
        cpu_text = reference.transcript.text if reference else None
        check_text(context, transcript, speech.text, max_errors=_MAX_WORD_ERRORS, reference=cpu_text)
        with context.check("language") as check:
            probability = transcript.language_probability
            check.note(f"{transcript.language}, probability {probability}")
            check.require(transcript.language == "en", f"detected {transcript.language!r} for English speech")
            check.require(probability is None or 0 <= probability <= 1, f"the probability is {probability}")
        _check_word_times(context, transcript, reference)
    _check_patches(context)


SUITE = Suite(setup=_setup, run=_run)


def _parameter_device(transcriber: Any) -> str:
    model = transcriber.recognizer._model  # noqa: SLF001 - the only reference to the model
    return str(model.device.type) if hasattr(model, "device") else str(model.model.device)


def _check_word_times(context: CellContext, transcript: Transcript, reference: _Reference | None) -> None:
    with context.check("word times") as check:
        if transcript.words is None:
            check.skip("refused", "the engine has no word times on this device")
            return
        words = " ".join(word.text for word in transcript.words)
        check.note(f"{len(transcript.words)} words")
        check.require(word_errors(transcript.text, words).errors == 0, f"the words differ from the text: {words}")
        if reference is not None:
            expected = reference.transcript.words or ()
            figure = word_time_difference(transcript.words, expected, required=context.is_simulated)
            if figure is None:
                check.note("words differ from the CPU's; times are not compared")
            else:
                check.measure(figure)


def _float32_numbers(context: CellContext, transcriber: Transcriber, speech: Speech) -> Mapping[str, Any]:
    """Compute in float32; load the model again if *transcriber* has another compute type."""
    if transcriber.info.compute_type == "float32":
        return _numbers(transcriber, speech)
    device = transcriber.info.device.resolved
    with load(context.job.load_name, device=device, compute_type="float32", offline=True) as float32_transcriber:
        return _numbers(float32_transcriber, speech)


def _numbers(transcriber: Any, speech: Speech) -> Mapping[str, Any]:
    """Compute the encoder's output for one window and, with torch, the logits for the tokens of the reference."""
    import numpy as np

    samples = np.zeros(_N_WINDOW_SAMPLES, np.float32)
    samples[: len(speech.audio.samples)] = speech.audio.samples
    model = transcriber.recognizer._model  # noqa: SLF001 - the only reference to the model
    if transcriber.info.model.engine != "openai-whisper":  # CTranslate2 has no access to the logits
        import ctranslate2

        features = model.encode(model.feature_extractor(samples, padding=0))
        on_cpu = features if features.device == "cpu" else features.to_device(ctranslate2.Device.cpu)
        return {"encoder": np.array(on_cpu)}
    import torch
    from whisper.audio import log_mel_spectrogram
    from whisper.tokenizer import get_tokenizer

    tokenizer = get_tokenizer(model.is_multilingual, num_languages=model.num_languages, language="en")
    tokens = [*tokenizer.sot_sequence_including_notimestamps, *tokenizer.encode(f" {speech.text}")]
    with torch.no_grad():
        mel = log_mel_spectrogram(samples, model.dims.n_mels).to(model.device)
        features = model.encoder(mel[None])
        logits = model.decoder(torch.tensor([tokens]).to(model.device), features)
    return {"encoder": features.cpu(), "logits": logits.cpu()}


def _check_patches(context: CellContext) -> None:
    if context.job.model.startswith("openai-whisper/"):
        check_patches(context, "openai-whisper", _openai_whisper_programs(context.device))
        return
    from faster_whisper import audio

    clip = str(next(iter(load_dataset("smoke"))).audio)
    programs = {"faster-whisper-pyav-metadata-errors": lambda: audio.decode_audio(clip)}
    check_patches(context, "faster-whisper", programs)


def _openai_whisper_programs(device: str) -> Programs:
    import torch
    from whisper import timing
    from whisper.model import ModelDimensions, Whisper

    def move_model() -> object:
        return Whisper(ModelDimensions(1, 1, 1, 1, 0, 1, 1, 1, 1, 2)).to(device)

    def align_words() -> object:
        return timing.dtw(torch.linspace(0, 1, 24).reshape(4, 6).to(device))

    return {"openai-whisper-alignment-heads": move_model, "openai-whisper-float64-alignment": align_words}
