"""Helpers for engines on PyTorch: threads, GPU memory, and checks of a model's size before it is built."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import torch
from torch.overrides import TorchFunctionMode

from asrlab.errors import OptionError, WeightsError
from asrlab.weights import read_safetensors_shapes

_FACTORIES = frozenset(
    (torch.empty, torch.zeros, torch.ones, torch.full, torch.rand, torch.randn, torch.arange, torch.linspace, torch.eye)
)
_SLACK = 1 << 24  # numbers: 64 MiB in float32 for tables that a model computes and does not store


def empty_cache(device: str) -> None:
    """Release the memory of *device* that PyTorch still caches after a model is freed."""
    if device.startswith("cuda"):
        torch.cuda.empty_cache()
    elif device == "mps":
        torch.mps.empty_cache()


def check_threads(threads: int | None, *, engine: str) -> None:
    """Check that *threads* is None or PyTorch's own number, which asrlab must not change for the whole process.

    Raises:
        OptionError: If the number differs; the message states the two ways to set it.
    """
    if threads not in (None, torch.get_num_threads()):
        raise OptionError(
            f"{engine} uses PyTorch's {torch.get_num_threads()} threads, which the whole process shares; call "
            f"torch.set_num_threads({threads}) before load, or start with OMP_NUM_THREADS={threads}",
            option="threads",
        )


def check_model_size(build: Callable[[], torch.nn.Module], folder: Path) -> None:
    """Check that ``config.json`` does not describe a much larger model than the safetensors beside it contain.

    The model is built without memory for its tensors, on PyTorch's meta device.

    Args:
        build: Function that builds the model that the configuration describes.
        folder: Folder of the configuration and the weights.

    Raises:
        WeightsError: If the model is much larger; the message has both sizes.
    """
    with _MetaTensors():
        model = build()
    declared = _count_numbers(tuple(tensor.shape) for tensor in (*model.parameters(), *model.buffers()))
    stored = sum(_count_numbers(read_safetensors_shapes(path).values()) for path in folder.glob("*.safetensors"))
    if declared > 2 * stored + _SLACK:  # a tied matrix may be counted twice
        raise WeightsError(
            f"{folder}/config.json describes a model of {declared:,} numbers, but the weights beside it have "
            f"{stored:,}; download them again, or give another folder",
            model=str(folder),
        )


class _MetaTensors(TorchFunctionMode):
    """Mode that creates tensors on the meta device, except from given values, which models compute sizes with."""

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        arguments = dict(kwargs or {})
        if func in _FACTORIES:
            arguments["device"] = "meta"
        return func(*args, **arguments)


def _count_numbers(shapes: Iterable[tuple[int, ...]]) -> int:
    return sum(math.prod(shape) for shape in shapes)
