"""Flash attention, only where there is CUDA to run it."""

from __future__ import annotations

from collections.abc import Callable
from contextvars import ContextVar
from functools import wraps
from importlib import import_module
from typing import Any

from asrlab.patches.patch import DeviceNow, Patch, PatchDecision

_LOADER = "liquid_audio.model.lfm2_audio:LFM2AudioModel.from_pretrained"
_CHECK = "liquid_audio.model.lfm2_audio:module_exists"
_PACKAGE = "flash_attn"

_loading_on: ContextVar[str] = ContextVar("asrlab_liquid_audio_loading_on", default="")
"""The device that this thread is loading a model for; empty outside of that."""


def _needed(originals: tuple[Any, ...], device: str) -> PatchDecision:
    loader, exists = originals
    code = loader.__func__.__code__
    if "module_exists" not in code.co_names or _PACKAGE not in code.co_consts:
        return PatchDecision(status="retired", reason="upstream no longer takes flash attention for being installed")
    if not exists(_PACKAGE):
        return PatchDecision(status="not-needed", reason="flash_attn is not installed")
    return PatchDecision(status="needed", reason=f"flash_attn is installed, and cannot run on {device}")


def _noting_device(loader: classmethod[Any, ..., Any], _device: DeviceNow) -> classmethod[Any, ..., Any]:
    upstream: Callable[..., Any] = loader.__func__

    @wraps(upstream)
    def from_pretrained(cls: type[Any], *arguments: Any, **named: Any) -> Any:
        token = _loading_on.set(str(named.get("device", "cuda")))
        try:
            return upstream(cls, *arguments, **named)
        finally:
            _loading_on.reset(token)

    return classmethod(from_pretrained)


def _absent_off_cuda(exists: Callable[[str], bool], _device: DeviceNow) -> Callable[[str], bool]:
    @wraps(exists)
    def module_exists(name: str) -> bool:
        device = _loading_on.get()
        return exists(name) and not (name == _PACKAGE and device and not device.startswith("cuda"))

    return module_exists


def _verify(device: str) -> None:
    """While a model is loaded for the device, flash attention is not seen; else it is as upstream says."""
    lfm2_audio = import_module("liquid_audio.model.lfm2_audio")

    token = _loading_on.set(device)
    try:
        seen = lfm2_audio.module_exists(_PACKAGE)
    finally:
        _loading_on.reset(token)
    if seen:
        raise RuntimeError(f"flash_attn is still chosen for {device}")


FLASH_ATTENTION = Patch(
    name="liquid-audio-flash-attention",
    distribution="liquid-audio",
    versions=("1.2.0", "1.3.0"),
    devices=("cpu", "mps"),
    reason="LFM2AudioModel.from_pretrained takes flash attention on any device if flash_attn is installed, and it runs "
    "on CUDA alone",
    link="https://github.com/Liquid4All/liquid-audio/issues/26",
    retires="when from_pretrained no longer asks module_exists('flash_attn')",
    module="liquid_audio",
    changes={_LOADER: _noting_device, _CHECK: _absent_off_cuda},
    needed=_needed,
    verify=_verify,
)
