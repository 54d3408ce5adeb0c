"""What the engines on PyTorch share: its threads and its cache of a GPU's memory, which belong to the process."""

from __future__ import annotations

import torch

from asrlab.errors import OptionError

__all__ = ["empty_cache", "refuse_threads"]


def empty_cache(device: str) -> None:
    """Give back the memory of *device* that PyTorch keeps after a model is gone."""
    if device.startswith("cuda"):
        torch.cuda.empty_cache()
    elif device == "mps":
        torch.mps.empty_cache()


def refuse_threads(threads: int | None, *, engine: str) -> None:
    """Refuse a number of threads other than PyTorch's, which is not this library's to change.

    Raises:
        OptionError: With the two ways to set it.
    """
    if threads not in (None, torch.get_num_threads()):
        raise OptionError(
            f"{engine} uses PyTorch's {torch.get_num_threads()} threads, which the whole process shares; call "
            f"torch.set_num_threads({threads}) before load, or start with OMP_NUM_THREADS={threads}",
            option="threads",
        )
