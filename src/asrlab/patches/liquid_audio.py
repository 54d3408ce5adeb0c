"""The patches of liquid-audio, for devices other than CUDA and for a torchaudio that does not import.

Upstream's issue 26 and pull request 12, which requested other devices, were closed without a change.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import wraps
from importlib import import_module
from types import FunctionType
from typing import Any

from asrlab.patches.liquid_audio_resampling import RESAMPLING, liquid_audio_patch
from asrlab.patches.patch import CurrentDevice, PatchDecision

_DETOKENIZER = "liquid_audio.processor:LFM2AudioProcessor.audio_detokenizer"
_DETOKENIZER_CLASS = "LFM2AudioDetokenizer"
_LOAD_PROCESSOR = "liquid_audio.processor:LFM2AudioProcessor.from_pretrained"
_LOAD_MODEL = "liquid_audio.model.lfm2_audio:LFM2AudioModel.from_pretrained"
_MODULE_EXISTS = "liquid_audio.model.lfm2_audio:module_exists"
_FLASH_ATTENTION = "flash_attn"

type _Loader = classmethod[Any, ..., Any]


def _check_detokenizer(originals: tuple[Any, ...], device: str) -> PatchDecision:
    (getter,) = originals
    if getter is None:
        return PatchDecision("retired", "upstream's processor no longer has a getter for the speech decoder")
    code = getattr(getattr(getter, "fget", None), "__code__", None)
    if code is None:
        raise TypeError(f"{_DETOKENIZER} is a {type(getter).__name__}, no longer a property")
    if "cuda" not in code.co_names:
        return PatchDecision("retired", "upstream's getter of the speech decoder no longer calls .cuda()")
    if device in ("cuda", "cuda:0"):
        return PatchDecision("not-needed", f".cuda() means {device}")
    if _DETOKENIZER_CLASS not in code.co_names:
        raise LookupError(f"{_DETOKENIZER} does not create a {_DETOKENIZER_CLASS}")
    return PatchDecision("needed", f"upstream's getter puts the speech decoder on cuda instead of {device}")


def _on_own_device(getter: property, _device: CurrentDevice) -> property:
    """Return a getter that runs upstream's with a class whose ``.cuda()`` means the processor's device."""
    upstream = getter.fget
    assert isinstance(upstream, FunctionType)  # noqa: S101 - `_check_detokenizer` has read its code

    def audio_detokenizer(processor: Any) -> Any:
        detokenizer = upstream.__globals__[_DETOKENIZER_CLASS]
        names = upstream.__globals__ | {_DETOKENIZER_CLASS: _redirect_cuda(detokenizer, processor.device)}
        built = FunctionType(upstream.__code__, names, upstream.__name__, closure=upstream.__closure__)(processor)
        if type(built) is names[_DETOKENIZER_CLASS]:
            built.__class__ = detokenizer
        return built

    return property(audio_detokenizer, doc=getter.__doc__)


def _redirect_cuda(module: type[Any], device: Any) -> type[Any]:
    """Return a subclass of a module whose ``.cuda()`` moves to *device*."""
    return type(module.__name__, (module,), {"cuda": lambda self, *_, **__: self.to(device)})


def _verify_detokenizer(device: str) -> None:
    """Raise if ``.cuda()`` does not move a module to the device, or the processor's getter is upstream's."""
    import torch
    from liquid_audio.processor import LFM2AudioProcessor

    # A layer that does not draw from the user's random numbers.
    moved = _redirect_cuda(torch.nn.LayerNorm, torch.device(device))(1).cuda()
    if moved.weight.device.type != torch.device(device).type:
        raise RuntimeError(f".cuda() still moves to {moved.weight.device}")
    if "cuda" in vars(LFM2AudioProcessor)["audio_detokenizer"].fget.__code__.co_names:
        raise RuntimeError("the class still has upstream's getter")


DETOKENIZER_DEVICE = liquid_audio_patch(
    name="liquid-audio-detokenizer-device",
    devices=("cpu", "mps", "cuda"),
    reason="LFM2AudioProcessor.audio_detokenizer calls .eval().cuda(): except on the first CUDA device, speech "
    "cannot be decoded ('Torch not compiled with CUDA enabled')",
    issue_url="https://github.com/Liquid4All/liquid-audio/issues/26",
    obsolete_when="when the getter no longer names cuda",
    changes={_DETOKENIZER: _on_own_device},
    check=_check_detokenizer,
    verify=_verify_detokenizer,
)

_loading_on: ContextVar[str] = ContextVar("asrlab_liquid_audio_loading_on", default="")
"""The device that this thread loads a model for; empty while it loads none."""


@contextmanager
def _loading(device: str) -> Iterator[None]:
    token = _loading_on.set(device)
    try:
        yield
    finally:
        _loading_on.reset(token)


def _check_flash_attention(originals: tuple[Any, ...], device: str) -> PatchDecision:
    loader, exists = originals
    code = loader.__func__.__code__
    if "module_exists" not in code.co_names or _FLASH_ATTENTION not in code.co_consts:
        return PatchDecision("retired", "upstream no longer uses flash attention whenever it is installed")
    if not exists(_FLASH_ATTENTION):
        return PatchDecision("not-needed", "flash_attn is not installed")
    return PatchDecision("needed", f"flash_attn is installed, and cannot run on {device}")


def _record_device(loader: _Loader, _device: CurrentDevice) -> _Loader:
    upstream: Callable[..., Any] = loader.__func__

    @wraps(upstream)
    def from_pretrained(cls: type[Any], *arguments: Any, **named: Any) -> Any:
        with _loading(str(named.get("device", "cuda"))):
            return upstream(cls, *arguments, **named)

    return classmethod(from_pretrained)


def _hide_off_cuda(exists: Callable[[str], bool], _device: CurrentDevice) -> Callable[[str], bool]:
    @wraps(exists)
    def module_exists(name: str) -> bool:
        device = _loading_on.get()
        return exists(name) and not (name == _FLASH_ATTENTION and device and not device.startswith("cuda"))

    return module_exists


def _verify_flash_attention(device: str) -> None:
    """Raise if a model that is loaded for the device would use flash attention."""
    with _loading(device):
        is_visible = import_module("liquid_audio.model.lfm2_audio").module_exists(_FLASH_ATTENTION)
    if is_visible:
        raise RuntimeError(f"flash_attn is still chosen for {device}")


FLASH_ATTENTION = liquid_audio_patch(
    name="liquid-audio-flash-attention",
    devices=("cpu", "mps"),
    reason="LFM2AudioModel.from_pretrained uses flash attention on any device if flash_attn is installed, but flash "
    "attention runs only on CUDA",
    issue_url="https://github.com/Liquid4All/liquid-audio/issues/26",
    obsolete_when="when from_pretrained no longer calls module_exists('flash_attn')",
    changes={_LOAD_MODEL: _record_device, _MODULE_EXISTS: _hide_off_cuda},
    check=_check_flash_attention,
    verify=_verify_flash_attention,
)


def _check_default(originals: tuple[Any, ...], device: str) -> PatchDecision:
    defaults = [_default(loader) for loader in originals]
    if "cuda" not in defaults:
        return PatchDecision("retired", f"upstream's default devices are {defaults[0]!r} and {defaults[1]!r}")
    if device in ("cuda", "cuda:0"):
        return PatchDecision("not-needed", f"upstream's default is {device}")
    return PatchDecision("needed", f"upstream's default device is cuda instead of {device}")


def _default(loader: _Loader | None) -> object:
    parameter = inspect.signature(loader.__func__).parameters.get("device") if loader else None
    return None if parameter is None else parameter.default


def _with_default(loader: _Loader, current_device: CurrentDevice) -> _Loader:
    if _default(loader) != "cuda":
        return loader
    upstream: Callable[..., Any] = loader.__func__

    @wraps(upstream)
    def from_pretrained(cls: type[Any], *arguments: Any, **named: Any) -> Any:
        device = current_device()
        return upstream(cls, *arguments, **({"device": device} if device else {}) | named)

    return classmethod(from_pretrained)


def _verify_default(_device: str) -> None:
    """Raise if a loader whose default is cuda is not the changed one, under any wrappers of other code."""
    from liquid_audio import LFM2AudioModel, LFM2AudioProcessor

    for owner in (LFM2AudioProcessor, LFM2AudioModel):
        loader = vars(owner)["from_pretrained"]
        if _default(loader) == "cuda" and not _is_replacement(inspect.unwrap(loader.__func__, stop=_is_replacement)):
            raise RuntimeError(f"{owner.__name__} still has upstream's from_pretrained")


def _is_replacement(function: Callable[..., Any]) -> bool:
    code = getattr(function, "__code__", None)
    return code is not None and code.co_qualname == f"{_with_default.__name__}.<locals>.from_pretrained"


DEFAULT_DEVICE = liquid_audio_patch(
    name="liquid-audio-default-device",
    devices=("cpu", "mps", "cuda"),
    reason="both from_pretrained have device='cuda' as default: code that names no device fails off CUDA",
    issue_url="https://github.com/Liquid4All/liquid-audio/pull/12",
    obsolete_when="when neither from_pretrained has the default device 'cuda'",
    changes=dict.fromkeys((_LOAD_PROCESSOR, _LOAD_MODEL), _with_default),
    check=_check_default,
    verify=_verify_default,
    direct_use=True,
)

# In order of application: without the first patch the package may not import.
PATCHES = (RESAMPLING, DETOKENIZER_DEVICE, FLASH_ATTENTION, DEFAULT_DEVICE)
