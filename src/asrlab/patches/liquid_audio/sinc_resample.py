"""Resampling by windowed sinc interpolation, in plain torch."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch

__all__ = ["resample"]

# torchaudio's defaults, so that a model is fed what it was trained on
_ZERO_CROSSINGS = 6
_ROLLOFF = 0.99


def resample(waveform: torch.Tensor, orig_freq: int, new_freq: int) -> torch.Tensor:
    """Resample *waveform* on its own device and in its own dtype.

    The filter is that of ``torchaudio.functional.resample`` with its defaults, computed in float64.

    Args:
        waveform: Floating point, shape (..., time).
        orig_freq: Its sample rate in Hz.
        new_freq: The sample rate of the result in Hz.

    Returns:
        Shape (..., ceil(time * new_freq / orig_freq)); *waveform* itself if both rates are equal.

    Raises:
        ValueError: A rate is not a positive whole number.
        TypeError: The waveform is not floating point.
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
