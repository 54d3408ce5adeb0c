"""The checks of liquid-audio with a tiny checkpoint of random weights: every path of the real one, and no meaning."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import attrs

from asrlab.audio import SAMPLE_RATE, Audio
from asrlab.evaluation.matrix.any_engine import check_device
from asrlab.evaluation.matrix.cell_context import CellContext, Suite
from asrlab.evaluation.matrix.measure import codes, difference, disorder, joined_smoke, numbers_tolerance
from asrlab.evaluation.matrix.patch_checks import check_patches, of_liquid_audio
from asrlab.loading import load
from asrlab.testing.tiny_lfm2_audio import write_tiny_lfm2_audio
from asrlab.transcript import Transcript

if TYPE_CHECKING:
    import torch

    from asrlab.engine.transcriber import Transcriber

_SAYS = "speak_now"
_LONGEST_PIECE_S = 30.0
_LONG_S = 62.0  # three pieces at least
_SHORT_S = 3.0
_NEW_TOKENS = 20  # 6 of text and 12 frames of speech in turn
_MOST_TOKENS_SIMULATED = 24  # instead of 512: a token takes a tenth of a second there


@attrs.frozen(kw_only=True, eq=False)
class _Prepared:
    """The checkpoints, and what the CPU makes of them.

    Attributes:
        folder: A temporary one; it holds ``random``, which says whatever its numbers give, ``says``, which says one
            text, and ``endless``, which repeats the end of it for ever.
        numbers: What ``random`` computes on the CPU in float32, by name; None where there is nothing to compare.
        transcript: What ``says`` makes of the long audio on the CPU; likewise.
    """

    folder: TemporaryDirectory[str]
    numbers: Mapping[str, Any] | None = None
    transcript: Transcript | None = None

    def model(self, name: str) -> str:
        """What ``asrlab.load`` takes for a checkpoint."""
        return f"liquid-audio/{self.path(name)}"

    def path(self, name: str) -> Path:
        """The folder of a checkpoint."""
        return Path(self.folder.name, name)


def _prepare(stage: CellContext) -> _Prepared:
    prepared = _Prepared(folder=TemporaryDirectory())
    write_tiny_lfm2_audio(prepared.path("random"))
    write_tiny_lfm2_audio(prepared.path("says"), says=_SAYS)
    write_tiny_lfm2_audio(prepared.path("endless"), says=_SAYS, ends=False)
    if stage.is_reference:
        return prepared
    with load(prepared.model("random"), device="cpu", compute_type="float32") as transcriber:
        numbers = _numbers(transcriber)
    with load(prepared.model("says"), device="cpu") as transcriber:
        transcript = transcriber.transcribe(_speech(_LONG_S))
    return attrs.evolve(prepared, numbers=numbers, transcript=transcript)


def _run(stage: CellContext, prepared: _Prepared) -> None:
    with prepared.folder:
        _check_transcription(stage, prepared)
        _check_retry(stage, prepared)
        _check_numbers(stage, prepared)
        check_patches(stage, "liquid-audio", of_liquid_audio(prepared.path("random"), stage.device))


SUITE = Suite(prepare=_prepare, run=_run, own_weights=True)


def _check_transcription(stage: CellContext, prepared: _Prepared) -> None:
    transcriber: Any = None
    with stage.check("load") as check:
        transcriber = stage.load(prepared.model("says"))
        check.saw(f"{transcriber.info.compute_type}, {transcriber.load_time:.1f} s")
    if transcriber is None:
        return
    with transcriber:
        check_device(stage, transcriber, really=next(transcriber.recognizer.model.parameters()).device.type)
        with stage.check("transcribe") as check:
            text = transcriber.transcribe(_speech(_SHORT_S)).text
            check.saw(f"text {text!r}")
            check.require(text == _SAYS, f"it says {text!r} where its weights say {_SAYS!r}")
        _check_long(stage, transcriber, prepared)


def _speech(seconds: float) -> Audio:
    joined = joined_smoke(3).audio
    return Audio(samples=joined.samples[: int(seconds * SAMPLE_RATE)], sample_rate=SAMPLE_RATE)


def _check_long(stage: CellContext, transcriber: Transcriber, prepared: _Prepared) -> None:
    with stage.check("long audio") as check:
        transcript = transcriber.transcribe(_speech(_LONG_S))
        times = [(segment.start, segment.end) for segment in transcript.segments]
        check.saw(f"{transcript.duration:.1f} s in {len(times)} pieces")
        check.require(len(times) * _LONGEST_PIECE_S > transcript.duration, f"only {len(times)} pieces")
        check.require(all(end - start <= _LONGEST_PIECE_S for start, end in times), f"a piece beyond 30 s: {times}")
        wrong = disorder(transcript)
        check.require(not wrong, wrong)
        check.require(transcript.text == " ".join([_SAYS] * len(times)), f"it says {transcript.text!r}")
        if prepared.transcript is not None:
            same = times == [(segment.start, segment.end) for segment in prepared.transcript.segments]
            check.require(same, f"cut elsewhere than on the CPU: {times}")


def _check_retry(stage: CellContext, prepared: _Prepared) -> None:
    with (
        stage.check("truncated text, retried in halves") as check,
        load(prepared.model("endless"), device=stage.device) as transcriber,
    ):
        if stage.simulation is not None:
            _shorten(transcriber)
            check.saw(f"at most {_MOST_TOKENS_SIMULATED} tokens, since the simulation is slow")
        transcript = transcriber.transcribe(_speech(_SHORT_S))
        warnings = [warning.message for warning in transcript.warnings if warning.code == "output-truncated"]
        check.saw(f"{len(warnings)} warnings, {len(transcript.segments)} segments")
        check.require(warnings, f"no warning of a text that did not end: {transcript.warnings}")
        check.require(_SAYS in transcript.text, f"it says {transcript.text[:40]!r}")


def _shorten(transcriber: Any) -> None:
    """Have upstream's generation end early; only this loaded model's."""
    generate = transcriber.recognizer.model.generate_sequential
    transcriber.recognizer.model.generate_sequential = lambda **inputs: generate(
        **{**inputs, "max_new_tokens": _MOST_TOKENS_SIMULATED}
    )


def _check_numbers(stage: CellContext, prepared: _Prepared) -> None:
    with (
        stage.check("interleaved generation, speech decoding") as check,
        load(prepared.model("random"), device=stage.device, compute_type="float32") as transcriber,
    ):
        found = _numbers(transcriber)
        tokens = found.pop("tokens")
        check.saw(f"{len(tokens)} tokens and frames, waveform {tuple(found['waveform'].shape)}")
        check.require(all(bool(values.isfinite().all()) for values in found.values()), "values that are not finite")
        if prepared.numbers is None:
            return
        same = sum(ours == theirs for ours, theirs in zip(tokens, prepared.numbers["tokens"], strict=False))
        check.saw(f"{same} of {len(prepared.numbers['tokens'])} are the CPU's; float32 on both")
        tolerance = numbers_tolerance(simulated=stage.simulation is not None)
        for name, values in found.items():
            check.measured(difference(name, values, prepared.numbers[name], tolerance=tolerance))
        check.require(same == len(tokens) or stage.simulation is None, "not the CPU's tokens")


def _numbers(transcriber: Any) -> dict[str, Any]:
    """By name, on the CPU: the first step's logits and what leads to them, generated tokens, decoded speech."""
    import torch

    processor, model = transcriber.recognizer.processor, transcriber.recognizer.model
    with torch.no_grad():
        chat = _chat(processor, model)
        prompt = model._prefill(**chat)  # noqa: SLF001 - upstream gives its encoder's output nowhere else
        hidden = model.lfm(inputs_embeds=prompt, use_cache=False).last_hidden_state
        logits = torch.nn.functional.linear(hidden[0, -1], model.lfm.embed_tokens.weight)
        tokens = [token.tolist() for token in model.generate_interleaved(**chat, max_new_tokens=_NEW_TOKENS)]
        wave = processor.decode(codes(transcriber.info.device.resolved))
    numbers: dict[str, torch.Tensor] = {"features": chat["audio_in"], "prompt": prompt, "logits": logits}
    return {name: values.cpu() for name, values in {**numbers, "waveform": wave}.items()} | {"tokens": tokens}


def _chat(processor: Any, model: Any) -> Any:
    """A question in speech, as upstream's README has it."""
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
