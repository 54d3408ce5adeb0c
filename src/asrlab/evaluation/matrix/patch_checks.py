"""Checks of patches: a program that fails without the patch must run with the patch."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from asrlab.errors import AsrlabError
from asrlab.evaluation.matrix.cell_context import CellContext, RunningCheck, describe_error
from asrlab.evaluation.matrix.measure import random_codes
from asrlab.patches.direct import patched
from asrlab.transcript import PatchStatus

type Programs = Mapping[str, Callable[[], object]]
"""A program for each patch name, which fails without the patch."""


def check_patches(context: CellContext, distribution: str, programs: Programs) -> None:
    """Check each patch that the device needs: its program fails, runs with the patch, and fails again afterwards.

    No transcriber may be open, because an open transcriber keeps its patches applied.
    """
    with context.check("patches") as check, patched(distribution, device=context.device) as scope:
        check.note(", ".join(f"{patch.name} {patch.status}" for patch in scope.report))
        failed = [f"{patch.name}: {patch.reason}" for patch in scope.report if patch.status == "failed"]
        check.require(not failed, "; ".join(failed))
    for status in scope.report if check.status == "ran" else ():
        if status.is_active and status.name in programs:
            with context.check(f"patch {status.name}") as patch_check:
                _check_patch(patch_check, status, programs[status.name], device=context.device)


def _check_patch(check: RunningCheck, status: PatchStatus, program: Callable[[], object], *, device: str) -> None:
    before = _failure(program)
    check.require(before, f"the program runs without {status.name}; test whether the patch is still needed")
    check.note(f"without the patch: {before}")
    with patched(status.distribution, device=device, patches=[status.name]):
        program()
    check.note("with the patch: ran")
    after = _failure(program)
    check.require(after == before, f"after undoing the patch: {after or 'ran'}; before the patch: {before}")
    check.note("after undoing the patch: the same error")


def _failure(program: Callable[[], object]) -> str:
    try:
        program()
    except AsrlabError:
        raise
    except Exception as error:  # noqa: BLE001 - the error of the package is the result
        return describe_error(error)
    return ""


def liquid_audio_programs(folder: Path, device: str) -> Programs:
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


def openai_whisper_programs(device: str) -> Programs:
    """Return the programs for openai-whisper's patches."""
    import torch
    from whisper import timing
    from whisper.model import ModelDimensions, Whisper

    def move_model() -> object:
        return Whisper(ModelDimensions(1, 1, 1, 1, 0, 1, 1, 1, 1, 2)).to(device)

    def align_words() -> object:
        return timing.dtw(torch.linspace(0, 1, 24).reshape(4, 6).to(device))

    return {"openai-whisper-alignment-heads": move_model, "openai-whisper-float64-alignment": align_words}


def faster_whisper_programs(clip: Path) -> Programs:
    """Return the programs for faster-whisper's patches, which open the audio file *clip*."""
    from faster_whisper import audio

    return {"faster-whisper-pyav-metadata-errors": lambda: audio.decode_audio(str(clip))}
