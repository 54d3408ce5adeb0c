"""Frames of speech to decode."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch

__all__ = ["codes"]

_FRAMES = 12  # a second, nearly: 80 ms each


def codes(device: str) -> torch.Tensor:
    """The same frames of random codes every time: int64, shape (1, 8, 12), in [0, 2047], on *device*."""
    import torch

    return torch.randint(0, 2048, (1, 8, _FRAMES), generator=torch.Generator().manual_seed(0)).to(device)
