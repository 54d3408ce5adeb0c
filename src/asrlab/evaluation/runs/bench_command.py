"""The shell command that makes a run, from what the run was asked for."""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import attrs

from asrlab.evaluation.runs.manifest import Request
from asrlab.options import Batching, TranscribeOptions

__all__ = ["bench_command"]

_MIB = 2**20
_RENAMED = {"memory_limit_bytes": "memory-limit", "threads": "threads"}
_BATCHING = {"threads": "worker-threads"}


def bench_command(request: Request, run: Path) -> str:
    """Return the ``asrlab bench`` command that asks for *request* with its records in *run*, quoted for a shell."""
    words = ["asrlab", "bench", request.dataset or "DATASET"]
    for model in request.models:
        words += ["-m", model]
    words += ["--run", str(run)]
    for name, value in _changed(request, Request(dataset=None, models=())):
        if name not in ("dataset", "models", "options", "batching", "warmup"):
            words += _option(_RENAMED.get(name, name), value // _MIB if name == "memory_limit_bytes" else value)
    if request.warmup != int(request.repeat > 1):
        words += _option("warmup", request.warmup)
    for name, value in _changed(request.options, TranscribeOptions()):
        words += _option(name, value)
    for name, value in _changed(request.batching, Batching()):
        words += _option(_BATCHING.get(name, name), value)
    return shlex.join(words)


def _changed(given: Any, default: Any) -> Iterator[tuple[str, Any]]:
    """Yield the fields of *given* that differ from *default*."""
    for field in attrs.fields(type(given)):
        value = getattr(given, field.name)
        if value != getattr(default, field.name):
            yield field.name, value


def _option(name: str, value: Any) -> list[str]:
    """Return the words of an option of ``asrlab bench``."""
    match name, value:
        case "engine_options", _:
            return [word for key, setting in value for word in ("--engine-option", f"{key}={json.dumps(setting)}")]
        case "encode_together", _:
            return ["--encode-together" if value else "--encode-apart"]
        case "patches", tuple():
            return ["--patches", ",".join(value) or "off"]
        case "temperature", tuple():
            return [word for step in value for word in ("--temperature", str(step))]
    flag = f"--{name.replace('_', '-')}"
    return [flag] if value is True else [flag, str(value)]
