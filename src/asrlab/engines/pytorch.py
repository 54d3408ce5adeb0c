"""What the engines on PyTorch share: its threads, its cache of a GPU's memory, and the size of a model to be built."""

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


def refuse_oversized(build: Callable[[], torch.nn.Module], folder: Path) -> None:
    """Refuse a ``config.json`` that describes a much larger model than the safetensors beside it hold.

    The model is built without memory for its tensors, on PyTorch's meta device.

    Args:
        build: Makes the model that the configuration describes.
        folder: The folder of the configuration and the weights.

    Raises:
        WeightsError: With both sizes.
    """
    with _WithoutMemory():
        model = build()
    declared = _numbers(tuple(tensor.shape) for tensor in (*model.parameters(), *model.buffers()))
    stored = sum(_numbers(read_safetensors_shapes(path).values()) for path in folder.glob("*.safetensors"))
    if declared > 2 * stored + _SLACK:  # a tied matrix may be counted twice
        raise WeightsError(
            f"{folder}/config.json describes a model of {declared:,} numbers, but the weights beside it hold "
            f"{stored:,}; fetch them again, or give another folder",
            model=str(folder),
        )


class _WithoutMemory(TorchFunctionMode):
    """Makes new tensors on the meta device, but for those of given values, which models compute sizes with."""

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        given = dict(kwargs or {})
        if func in _FACTORIES:
            given["device"] = "meta"
        return func(*args, **given)


def _numbers(shapes: Iterable[tuple[int, ...]]) -> int:
    return sum(math.prod(shape) for shape in shapes)
