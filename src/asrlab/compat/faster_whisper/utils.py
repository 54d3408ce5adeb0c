"""faster-whisper's small functions."""

from __future__ import annotations

from typing import Any

from asrlab import loading
from asrlab.compat.base import format_timestamp
from asrlab.compat.faster_whisper.arguments import ENGINE, full_name
from asrlab.errors import OptionError

__all__ = ["available_models", "download_model", "format_timestamp"]


def available_models() -> list[str]:
    """The sizes, and other names, of the models that faster-whisper has in asrlab."""
    models = [found.model for found in loading.list_models() if found.engine.name == ENGINE and found.model]
    return [name for model in models for name in (model.name, *model.aliases)]


def download_model(
    size_or_id: str,
    output_dir: str | None = None,
    local_files_only: bool = False,  # noqa: FBT001, FBT002 - upstream's signature
    cache_dir: str | None = None,
    revision: str | None = None,
    use_auth_token: Any = None,
) -> str:
    """The checked folder with the weights of a model, fetched first if need be.

    Raises:
        EngineNotFoundError: asrlab has no such model.
        OptionError: A folder, a revision or a token was given: asrlab has a store and pinned revisions of its own.
        WeightsError: The weights are missing, damaged, or cannot be fetched.
    """
    others = {"output_dir": output_dir, "cache_dir": cache_dir, "revision": revision, "use_auth_token": use_auth_token}
    for name, value in others.items():
        if value is not None:
            raise OptionError(
                f"asrlab keeps checked weights in its own store and takes no {name}; ASRLAB_CACHE says where, and "
                f"faster_whisper.download_model({size_or_id!r}, {name}=...) takes it",
                option=name,
            )
    return str(loading.weights_path(full_name(size_or_id), offline=local_files_only))
