"""The checks of LFM2.5-Audio: with its real weights, and with a tiny checkpoint of random weights.

The tiny checkpoint runs every path of the real model in seconds. Its texts mean nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from pkgutil import resolve_name
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import attrs

from asrlab.audio import SAMPLE_RATE, Audio
from asrlab.evaluation.matrix.cell import CellContext, Suite
from asrlab.evaluation.matrix.checks import (
    Programs,
    check_device,
    check_load,
    check_patches,
    check_recognition,
    check_text,
    concatenated_smoke,
    measure_numbers,
    random_codes,
    timestamp_error,
)
from asrlab.loading import load

if TYPE_CHECKING:
    import torch

    from asrlab.engine.transcriber import Transcriber

_MAX_WORD_ERRORS = 7  # of 70 words
_WRITE_CHECKPOINT = "asrlab.testing.tiny_lfm2_audio:write_tiny_lfm2_audio"
_TEXT = "speak_now"
_MAX_CHUNK_S = 30.0
_LONG_S = 62.0  # at least three chunks
_SHORT_S = 3.0
_N_NEW_TOKENS = 20  # 6 of text and 12 frames of speech in turn
_MAX_SIMULATED_TOKENS = 24  # instead of 512: the simulation takes 0.1 s for a token


def _run(context: CellContext, _reference: Any) -> None:
    transcriber: Any = check_load(context)
    if transcriber is None:
        return
    speech = concatenated_smoke()
    with transcriber:
        transcript = check_recognition(context, transcriber, speech, parameter_device=_parameter_device(transcriber))
        if transcript is not None:
            check_text(context, transcript, speech.text, max_errors=_MAX_WORD_ERRORS)
        with context.check("speech decoding") as check:
            waveform = transcriber.recognizer.processor.decode(random_codes(context.device))
            check.note(f"waveform {tuple(waveform.shape)} on {waveform.device}")
            check.require(bool(waveform.isfinite().all()), "the waveform has values that are not finite")


# no comparison with the CPU, which takes minutes and 6 GB; texts are compared with the reference
SUITE = Suite(run=_run)


@attrs.frozen(kw_only=True, eq=False)
class _Checkpoints:
    """The tiny checkpoints, and their results on the CPU.

    Attributes:
        folder: A temporary folder with three checkpoints: ``random`` has random weights, ``says`` writes one text, and
            ``endless`` repeats the end of that text.
        numbers: Results of ``random`` on the CPU in float32, by name; None on the CPU itself.
        chunks: Times of the chunks of the long audio by ``says`` on the CPU; None on the CPU itself.
    """

    folder: TemporaryDirectory[str]
    numbers: Mapping[str, Any] | None = None
    chunks: list[tuple[float, float]] | None = None

    def path(self, name: str) -> Path:
        """Return the folder of a checkpoint."""
        return Path(self.folder.name, name)

    def load_name(self, name: str) -> str:
        """Return the name of a checkpoint for ``asrlab.load``."""
        return f"liquid-audio/{self.path(name)}"


def _setup_tiny(context: CellContext) -> _Checkpoints:
    checkpoints = _Checkpoints(folder=TemporaryDirectory())
    # asrlab.testing is named, not imported: importing asrlab.evaluation does not need the tools for tests
    write_checkpoint = resolve_name(_WRITE_CHECKPOINT)
    write_checkpoint(checkpoints.path("random"))
    write_checkpoint(checkpoints.path("says"), says=_TEXT)
    write_checkpoint(checkpoints.path("endless"), says=_TEXT, ends=False)
    if context.device == "cpu":
        return checkpoints
    with load(checkpoints.load_name("random"), device="cpu", compute_type="float32") as transcriber:
        numbers = _numbers(transcriber)
    with load(checkpoints.load_name("says"), device="cpu") as transcriber:
        segments = transcriber.transcribe(_speech(_LONG_S)).segments
    return attrs.evolve(checkpoints, numbers=numbers, chunks=[(segment.start, segment.end) for segment in segments])


def _run_tiny(context: CellContext, checkpoints: _Checkpoints) -> None:
    with checkpoints.folder:
        _check_tiny_transcription(context, checkpoints)
        _check_retry(context, checkpoints)
        _check_numbers(context, checkpoints)
        programs = _patch_programs(checkpoints.path("random"), context.device)
        check_patches(context, "liquid-audio", programs)


TINY_SUITE = Suite(setup=_setup_tiny, run=_run_tiny, own_weights=True)


def _parameter_device(transcriber: Any) -> str:
    return str(next(transcriber.recognizer.model.parameters()).device.type)


def _speech(seconds: float) -> Audio:
    speech = concatenated_smoke(3).audio
    return Audio(samples=speech.samples[: int(seconds * SAMPLE_RATE)], sample_rate=SAMPLE_RATE)


def _check_tiny_transcription(context: CellContext, checkpoints: _Checkpoints) -> None:
    transcriber = check_load(context, checkpoints.load_name("says"))
    if transcriber is None:
        return
    with transcriber:
        check_device(context, transcriber, parameter_device=_parameter_device(transcriber))
        with context.check("transcribe") as check:
            text = transcriber.transcribe(_speech(_SHORT_S)).text
            check.note(f"text {text!r}")
            check.require(text == _TEXT, f"the text is {text!r} instead of {_TEXT!r}")
        _check_long_audio(context, transcriber, checkpoints)


def _check_long_audio(context: CellContext, transcriber: Transcriber, checkpoints: _Checkpoints) -> None:
    with context.check("long audio") as check:
        transcript = transcriber.transcribe(_speech(_LONG_S))
        times = [(segment.start, segment.end) for segment in transcript.segments]
        check.note(f"{transcript.duration:.1f} s in {len(times)} chunks")
        check.require(len(times) * _MAX_CHUNK_S > transcript.duration, f"only {len(times)} chunks")
        check.require(all(end - start <= _MAX_CHUNK_S for start, end in times), f"a chunk over 30 s: {times}")
        error = timestamp_error(transcript)
        check.require(not error, error)
        check.require(transcript.text == " ".join([_TEXT] * len(times)), f"the text is {transcript.text!r}")
        reference = checkpoints.chunks
        check.require(reference in (None, times), f"chunks {times} differ from the CPU's {reference}")


def _check_retry(context: CellContext, checkpoints: _Checkpoints) -> None:
    with (
        context.check("truncated text, retried in halves") as check,
        load(checkpoints.load_name("endless"), device=context.device) as transcriber,
    ):
        if context.is_simulated:
            recognizer: Any = transcriber.recognizer
            generate = recognizer.model.generate_sequential
            recognizer.model.generate_sequential = lambda **inputs: generate(
                **{**inputs, "max_new_tokens": _MAX_SIMULATED_TOKENS}
            )
            check.note(f"at most {_MAX_SIMULATED_TOKENS} tokens, because the simulation is slow")
        transcript = transcriber.transcribe(_speech(_SHORT_S))
        warnings = [warning.message for warning in transcript.warnings if warning.code == "output-truncated"]
        check.note(f"{len(warnings)} warnings, {len(transcript.segments)} segments")
        check.require(warnings, f"no warning of a truncated text: {transcript.warnings}")
        check.require(_TEXT in transcript.text, f"the text is {transcript.text[:40]!r}")


def _check_numbers(context: CellContext, checkpoints: _Checkpoints) -> None:
    with (
        context.check("interleaved generation, speech decoding") as check,
        load(checkpoints.load_name("random"), device=context.device, compute_type="float32") as transcriber,
    ):
        numbers = _numbers(transcriber)
        tokens = numbers.pop("tokens")
        check.note(f"{len(tokens)} tokens and frames, waveform {tuple(numbers['waveform'].shape)}")
        check.require(all(bool(values.isfinite().all()) for values in numbers.values()), "values that are not finite")
        if checkpoints.numbers is None:
            return
        reference = checkpoints.numbers["tokens"]
        n_same = sum(ours == theirs for ours, theirs in zip(tokens, reference, strict=False))
        check.note(f"{n_same} of {len(reference)} equal the CPU's; float32 on both")
        measure_numbers(check, numbers, checkpoints.numbers, simulated=context.is_simulated)
        check.require(n_same == len(tokens) or not context.is_simulated, "tokens differ from the CPU's")


def _numbers(transcriber: Any) -> dict[str, Any]:
    """Compute features, prompt and logits of the first step, generated tokens, and decoded speech, on the CPU."""
    import torch

    processor, model = transcriber.recognizer.processor, transcriber.recognizer.model
    with torch.no_grad():
        chat = _chat(processor, model)
        prompt = model._prefill(**chat)  # noqa: SLF001 - upstream has no public access to the encoder's output
        hidden = model.lfm(inputs_embeds=prompt, use_cache=False).last_hidden_state
        logits = torch.nn.functional.linear(hidden[0, -1], model.lfm.embed_tokens.weight)
        tokens = [token.tolist() for token in model.generate_interleaved(**chat, max_new_tokens=_N_NEW_TOKENS)]
        waveform = processor.decode(random_codes(transcriber.info.device.resolved))
    numbers: dict[str, torch.Tensor] = {"features": chat["audio_in"], "prompt": prompt, "logits": logits}
    return {name: values.cpu() for name, values in {**numbers, "waveform": waveform}.items()} | {"tokens": tokens}


def _chat(processor: Any, model: Any) -> Any:
    """Build a spoken question, as in upstream's README."""
    import torch
    from liquid_audio import ChatState

    chat = ChatState(processor, codebooks=model.codebooks, dtype=model.lfm.embed_tokens.weight.dtype)
    chat.new_turn("system")
    chat.add_text("Respond with interleaved text and audio.")
    chat.end_turn()
    chat.new_turn("user")
    chat.add_audio(torch.from_numpy(_speech(_SHORT_S).samples)[None], SAMPLE_RATE)
    chat.end_turn()
    chat.new_turn("assistant")
    return chat


def _patch_programs(folder: Path, device: str) -> Programs:
    """Return the programs for liquid-audio's patches, with the checkpoint in *folder*."""
    import torch
    from liquid_audio import LFM2AudioModel, LFM2AudioProcessor, processor

    def resample() -> object:
        return vars(processor)["torchaudio"].functional.resample(torch.ones(1, 441, device=device), 44_100, 16_000)

    def decode_speech() -> object:
        return LFM2AudioProcessor.from_pretrained(folder, device=device).eval().decode(random_codes(device))

    def use_default_device() -> object:
        return LFM2AudioProcessor.from_pretrained(folder), LFM2AudioModel.from_pretrained(folder)

    def load_model() -> object:
        return LFM2AudioModel.from_pretrained(folder, device=device)

    return {
        "liquid-audio-resampling": resample,
        "liquid-audio-detokenizer-device": decode_speech,
        "liquid-audio-default-device": use_default_device,
        "liquid-audio-flash-attention": load_model,
    }
