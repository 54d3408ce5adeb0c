"""The alignment of words, without asking MPS for float64."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from functools import wraps
from types import SimpleNamespace
from typing import Any

from asrlab.patches.patch import DeviceNow, Patch, PatchDecision


def _needed(originals: tuple[Any, ...], device: str) -> PatchDecision:
    (dtw,) = originals
    if dtw is None:
        return PatchDecision(status="retired", reason="upstream has no dtw any more")
    names = dtw.__code__.co_names  # in the order in which the code first uses them
    if "double" not in names or ("cpu" in names and names.index("cpu") < names.index("double")):
        return PatchDecision(status="retired", reason="upstream no longer converts to float64 on the device")
    return PatchDecision(
        status="needed", reason=f"upstream converts to float64 before it leaves {device}, which has none"
    )


def _from_cpu(dtw: Callable[[Any], Any], _device: DeviceNow) -> Callable[[Any], Any]:
    @wraps(dtw)
    def on_cpu(matrix: Any) -> Any:
        return dtw(matrix.cpu() if matrix.device.type == "mps" else matrix)

    return on_cpu


class _Moved(Exception):  # noqa: N818 - no error
    """The matrix below was asked to move to the CPU."""


class _OnMps:
    """A matrix on MPS, as far as ``dtw`` looks at it: it moves to the CPU, and cannot become float64."""

    is_cuda = False
    device = SimpleNamespace(type="mps")

    def cpu(self) -> Any:
        raise _Moved

    def double(self) -> Any:
        raise RuntimeError("whisper.timing.dtw still converts to float64 on the device")


def _verify(_device: str) -> None:
    """What the alignment does first with a matrix on MPS is to move it to the CPU."""
    from whisper import timing

    with suppress(_Moved):
        timing.dtw(_OnMps())


FLOAT64_ALIGNMENT = Patch(
    name="openai-whisper-float64-alignment",
    distribution="openai-whisper",
    versions=("20250625",),
    devices=("mps",),
    reason="timing.dtw converts to float64 on the device, and MPS has no float64: word timestamps fail there",
    link="https://github.com/openai/whisper/pull/2825",
    retires="when dtw moves to the CPU before it converts",
    module="whisper",
    changes={"whisper.timing:dtw": _from_cpu},
    needed=_needed,
    verify=_verify,
)
