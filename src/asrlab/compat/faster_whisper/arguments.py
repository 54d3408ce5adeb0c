"""Conversion of arguments of faster-whisper's ``transcribe`` to asrlab's options; each is honoured or refused."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from os import PathLike, fspath
from pathlib import Path
from typing import Any

from asrlab import loading
from asrlab.compat.faster_whisper.vad import VadOptions, changed_vad_options
from asrlab.engine.transcriber import Transcriber
from asrlab.errors import EngineNotFoundError, OptionError
from asrlab.options import TextToShorten, TranscribeOptions

ENGINE = "faster-whisper"
TEMPERATURES = (0.0, 0.2, 0.4, 0.6, 0.8, 1.0)
_BEAM_SIZE = 5
_NAMES_IN_OTHER_ENGINES = {"log_prob_threshold": "logprob_threshold"}
_CAPABILITIES = ("word_timestamps", "beam_size", "temperature", "initial_prompt", "hotwords", "vad_filter")
_COMMON = ("language", "task", *_CAPABILITIES)
_log = logging.getLogger("asrlab.compat")


def to_options(
    given: Mapping[str, Any], defaults: Mapping[str, Any], transcriber: Transcriber, *, upstream_call: str
) -> TranscribeOptions:
    """Convert the arguments of a call to options.

    An argument at upstream's default requests nothing, except the beam size of 5 if the engine has a beam search.

    Args:
        given: All arguments of the call except the audio.
        defaults: Upstream's defaults.
        transcriber: The transcriber that the options are for.
        upstream_call: Upstream's call, for messages.

    Raises:
        OptionError: If the transcriber cannot honour an argument.
    """
    capabilities = transcriber.info.capabilities
    requested = {name: value for name, value in given.items() if not _is_default(value, defaults[name])}
    if capabilities.beam_size:
        requested.setdefault("beam_size", _BEAM_SIZE)
    if "vad_parameters" in requested:
        requested["vad_parameters"] = changed_vad_options(requested["vad_parameters"] or {})
    if not isinstance(requested.get("initial_prompt", ""), str):
        raise _unsupported("initial_prompt as token ids", "initial_prompt", transcriber, upstream_call)
    if requested.get("language") not in (None, "en") and capabilities.languages == ("en",):
        model = transcriber.info.model.name
        _log.warning("%s knows only English; language %r becomes 'en'", model, requested["language"])
        requested["language"] = "en"
    for name in ("initial_prompt", "hotwords", "prefix"):
        if isinstance(requested.get(name), str):
            requested[name] = TextToShorten(requested[name])
    common: dict[str, Any] = {name: requested.pop(name) for name in list(requested) if name in _COMMON}
    if common.get("task") not in (None, *capabilities.tasks):
        raise _unsupported(f"task {common['task']!r}", "task", transcriber, upstream_call)
    for name in common:
        if name in _CAPABILITIES and not getattr(capabilities, name):
            raise _unsupported(name, name, transcriber, upstream_call)
    engine_options = _engine_options(requested, transcriber, upstream_call)
    if given.get("vad_filter") and "split_at_silence" in capabilities.engine_options:
        engine_options["split_at_silence"] = False  # the shim returns upstream's segments
    return TranscribeOptions.of(None, {**common, "engine_options": engine_options})


def _is_default(value: Any, default: Any) -> bool:
    if isinstance(value, VadOptions):
        return not changed_vad_options(value)
    value = tuple(value) if isinstance(value, list) else value
    return bool(value == default and isinstance(value, bool) == isinstance(default, bool))


def _engine_options(requested: Mapping[str, Any], transcriber: Transcriber, upstream_call: str) -> dict[str, Any]:
    known = transcriber.info.capabilities.engine_options
    options = {}
    for name, value in requested.items():
        engine_name = name if name in known else _NAMES_IN_OTHER_ENGINES.get(name, name)
        if engine_name not in known:
            raise _unsupported(name, name, transcriber, upstream_call)
        options[engine_name] = value
    return options


def _unsupported(what: str, option: str, transcriber: Transcriber, upstream_call: str) -> OptionError:
    model = transcriber.info.model.name
    return OptionError(f"{model} cannot honour {what}; use {upstream_call}(audio, {option}=...)", option=option)


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
