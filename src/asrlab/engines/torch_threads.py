"""PyTorch's threads are one pool for the whole process, which is not this library's to change."""

from __future__ import annotations

import torch

from asrlab.errors import OptionError

__all__ = ["refuse_threads"]


def refuse_threads(threads: int | None, *, engine: str) -> None:
    """Refuse a number of threads other than the one that PyTorch has.

    Raises:
        OptionError: With the two ways to set it.
    """
    if threads not in (None, torch.get_num_threads()):
        raise OptionError(
            f"{engine} uses PyTorch's {torch.get_num_threads()} threads, which the whole process shares; call "
            f"torch.set_num_threads({threads}) before load, or start with OMP_NUM_THREADS={threads}",
            option="threads",
        )
