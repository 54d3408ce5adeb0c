"""From what ``WhisperModel`` is given to the name of one of asrlab's models."""

from __future__ import annotations

from os import PathLike, fspath
from pathlib import Path

from asrlab import loading
from asrlab.errors import EngineNotFoundError

__all__ = ["ENGINE", "full_name"]

ENGINE = "faster-whisper"


def full_name(given: str | PathLike[str]) -> str:
    """``engine/model`` for a size, a folder of weights, a hub's name for weights that asrlab knows, or itself.

    Raises:
        EngineNotFoundError: It is none of these.
    """
    name = fspath(given)
    if Path(name).is_dir():
        return f"{ENGINE}/{Path(name).absolute()}"
    models = loading.list_models()
    for found in models:
        model = found.model
        if found.engine.name == ENGINE and model and name.lower() in (model.name, *model.aliases, *model.weights):
            return found.name
    engines = {alias for found in models for alias in (found.engine.name, *found.engine.aliases)}
    if name.partition("/")[0].rpartition(":")[2] in engines:
        return name
    sizes = ", ".join(found.model.name for found in models if found.engine.name == ENGINE and found.model)
    raise EngineNotFoundError(
        f"{name!r} is no folder, no size of faster-whisper's ({sizes}) and no engine/model of asrlab's; weights that "
        f"only a hub has are loaded by faster_whisper.WhisperModel({name!r}), or from a folder that they are in",
        name=name,
    )
