"""Upstream's functions about models and times."""

from __future__ import annotations

from os import PathLike, fspath
from pathlib import Path
from typing import Any

from asrlab import loading
from asrlab.compat import format_timestamp
from asrlab.compat.delegation import delegate_missing
from asrlab.errors import EngineNotFoundError, OptionError

__all__ = ["available_models", "download_model", "format_timestamp"]

ENGINE = "faster-whisper"


def available_models() -> list[str]:
    """Return the sizes, and their aliases, of faster-whisper's models in asrlab."""
    models = [entry.model for entry in loading.list_models() if entry.engine.name == ENGINE and entry.model]
    return [name for model in models for name in (model.name, *model.aliases)]


def download_model(
    size_or_id: str,
    output_dir: str | None = None,
    local_files_only: bool = False,  # noqa: FBT001, FBT002 - upstream's signature
    cache_dir: str | None = None,
    revision: str | None = None,
    use_auth_token: Any = None,
) -> str:
    """Return the checked folder with the weights of a model, after a download if necessary.

    Raises:
        EngineNotFoundError: If asrlab has no such model.
        OptionError: If a folder, a revision or a token is given: asrlab has a store and pinned revisions of its own.
        WeightsError: If the weights are missing, damaged, or cannot be downloaded.
    """
    unsupported = {"output_dir": output_dir, "cache_dir": cache_dir}
    for name, value in {**unsupported, "revision": revision, "use_auth_token": use_auth_token}.items():
        if value is not None:
            raise OptionError(
                f"asrlab keeps checked weights in its own store and has no {name}; set ASRLAB_CACHE to move the store, "
                f"or use faster_whisper.download_model({size_or_id!r}, {name}=...)",
                option=name,
            )
    return str(loading.weights_path(resolve_model_name(size_or_id), offline=local_files_only))


def resolve_model_name(given: str | PathLike[str]) -> str:
    """Return ``engine/model`` for a size, a folder of weights, a hub name that asrlab knows, or an ``engine/model``.

    Raises:
        EngineNotFoundError: If *given* is none of these.
    """
    name = fspath(given)
    if Path(name).is_dir():
        return f"{ENGINE}/{Path(name).absolute()}"
    entries = loading.list_models()
    models = {entry.name: entry.model for entry in entries if entry.engine.name == ENGINE and entry.model}
    for full_name, model in models.items():
        if name.lower() in (model.name, *model.aliases, *model.weights):
            return full_name
    engines = {alias for entry in entries for alias in (entry.engine.name, *entry.engine.aliases)}
    if name.partition("/")[0].rpartition(":")[2] in engines:
        return name
    sizes = ", ".join(model.name for model in models.values())
    raise EngineNotFoundError(
        f"{name!r} is not a folder, a size of faster-whisper ({sizes}) or an engine/model of asrlab; load weights of a "
        f"hub with faster_whisper.WhisperModel({name!r}), or download them and give their folder",
        name=name,
    )


__getattr__ = delegate_missing(__name__)
