"""``load_model`` and ``available_models``."""

from __future__ import annotations

import os
from os import PathLike
from pathlib import Path
from typing import Any

from asrlab import loading
from asrlab.compat.whisper.model import Model
from asrlab.plugins.manager import PluginHost
from asrlab.plugins.registry import Registry
from asrlab.transcriber import Transcriber
from asrlab.weights import WeightsStore

__all__ = ["available_models", "load_model", "load_with_threads"]

# Source: openai-whisper 20250625, `available_models`.
_NAMES = (
    *("tiny.en", "tiny", "base.en", "base", "small.en", "small", "medium.en", "medium"),
    *("large-v1", "large-v2", "large-v3", "large", "large-v3-turbo", "turbo"),
)
_FILES = {"large": "large-v3", "turbo": "large-v3-turbo"}


def available_models() -> list[str]:
    """Upstream's names, in upstream's order. ``asrlab.list_models`` has those of the other engines."""
    return list(_NAMES)


def load_model(
    name: str | PathLike[str] | Transcriber,
    device: Any = None,
    download_root: str | PathLike[str] | None = None,
    in_memory: bool = False,  # noqa: ARG001, FBT001, FBT002 - as upstream; what is read once is the same either way
) -> Model:
    """Load a model.

    Args:
        name: One of `available_models`, for openai-whisper; the path of a checkpoint of openai-whisper's; any other
            name of asrlab's, such as ``faster-whisper/base``; or a loaded transcriber.
        device: torch's device or its name; None lets asrlab choose.
        download_root: Where the weights are, or are put; None is asrlab's store, after upstream's own folder.
        in_memory: Makes no difference.

    Raises:
        EngineNotFoundError: There is no such model.
        DeviceUnavailableError: The device is not there.
        WeightsError: The weights are missing or damaged.
    """
    if isinstance(name, Transcriber):
        return Model(name)
    return load_with_threads(os.fspath(name), device=device, download_root=download_root)


def load_with_threads(
    name: str, *, device: Any = None, download_root: str | PathLike[str] | None = None, threads: int | None = None
) -> Model:
    """As `load_model`, with so many CPU threads; None leaves them to the engine."""
    where = "auto" if device is None else str(device)
    if name not in _NAMES and Path(name).expanduser().is_file():
        asked = f"openai-whisper/{Path(name).expanduser().absolute()}"
        return Model(loading.load(asked, device=where, threads=threads))
    asked = f"openai-whisper/{name}" if name in _NAMES else name
    weights = _weights(name, asked, download_root)
    return Model(loading.load(asked, device=where, weights=weights, threads=threads))


def _weights(name: str, asked: str, root: str | PathLike[str] | None) -> Path | None:
    """What upstream has downloaded already; or where *root* is named, what is fetched into it."""
    kept = Path(root) if root is not None else _default_root()
    checkpoint = kept.expanduser() / f"{_FILES.get(name, name)}.pt"
    if name in _NAMES and checkpoint.is_file():
        return checkpoint
    if root is None:
        return None
    stored = loading.fetch_weights_to_load(Registry(PluginHost()).resolve(asked), store=WeightsStore(kept))
    return stored.path if stored else None


def _default_root() -> Path:
    """Upstream's."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "whisper"
