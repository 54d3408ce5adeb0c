"""Resampling for liquid-audio where torchaudio does not import."""

from __future__ import annotations

from importlib import import_module
from types import ModuleType
from typing import Any

from asrlab.patches.liquid_audio.sinc_resample import resample
from asrlab.patches.liquid_audio.torchaudio_import import BrokenModule, torchaudio_may_be_broken
from asrlab.patches.patch import DeviceNow, Need, Patch

__all__ = ["RESAMPLING"]

_PROCESSOR = "liquid_audio.processor"
_PLACES = (f"{_PROCESSOR}:torchaudio", "liquid_audio.data.mapper:torchaudio")


def _needed(originals: tuple[Any, ...], _device: str) -> Need:
    if originals[0] is None:
        return Need(status="retired", reason=f"upstream's {_PROCESSOR} no longer imports torchaudio")
    broken = next((original for original in originals if isinstance(original, BrokenModule)), None)
    if broken is None:
        return Need(status="not-needed", reason="torchaudio imports")
    return Need(status="needed", reason=f"torchaudio does not import ({broken.reason})")


def _with_resample(torchaudio: ModuleType, _device: DeviceNow) -> ModuleType:
    """Return a torchaudio that has ``functional.resample``; the rest of it raises what its import raised."""
    if not isinstance(torchaudio, BrokenModule):
        return torchaudio
    functional = BrokenModule(f"{torchaudio.__name__}.functional", torchaudio.error)
    serving = BrokenModule(torchaudio.__name__, torchaudio.error)
    vars(functional)["resample"] = resample
    vars(serving)["functional"] = functional
    return serving


def _verify(_device: str) -> None:
    """Resample a constant as liquid-audio's processor does; on the CPU, which costs nothing."""
    import torch

    halved = import_module(_PROCESSOR).torchaudio.functional.resample(torch.ones(1, 96), 32_000, 16_000)
    if halved.shape != (1, 48) or not torch.allclose(halved[:, 8:-8], torch.ones(1, 32), atol=0.01):
        raise RuntimeError("a constant is not resampled to itself")


RESAMPLING = Patch(
    name="liquid-audio-resampling",
    distribution="liquid-audio",
    versions=("1.2.0", "1.3.0"),
    devices=("cpu", "mps", "cuda"),
    reason="liquid_audio imports torchaudio, for functional.resample alone; with a torch that torchaudio's library was "
    "not built for ('undefined symbol'), which no installer prevents, liquid_audio does not import",
    link="https://github.com/Liquid4All/liquid-audio/blob/main/src/liquid_audio/processor.py",
    retires="when liquid_audio.processor no longer imports torchaudio",
    module="liquid_audio",
    changes=dict.fromkeys(_PLACES, _with_resample),
    needed=_needed,
    verify=_verify,
    import_context=torchaudio_may_be_broken,
)
