"""What each patch is for: a program that fails without it, and what becomes of it with the patch."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from asrlab.errors import AsrlabError
from asrlab.evaluation.matrix.cell_context import CellContext, Check, first_line
from asrlab.evaluation.matrix.measure import codes
from asrlab.patches.direct import patched
from asrlab.transcript import PatchStatus

type Demonstrations = Mapping[str, Callable[[], object]]
"""By the patch's name."""


def check_patches(stage: CellContext, distribution: str, demonstrations: Demonstrations) -> None:
    """For each patch that the device needs: it fails before, it runs with the patch, it fails again after.

    No transcriber may be open: it would hold the patches.
    """
    with stage.check("patches") as check, patched(distribution, device=stage.device) as scope:
        check.saw(", ".join(f"{each.name} {each.status}" for each in scope.report))
        failed = [f"{each.name}: {each.reason}" for each in scope.report if each.status == "failed"]
        check.require(not failed, "; ".join(failed))
    for status in scope.report if check.outcome == "ran" else ():
        if status.is_active and status.name in demonstrations:
            with stage.check(f"patch {status.name}") as one:
                _demonstrate(one, status, demonstrations[status.name], device=stage.device)


def _demonstrate(check: Check, status: PatchStatus, program: Callable[[], object], *, device: str) -> None:
    before = _failure(program)
    check.require(before, f"without {status.name} nothing fails here; is it needed any more?")
    check.saw(f"without it: {before}")
    with patched(status.distribution, device=device, patches=[status.name]):
        program()
    check.saw("with it: ran")
    after = _failure(program)
    check.require(after == before, f"after its undoing: {after or 'ran'}, where it failed before with: {before}")
    check.saw("after its undoing: the same error again")


def _failure(program: Callable[[], object]) -> str:
    try:
        program()
    except AsrlabError:
        raise
    except Exception as error:  # noqa: BLE001 - the package's own error is what is to be shown
        return first_line(error)
    return ""


def of_liquid_audio(folder: Path, device: str) -> Demonstrations:
    """Those of liquid-audio, with the checkpoint in *folder*."""
    import torch
    from liquid_audio import LFM2AudioModel, LFM2AudioProcessor, processor

    def resample() -> object:
        return vars(processor)["torchaudio"].functional.resample(torch.ones(1, 441, device=device), 44_100, 16_000)

    def decode_speech() -> object:
        return LFM2AudioProcessor.from_pretrained(folder, device=device).eval().decode(codes(device))

    def name_no_device() -> object:
        return LFM2AudioProcessor.from_pretrained(folder), LFM2AudioModel.from_pretrained(folder)

    def load_model() -> object:
        return LFM2AudioModel.from_pretrained(folder, device=device)

    return {
        "liquid-audio-resampling": resample,
        "liquid-audio-detokenizer-device": decode_speech,
        "liquid-audio-default-device": name_no_device,
        "liquid-audio-flash-attention": load_model,
    }


def of_openai_whisper(device: str) -> Demonstrations:
    """Those of openai-whisper."""
    import torch
    from whisper import timing
    from whisper.model import ModelDimensions, Whisper

    def move_model() -> object:
        return Whisper(ModelDimensions(1, 1, 1, 1, 0, 1, 1, 1, 1, 2)).to(device)

    def align_words() -> object:
        return timing.dtw(torch.linspace(0, 1, 24).reshape(4, 6).to(device))

    return {"openai-whisper-alignment-heads": move_model, "openai-whisper-float64-alignment": align_words}


def of_faster_whisper(clip: Path) -> Demonstrations:
    """Those of faster-whisper, with a file to open."""
    from faster_whisper import audio

    return {"faster-whisper-pyav-metadata-errors": lambda: audio.decode_audio(str(clip))}
