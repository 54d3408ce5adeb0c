"""Flash attention, which only CUDA can run."""

from __future__ import annotations

from collections.abc import Callable
from contextvars import ContextVar
from functools import wraps
from importlib import import_module
from typing import Any

from asrlab.patches.patch import CurrentDevice, Patch, PatchDecision

_LOADER = "liquid_audio.model.lfm2_audio:LFM2AudioModel.from_pretrained"
_EXISTS = "liquid_audio.model.lfm2_audio:module_exists"
_PACKAGE = "flash_attn"

_loading_on: ContextVar[str] = ContextVar("asrlab_liquid_audio_loading_on", default="")
"""The device that this thread loads a model for; empty while it loads none."""


def _check(originals: tuple[Any, ...], device: str) -> PatchDecision:
    loader, exists = originals
    code = loader.__func__.__code__
    if "module_exists" not in code.co_names or _PACKAGE not in code.co_consts:
        return PatchDecision(
            status="retired", reason="upstream no longer uses flash attention whenever it is installed"
        )
    if not exists(_PACKAGE):
        return PatchDecision(status="not-needed", reason="flash_attn is not installed")
    return PatchDecision(status="needed", reason=f"flash_attn is installed, and cannot run on {device}")


def _record_device(loader: classmethod[Any, ..., Any], _device: CurrentDevice) -> classmethod[Any, ..., Any]:
    upstream: Callable[..., Any] = loader.__func__

    @wraps(upstream)
    def from_pretrained(cls: type[Any], *arguments: Any, **named: Any) -> Any:
        token = _loading_on.set(str(named.get("device", "cuda")))
        try:
            return upstream(cls, *arguments, **named)
        finally:
            _loading_on.reset(token)

    return classmethod(from_pretrained)


def _hide_off_cuda(exists: Callable[[str], bool], _device: CurrentDevice) -> Callable[[str], bool]:
    @wraps(exists)
    def module_exists(name: str) -> bool:
        device = _loading_on.get()
        return exists(name) and not (name == _PACKAGE and device and not device.startswith("cuda"))

    return module_exists


def _verify(device: str) -> None:
    """Raise if a model that is loaded for the device would use flash attention."""
    lfm2_audio = import_module("liquid_audio.model.lfm2_audio")

    token = _loading_on.set(device)
    try:
        is_visible = lfm2_audio.module_exists(_PACKAGE)
    finally:
        _loading_on.reset(token)
    if is_visible:
        raise RuntimeError(f"flash_attn is still chosen for {device}")


FLASH_ATTENTION = Patch(
    name="liquid-audio-flash-attention",
    distribution="liquid-audio",
    versions=("1.2.0", "1.3.0"),
    devices=("cpu", "mps"),
    reason="LFM2AudioModel.from_pretrained uses flash attention on any device if flash_attn is installed, but flash "
    "attention runs only on CUDA",
    issue_url="https://github.com/Liquid4All/liquid-audio/issues/26",
    obsolete_when="when from_pretrained no longer calls module_exists('flash_attn')",
    module="liquid_audio",
    changes={_LOADER: _record_device, _EXISTS: _hide_off_cuda},
    check=_check,
    verify=_verify,
)
