"""The ``whisper`` command, with upstream's flags and files, over any transcriber."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from asrlab.compat.whisper.flags import BOOKKEEPING, LAYOUT, parser_of
from asrlab.compat.whisper.loading import load_with_threads
from asrlab.compat.whisper.model import Model
from asrlab.compat.whisper.native import Native
from asrlab.compat.whisper.transcription import transcribe
from asrlab.compat.whisper.utils import get_writer
from asrlab.errors import (
    AsrlabError,
    DeviceUnavailableError,
    EngineNotFoundError,
    EngineUnavailableError,
    OptionError,
    OutputError,
    PatchError,
)
from asrlab.plugins.manager import PluginHost
from asrlab.plugins.registry import Registry
from asrlab.terminal import guard_streams, guarded

__all__ = ["main"]

# as asrlab's own command
DONE, SOME_FAILED, USAGE, NOT_THERE, BAD_INPUT, OUTPUT, INTERRUPTED = 0, 1, 2, 3, 4, 74, 130
_NOT_THERE = (EngineNotFoundError, EngineUnavailableError, DeviceUnavailableError)


def main(arguments: Sequence[str] | None = None) -> int:
    """Transcribe files; gives the exit code. What is printed is escaped; the files are upstream's."""
    with guard_streams():
        return _main(arguments)


def _main(arguments: Sequence[str] | None) -> int:
    parser = parser_of()
    # what was given, apart from the defaults, which only openai-whisper is told: others have their own
    given = vars(parser.parse_args(arguments))
    flags = {action.dest: action.const for action in parser._actions if action.dest != "help"} | given  # noqa: SLF001
    problem = _layout_problem(flags)
    if problem:
        parser.error(problem)
    try:
        return _run(flags, given)
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:
        if guarded().reader_gone:
            return DONE
        raise
    except AsrlabError as error:
        _tell(error.message)
        return _code_of(error)


def _run(flags: dict[str, Any], given: dict[str, Any]) -> int:
    layout = {name: flags[name] for name in LAYOUT}
    Path(flags["output_dir"]).mkdir(parents=True, exist_ok=True)
    with _load(flags) as model:
        named = flags if isinstance(model.transcriber, Native) else given
        chosen = {name: value for name, value in named.items() if name not in (*BOOKKEEPING, *LAYOUT)}
        chosen |= {"verbose": flags["verbose"], "language": _language(flags)}
        if {"temperature", "temperature_increment_on_fallback"} & set(named):
            chosen["temperature"] = _ladder(flags["temperature"], flags["temperature_increment_on_fallback"])
        writer = get_writer(flags["output_format"], flags["output_dir"])
        failed = [path for path in flags["audio"] if not _done(model, path, chosen, writer, layout)]
    return SOME_FAILED if failed else DONE


def _done(model: Model, path: str, chosen: dict[str, Any], writer: Any, layout: dict[str, Any]) -> bool:
    try:
        writer(transcribe(model, path, **chosen), path, **layout)
    except (OptionError, OutputError, BrokenPipeError):
        raise  # the same for every file
    except Exception as error:  # noqa: BLE001 - the per-utterance boundary: one bad file never ends the rest
        _tell(f"skipping {path}: {type(error).__name__}: {error}")
        return False
    return True


def _load(flags: dict[str, Any]) -> Model:
    name, threads = flags["model"], flags["threads"] or None
    if threads and _on_torch(name):
        import torch

        torch.set_num_threads(threads)  # this process is the command's own
    return load_with_threads(name, device=flags["device"], download_root=flags["model_dir"], threads=threads)


def _on_torch(name: str) -> bool:
    return "/" not in name or Path(name).exists() or Registry(PluginHost()).resolve(name).engine.uses("torch")


def _language(flags: dict[str, Any]) -> str | None:
    """English for the models that know nothing else, whatever was asked for."""
    language: str | None = flags["language"]
    if not flags["model"].endswith(".en") or language in ("en", "English"):
        return language
    if language is not None:
        warnings.warn(f"{flags['model']} knows only English, and takes {language} for it", stacklevel=2)
    return "en"


def _ladder(first: float, step: float | None) -> tuple[float, ...]:
    return (first,) if step is None else tuple(map(float, np.arange(first, 1.0 + 1e-6, step)))


def _layout_problem(flags: dict[str, Any]) -> str:
    """What is wrong with how subtitles are to be laid out; warns of what has no effect."""
    idle = [name for name in LAYOUT if flags[name]]
    if idle and not flags["word_timestamps"]:
        return f"--{idle[0]} requires --word_timestamps True"
    if flags["max_line_count"] and not flags["max_line_width"]:
        warnings.warn("--max_line_count has no effect without --max_line_width", stacklevel=2)
    if flags["max_words_per_line"] and flags["max_line_width"]:
        warnings.warn("--max_words_per_line has no effect with --max_line_width", stacklevel=2)
    return ""


def _code_of(error: AsrlabError) -> int:
    if isinstance(error, _NOT_THERE):
        return NOT_THERE
    if isinstance(error, OutputError):
        return OUTPUT
    return USAGE if isinstance(error, OptionError | PatchError) else BAD_INPUT


def _tell(message: str) -> None:
    sys.stderr.write(f"whisper: {message}\n")
