"""The speech decoder of LFM2.5-Audio, on the device of the rest of the model."""

from __future__ import annotations

from types import FunctionType
from typing import Any

from asrlab.patches.patch import DeviceNow, Patch, PatchDecision

_PLACE = "liquid_audio.processor:LFM2AudioProcessor.audio_detokenizer"
_CLASS = "LFM2AudioDetokenizer"


def _needed(originals: tuple[Any, ...], device: str) -> PatchDecision:
    (getter,) = originals
    if getter is None:
        return PatchDecision(status="retired", reason="upstream's processor has no getter of a speech decoder any more")
    code = getattr(getattr(getter, "fget", None), "__code__", None)
    if code is None:
        raise TypeError(f"{_PLACE} is a {type(getter).__name__} and no property any more")
    if "cuda" not in code.co_names:
        return PatchDecision(status="retired", reason="upstream's getter of the speech decoder no longer calls .cuda()")
    if device in ("cuda", "cuda:0"):
        return PatchDecision(status="not-needed", reason=f".cuda() gives {device}")
    if _CLASS not in code.co_names:
        raise LookupError(f"{_PLACE} does not make a {_CLASS}")
    return PatchDecision(
        status="needed", reason=f"upstream's getter puts the speech decoder on cuda instead of {device}"
    )


def _on_own_device(getter: property, _device: DeviceNow) -> property:
    """The getter, run with a class whose ``.cuda()`` means the processor's device; nothing else sees that class."""
    upstream = getter.fget
    assert isinstance(upstream, FunctionType)  # noqa: S101 - `_needed` has read its code

    def audio_detokenizer(processor: Any) -> Any:
        detokenizer = upstream.__globals__[_CLASS]
        names = upstream.__globals__ | {_CLASS: _with_cuda_meaning(detokenizer, processor.device)}
        built = FunctionType(upstream.__code__, names, upstream.__name__, closure=upstream.__closure__)(processor)
        if type(built) is names[_CLASS]:
            built.__class__ = detokenizer
        return built

    return property(audio_detokenizer, doc=getter.__doc__)


def _with_cuda_meaning(module: type[Any], device: Any) -> type[Any]:
    """A subclass of a torch module whose ``.cuda()`` moves to *device*."""
    return type(module.__name__, (module,), {"cuda": lambda self, *_, **__: self.to(device)})


def _verify(device: str) -> None:
    """A module takes the device when it is asked for CUDA, and the processor's getter is the changed one."""
    import torch
    from liquid_audio.processor import LFM2AudioProcessor

    # a layer that draws no random numbers, which are the user's
    moved = _with_cuda_meaning(torch.nn.LayerNorm, torch.device(device))(1).cuda()
    if moved.weight.device.type != torch.device(device).type:
        raise RuntimeError(f".cuda() still gives {moved.weight.device}")
    getter = vars(LFM2AudioProcessor)["audio_detokenizer"]
    if "cuda" in getter.fget.__code__.co_names:
        raise RuntimeError("the class still has upstream's getter")


DETOKENIZER_DEVICE = Patch(
    name="liquid-audio-detokenizer-device",
    distribution="liquid-audio",
    versions=("1.2.0", "1.3.0"),
    devices=("cpu", "mps", "cuda"),
    reason="LFM2AudioProcessor.audio_detokenizer calls .eval().cuda(): off CUDA, and on any but the first CUDA device, "
    "speech cannot be decoded ('Torch not compiled with CUDA enabled')",
    link="https://github.com/Liquid4All/liquid-audio/issues/26",
    retires="when the getter no longer names cuda",
    module="liquid_audio",
    changes={_PLACE: _on_own_device},
    needed=_needed,
    verify=_verify,
)
