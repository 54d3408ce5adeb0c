"""From the arguments of faster-whisper's ``transcribe`` to asrlab's options. Nothing is ignored in silence."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from os import PathLike, fspath
from pathlib import Path
from typing import Any

from asrlab import loading
from asrlab.compat.faster_whisper.vad import VadOptions, as_mapping
from asrlab.engine.transcriber import Transcriber
from asrlab.errors import EngineNotFoundError, OptionError
from asrlab.options import TextToShorten, TranscribeOptions

LADDER = (0.0, 0.2, 0.4, 0.6, 0.8, 1.0)
# What other engines call the same.
_ELSEWHERE = {"log_prob_threshold": "logprob_threshold"}
_BEAM = 5
_log = logging.getLogger("asrlab.compat")


def to_options(
    given: Mapping[str, Any], defaults: Mapping[str, Any], transcriber: Transcriber, *, native: str
) -> TranscribeOptions:
    """The options for *given*.

    What is left at upstream's default asks for nothing, but for the beam of 5 where there is a beam search.

    Args:
        given: All arguments of the call but the audio.
        defaults: Upstream's.
        transcriber: What is asked.
        native: The call to name in errors.

    Raises:
        OptionError: The transcriber cannot honour one of them.
    """
    able = transcriber.info.capabilities
    asked = {name: value for name, value in given.items() if not _same(value, defaults[name])}
    if able.beam_size:
        asked.setdefault("beam_size", _BEAM)
    if "vad_parameters" in asked:
        asked["vad_parameters"] = as_mapping(asked["vad_parameters"]) if asked["vad_parameters"] else {}
    if asked.get("initial_prompt") is not None and not isinstance(asked["initial_prompt"], str):
        raise _cannot("initial_prompt", "as token ids", transcriber, native)
    if asked.get("language") not in (None, "en") and able.languages == ("en",):
        _log.warning("%s knows only English; language %r becomes 'en'", transcriber.info.model.name, asked["language"])
        asked["language"] = "en"
    for name in ("initial_prompt", "hotwords", "prefix"):
        if isinstance(asked.get(name), str):
            asked[name] = TextToShorten(asked[name])
    own: dict[str, Any] = {name: asked.pop(name) for name in list(asked) if name in _COMMON}
    if own.get("task") not in (None, *able.tasks):
        raise _cannot("task", repr(own["task"]), transcriber, native)
    for name in own:
        if name in _SWITCHES and not getattr(able, name):
            raise _cannot(name, "", transcriber, native)
    return TranscribeOptions.of(None, {**own, "engine_options": _engine_options(asked, given, transcriber, native)})


_SWITCHES = ("word_timestamps", "beam_size", "temperature", "initial_prompt", "hotwords", "vad_filter")
_COMMON = ("language", "task", *_SWITCHES)


def _same(value: Any, default: Any) -> bool:
    value = tuple(value) if isinstance(value, list) else value
    return bool(value == default and isinstance(value, bool) == isinstance(default, bool)) or (
        isinstance(value, VadOptions) and not as_mapping(value)
    )


def _engine_options(
    asked: Mapping[str, Any], given: Mapping[str, Any], transcriber: Transcriber, native: str
) -> dict[str, Any]:
    able = transcriber.info.capabilities.engine_options
    options = {}
    for name, value in asked.items():
        there = name if name in able else _ELSEWHERE.get(name, name)
        if there not in able:
            raise _cannot(name, "", transcriber, native)
        options[there] = value
    if given.get("vad_filter") and "split_at_silence" in able:
        options["split_at_silence"] = False  # segments are upstream's here
    return options


def _cannot(name: str, how: str, transcriber: Transcriber, native: str) -> OptionError:
    model = transcriber.info.model.name
    asked = f"{name} {how}".strip()
    return OptionError(f"{model} cannot honour {asked}; {native}(audio, {name}=...) can", option=name)


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
