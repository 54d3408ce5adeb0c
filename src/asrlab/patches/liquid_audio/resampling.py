"""Resampling for liquid-audio with a torchaudio that does not import."""

from __future__ import annotations

import math
from importlib import import_module
from types import ModuleType
from typing import TYPE_CHECKING, Any

from asrlab.patches.liquid_audio.torchaudio_import import BrokenModule, torchaudio_may_be_broken
from asrlab.patches.patch import CurrentDevice, Patch, PatchDecision

if TYPE_CHECKING:
    import torch

_PROCESSOR = "liquid_audio.processor"
_TARGETS = (f"{_PROCESSOR}:torchaudio", "liquid_audio.data.mapper:torchaudio")


def _check(originals: tuple[Any, ...], _device: str) -> PatchDecision:
    if originals[0] is None:
        return PatchDecision(status="retired", reason=f"upstream's {_PROCESSOR} no longer imports torchaudio")
    broken = next((original for original in originals if isinstance(original, BrokenModule)), None)
    if broken is None:
        return PatchDecision(status="not-needed", reason="torchaudio imports")
    return PatchDecision(status="needed", reason=f"torchaudio does not import ({broken.reason})")


def _with_resample(torchaudio: ModuleType, _device: CurrentDevice) -> ModuleType:
    """Return a torchaudio with ``functional.resample``, whose other attributes raise the error of its import."""
    if not isinstance(torchaudio, BrokenModule):
        return torchaudio
    functional = BrokenModule(f"{torchaudio.__name__}.functional", torchaudio.error)
    replacement = BrokenModule(torchaudio.__name__, torchaudio.error)
    vars(functional)["resample"] = resample
    vars(replacement)["functional"] = functional
    return replacement


def _verify(_device: str) -> None:
    """Resample a constant as liquid-audio's processor does, on the CPU, and raise if the result is wrong."""
    import torch

    halved = import_module(_PROCESSOR).torchaudio.functional.resample(torch.ones(1, 96), 32_000, 16_000)
    if halved.shape != (1, 48) or not torch.allclose(halved[:, 8:-8], torch.ones(1, 32), atol=0.01):
        raise RuntimeError("a constant is not resampled to itself")


RESAMPLING = Patch(
    name="liquid-audio-resampling",
    distribution="liquid-audio",
    versions=("1.2.0", "1.3.0"),
    devices=("cpu", "mps", "cuda"),
    reason="liquid_audio imports torchaudio, only for functional.resample; it does not import with a torch that "
    "torchaudio's library was not built for ('undefined symbol'), which no installer prevents",
    issue_url="https://github.com/Liquid4All/liquid-audio/blob/main/src/liquid_audio/processor.py",
    obsolete_when="when liquid_audio.processor no longer imports torchaudio",
    module="liquid_audio",
    changes=dict.fromkeys(_TARGETS, _with_resample),
    check=_check,
    verify=_verify,
    import_context=torchaudio_may_be_broken,
)
# torchaudio's defaults, so that the model receives the samples that it was trained on
_ZERO_CROSSINGS = 6
_ROLLOFF = 0.99


def resample(waveform: torch.Tensor, orig_freq: int, new_freq: int) -> torch.Tensor:
    """Resample *waveform* on its own device and in its own dtype.

    The filter is the filter of ``torchaudio.functional.resample`` with its defaults, computed in float64.

    Args:
        waveform: Samples as floating point, shape (..., time).
        orig_freq: Sample rate of *waveform* in Hz.
        new_freq: Sample rate of the result in Hz.

    Returns:
        Samples, shape (..., ceil(time * new_freq / orig_freq)); *waveform* itself if both rates are equal.

    Raises:
        ValueError: If a rate is not a positive whole number.
        TypeError: If the waveform is not floating point.
    """
    from torch.nn import functional

    if not all(rate > 0 and int(rate) == rate for rate in (orig_freq, new_freq)):
        raise ValueError(f"sample rates must be positive whole numbers, not {orig_freq} and {new_freq}")
    if orig_freq == new_freq:
        return waveform
    if not waveform.is_floating_point():
        raise TypeError(f"the waveform must be floating point, not {waveform.dtype}")
    divisor = math.gcd(int(orig_freq), int(new_freq))
    step, phases = int(orig_freq) // divisor, int(new_freq) // divisor
    kernel, reach = _kernel(step, phases)
    channels = waveform.reshape(-1, 1, waveform.shape[-1])
    padded = functional.pad(channels, (reach, reach + step))
    # step samples in, one sample of each phase out
    frames = functional.conv1d(padded, kernel.to(waveform), stride=step)
    length = -(-waveform.shape[-1] * phases // step)
    resampled = frames.transpose(1, 2).reshape(len(channels), -1)[:, :length]
    return resampled.reshape(*waveform.shape[:-1], length)


def _kernel(step: int, phases: int) -> tuple[torch.Tensor, int]:
    """Return a filter for each phase, float64, shape (phases, 1, taps), and the samples it reaches to each side."""
    import torch

    cutoff = _ROLLOFF * min(step, phases)
    reach = math.ceil(_ZERO_CROSSINGS * step / cutoff)
    inputs = torch.arange(-reach, reach + step, dtype=torch.float64) / step
    outputs = torch.arange(phases, dtype=torch.float64)[:, None, None] / phases
    times = ((inputs - outputs) * cutoff).clamp(-_ZERO_CROSSINGS, _ZERO_CROSSINGS)
    window = torch.cos(times * math.pi / (2 * _ZERO_CROSSINGS)) ** 2
    return torch.sinc(times) * window * (cutoff / step), reach
