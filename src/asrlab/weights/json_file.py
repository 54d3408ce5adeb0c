"""Read the JSON files beside weights within bounds, whatever they hold."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from asrlab.errors import WeightsError

if TYPE_CHECKING:
    from pathlib import Path


_MAX_CONFIG_BYTES = 1 << 20
"""Whisper's config.json has 2 KB; every object of a megabyte of JSON takes 30 MB at most."""


def read_json_object(path: Path, *, max_bytes: int = _MAX_CONFIG_BYTES) -> dict[str, Any]:
    """Read the JSON object in *path*.

    Raises:
        WeightsError: If it is missing, larger than *max_bytes*, nested too deep, or not a JSON object.
    """
    try:
        content = json.loads(read_small_text(path, max_bytes=max_bytes))
    except RecursionError as error:
        raise WeightsError(f"{path} is nested too deep; fetch the weights again", model=str(path)) from error
    except ValueError as error:
        raise WeightsError(f"{path} is not JSON ({error}); fetch the weights again", model=str(path)) from error
    if not isinstance(content, dict):
        raise WeightsError(
            f"{path} holds a {type(content).__name__} where a JSON object is needed; fetch the weights again",
            model=str(path),
        )
    return content


def read_small_text(path: Path, *, max_bytes: int) -> str:
    """Read the UTF-8 text in *path*, without changing its line ends.

    Raises:
        WeightsError: If it cannot be read, is larger than *max_bytes*, or is not UTF-8.
    """
    try:
        with path.open("rb") as file:
            data = file.read(max_bytes + 1)
    except OSError as error:
        raise WeightsError(f"cannot read {path}: {error.strerror or error}", model=str(path)) from error
    if len(data) > max_bytes:
        raise WeightsError(
            f"{path} is larger than {max_bytes >> 20} MiB, which no model needs; fetch the weights again",
            model=str(path),
        )
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise WeightsError(f"{path} is not UTF-8 text; fetch the weights again", model=str(path)) from error
