"""The device of LFM2.5-Audio's speech decoder."""

from __future__ import annotations

from types import FunctionType
from typing import Any

from asrlab.patches.patch import CurrentDevice, Patch, PatchDecision

_TARGET = "liquid_audio.processor:LFM2AudioProcessor.audio_detokenizer"
_CLASS = "LFM2AudioDetokenizer"


def _check(originals: tuple[Any, ...], device: str) -> PatchDecision:
    (getter,) = originals
    if getter is None:
        return PatchDecision(
            status="retired", reason="upstream's processor no longer has a getter for the speech decoder"
        )
    code = getattr(getattr(getter, "fget", None), "__code__", None)
    if code is None:
        raise TypeError(f"{_TARGET} is a {type(getter).__name__}, no longer a property")
    if "cuda" not in code.co_names:
        return PatchDecision(status="retired", reason="upstream's getter of the speech decoder no longer calls .cuda()")
    if device in ("cuda", "cuda:0"):
        return PatchDecision(status="not-needed", reason=f".cuda() means {device}")
    if _CLASS not in code.co_names:
        raise LookupError(f"{_TARGET} does not create a {_CLASS}")
    return PatchDecision(
        status="needed", reason=f"upstream's getter puts the speech decoder on cuda instead of {device}"
    )


def _on_own_device(getter: property, _device: CurrentDevice) -> property:
    """Return a getter that runs upstream's with a class whose ``.cuda()`` means the processor's device."""
    upstream = getter.fget
    assert isinstance(upstream, FunctionType)  # noqa: S101 - `_check` has read its code

    def audio_detokenizer(processor: Any) -> Any:
        detokenizer = upstream.__globals__[_CLASS]
        names = upstream.__globals__ | {_CLASS: _redirect_cuda(detokenizer, processor.device)}
        built = FunctionType(upstream.__code__, names, upstream.__name__, closure=upstream.__closure__)(processor)
        if type(built) is names[_CLASS]:
            built.__class__ = detokenizer
        return built

    return property(audio_detokenizer, doc=getter.__doc__)


def _redirect_cuda(module: type[Any], device: Any) -> type[Any]:
    """Return a subclass of a torch module whose ``.cuda()`` moves to *device*."""
    return type(module.__name__, (module,), {"cuda": lambda self, *_, **__: self.to(device)})


def _verify(device: str) -> None:
    """Raise if ``.cuda()`` does not move a module to the device, or the processor's getter is upstream's."""
    import torch
    from liquid_audio.processor import LFM2AudioProcessor

    # A layer that does not draw from the user's random numbers.
    moved = _redirect_cuda(torch.nn.LayerNorm, torch.device(device))(1).cuda()
    if moved.weight.device.type != torch.device(device).type:
        raise RuntimeError(f".cuda() still moves to {moved.weight.device}")
    getter = vars(LFM2AudioProcessor)["audio_detokenizer"]
    if "cuda" in getter.fget.__code__.co_names:
        raise RuntimeError("the class still has upstream's getter")


DETOKENIZER_DEVICE = Patch(
    name="liquid-audio-detokenizer-device",
    distribution="liquid-audio",
    versions=("1.2.0", "1.3.0"),
    devices=("cpu", "mps", "cuda"),
    reason="LFM2AudioProcessor.audio_detokenizer calls .eval().cuda(): except on the first CUDA device, speech "
    "cannot be decoded ('Torch not compiled with CUDA enabled')",
    issue_url="https://github.com/Liquid4All/liquid-audio/issues/26",
    obsolete_when="when the getter no longer names cuda",
    module="liquid_audio",
    changes={_TARGET: _on_own_device},
    check=_check,
    verify=_verify,
)
