"""The default device of liquid-audio's loaders."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from functools import wraps
from typing import Any

from asrlab.patches.patch import CurrentDevice, Patch, PatchDecision

_TARGETS = (
    "liquid_audio.processor:LFM2AudioProcessor.from_pretrained",
    "liquid_audio.model.lfm2_audio:LFM2AudioModel.from_pretrained",
)


def _check(originals: tuple[Any, ...], device: str) -> PatchDecision:
    defaults = [_default(loader) for loader in originals]
    if "cuda" not in defaults:
        return PatchDecision(
            status="retired", reason=f"upstream's default devices are {defaults[0]!r} and {defaults[1]!r}"
        )
    if device in ("cuda", "cuda:0"):
        return PatchDecision(status="not-needed", reason=f"upstream's default is {device}")
    return PatchDecision(status="needed", reason=f"upstream's default device is cuda instead of {device}")


def _default(loader: classmethod[Any, ..., Any] | None) -> object:
    parameter = inspect.signature(loader.__func__).parameters.get("device") if loader else None
    return None if parameter is None else parameter.default


def _with_default(loader: classmethod[Any, ..., Any], current_device: CurrentDevice) -> classmethod[Any, ..., Any]:
    if _default(loader) != "cuda":
        return loader
    upstream: Callable[..., Any] = loader.__func__

    @wraps(upstream)
    def from_pretrained(cls: type[Any], *arguments: Any, **named: Any) -> Any:
        device = current_device()
        return upstream(cls, *arguments, **({"device": device} if device else {}) | named)

    return classmethod(from_pretrained)


def _verify(_device: str) -> None:
    """Raise if a loader whose default is cuda is not the changed one, under any wrappers of other code."""
    from liquid_audio import LFM2AudioModel, LFM2AudioProcessor

    for owner in (LFM2AudioProcessor, LFM2AudioModel):
        loader = vars(owner)["from_pretrained"]
        if _default(loader) == "cuda" and not _is_replacement(inspect.unwrap(loader.__func__, stop=_is_replacement)):
            raise RuntimeError(f"{owner.__name__} still has upstream's from_pretrained")


def _is_replacement(function: Callable[..., Any]) -> bool:
    code = getattr(function, "__code__", None)
    return code is not None and code.co_qualname == f"{_with_default.__name__}.<locals>.from_pretrained"


DEFAULT_DEVICE = Patch(
    name="liquid-audio-default-device",
    distribution="liquid-audio",
    versions=("1.2.0", "1.3.0"),
    devices=("cpu", "mps", "cuda"),
    reason="both from_pretrained have device='cuda' as default: code that names no device fails off CUDA",
    issue_url="https://github.com/Liquid4All/liquid-audio/pull/12",
    obsolete_when="when neither from_pretrained has the default device 'cuda'",
    module="liquid_audio",
    changes=dict.fromkeys(_TARGETS, _with_default),
    check=_check,
    verify=_verify,
    direct_use=True,
)
