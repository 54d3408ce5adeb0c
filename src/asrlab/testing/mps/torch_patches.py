"""What stands in for functions of torch while MPS is simulated, and the way back."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any, cast

import torch
from torch.utils._pytree import tree_map

from asrlab.testing.mps.errors import not_compiled_with_cuda
from asrlab.testing.mps.tensor import is_mps


@contextmanager
def replaced_functions() -> Iterator[None]:
    """Make torch say that MPS is there and CUDA is not, and load files onto MPS, until the block ends."""
    with ExitStack() as stack:
        for place, name, stand_in in _stand_ins():
            stack.callback(setattr, place, name, getattr(place, name))
            setattr(place, name, stand_in)
        future = torch.__future__
        stack.callback(future.set_swap_module_params_on_conversion, future.get_swap_module_params_on_conversion())
        # assigning to param.data would lose the simulated tensor, a new parameter would part those that are tied
        future.set_swap_module_params_on_conversion(True)
        yield


def _stand_ins() -> list[tuple[Any, str, Callable[..., Any]]]:
    mps = torch.backends.mps
    return [
        (mps, "is_available", _answer(mps.is_available, value=True)),
        (mps, "is_built", _answer(mps.is_built, value=True)),
        (torch.cuda, "is_available", _answer(torch.cuda.is_available, value=False)),
        (torch.cuda, "device_count", _answer(torch.cuda.device_count, value=0)),
        (torch.cuda, "_lazy_init", _refuse_cuda),
        (torch.mps, "device_count", _answer(torch.mps.device_count, value=1)),
        (torch.mps, "synchronize", _answer(torch.mps.synchronize, value=None)),
        (torch.mps, "empty_cache", _answer(torch.mps.empty_cache, value=None)),
        (torch.mps, "current_allocated_memory", _answer(torch.mps.current_allocated_memory, value=0)),
        (torch.mps, "driver_allocated_memory", _answer(torch.mps.driver_allocated_memory, value=0)),
        (torch, "Event", _event(torch.Event)),
        (torch, "load", _loader(torch.load)),
    ]


def _answer(real: Callable[..., Any], *, value: Any) -> Callable[..., Any]:
    """A function that answers *value*; marked, so that programs can tell."""

    def stand_in(*_: object, **__: object) -> Any:
        return value

    # wraps: torch's compiler looks for __wrapped__
    marked: Any = functools.wraps(real)(stand_in)
    marked.simulated = True
    return cast("Callable[..., Any]", marked)


def _event(real: Any) -> Any:
    """``torch.Event``, which on MPS has nothing to wait for: what is simulated is done when its call returns."""

    class Event(real):  # type: ignore[misc]
        def record(self, stream: Any = None) -> None:
            if not is_mps(self.device):
                super().record(stream)

        def wait(self, stream: Any = None) -> None:
            if not is_mps(self.device):
                super().wait(stream)

        def synchronize(self) -> None:
            if not is_mps(self.device):
                super().synchronize()

        def query(self) -> bool:
            return is_mps(self.device) or bool(super().query())

    return Event


def _refuse_cuda() -> None:
    raise not_compiled_with_cuda()


def _loader(real: Callable[..., Any]) -> Callable[..., Any]:
    """`torch.load` that reads to the CPU and moves, where ``map_location`` is MPS."""

    def load(f: Any, map_location: Any = None, *arguments: Any, **options: Any) -> Any:
        if not is_mps(map_location):
            return real(f, map_location, *arguments, **options)
        return tree_map(_moved, real(f, "cpu", *arguments, **options))

    return load


def _moved(value: Any) -> Any:
    if isinstance(value, torch.nn.Parameter):
        return torch.nn.Parameter(value.detach().to("mps"), requires_grad=value.requires_grad)
    return value.to("mps") if isinstance(value, torch.Tensor) else value
