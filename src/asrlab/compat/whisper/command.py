"""The ``whisper`` command with upstream's flags and output files, over any transcriber."""

from __future__ import annotations

import argparse
import sys
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from asrlab.compat.whisper.arguments import DEFAULTS
from asrlab.compat.whisper.model import Model, load_with_threads
from asrlab.compat.whisper.protocols import SupportsUpstreamLoop
from asrlab.compat.whisper.tokenizer import LANGUAGES, TO_LANGUAGE_CODE
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

# exit codes as of asrlab's own command
DONE, SOME_FAILED, USAGE, NOT_AVAILABLE, BAD_INPUT, OUTPUT, INTERRUPTED = 0, 1, 2, 3, 4, 74, 130
SUBTITLE_FLAGS = ("highlight_words", "max_line_count", "max_line_width", "max_words_per_line")
_NO_ARGUMENTS_OF_TRANSCRIBE = (
    *("audio", "model", "model_dir", "device", "output_dir", "output_format"),
    *("threads", "temperature_increment_on_fallback"),
    *SUBTITLE_FLAGS,
)


def main(arguments: Sequence[str] | None = None) -> int:
    """Transcribe files and return the exit code. Printed text is escaped; the files are upstream's."""
    with guard_streams():
        return _main(arguments)


def _main(arguments: Sequence[str] | None) -> int:
    parser = build_parser()
    given = vars(parser.parse_args(arguments))
    # Only openai-whisper receives the defaults of flags, because other engines have their own.
    flags = {action.dest: action.const for action in parser._actions if action.dest != "help"} | given  # noqa: SLF001
    problem = _check_subtitle_flags(flags)
    if problem:
        parser.error(problem)
    try:
        return _transcribe_files(flags, given)
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:
        if guarded().reader_gone:
            return DONE
        raise
    except AsrlabError as error:
        _print_error(error.message)
        return _exit_code(error)


def _transcribe_files(flags: dict[str, Any], given: dict[str, Any]) -> int:
    layout = {name: flags[name] for name in SUBTITLE_FLAGS}
    Path(flags["output_dir"]).mkdir(parents=True, exist_ok=True)
    with _load(flags) as model:
        relevant = flags if isinstance(model.transcriber.recognizer, SupportsUpstreamLoop) else given
        arguments = {name: value for name, value in relevant.items() if name not in _NO_ARGUMENTS_OF_TRANSCRIBE}
        arguments |= {"verbose": flags["verbose"], "language": _language(flags)}
        if {"temperature", "temperature_increment_on_fallback"} & set(relevant):
            arguments["temperature"] = _temperatures(flags["temperature"], flags["temperature_increment_on_fallback"])
        writer = get_writer(flags["output_format"], flags["output_dir"])
        failures = 0
        for path in flags["audio"]:
            try:
                writer(transcribe(model, path, **arguments), path, **layout)
            except (OptionError, OutputError, BrokenPipeError):
                raise  # the same for every file
            except Exception as error:  # noqa: BLE001 - the per-utterance boundary: one bad file never ends the rest
                _print_error(f"skipping {path}: {type(error).__name__}: {error}")
                failures += 1
    return SOME_FAILED if failures else DONE


def _load(flags: dict[str, Any]) -> Model:
    name, threads = flags["model"], flags["threads"] or None
    if threads and _uses_torch(name):
        import torch

        torch.set_num_threads(threads)  # this process is the command's own
    return load_with_threads(name, device=flags["device"], download_root=flags["model_dir"], threads=threads)


def _uses_torch(name: str) -> bool:
    return "/" not in name or Path(name).exists() or Registry(PluginHost()).resolve(name).engine.uses("torch")


def _language(flags: dict[str, Any]) -> str | None:
    """Return the language, which is always English for a model that knows no other."""
    language: str | None = flags["language"]
    if not flags["model"].endswith(".en") or language in ("en", "English"):
        return language
    if language is not None:
        warnings.warn(f"{flags['model']} knows only English; language {language} becomes English", stacklevel=2)
    return "en"


def _temperatures(first: float, step: float | None) -> tuple[float, ...]:
    return (first,) if step is None else tuple(map(float, np.arange(first, 1.0 + 1e-6, step)))


def _check_subtitle_flags(flags: dict[str, Any]) -> str:
    """Return the error in the flags for subtitles, if any, and warn of flags without effect."""
    given = [name for name in SUBTITLE_FLAGS if flags[name]]
    if given and not flags["word_timestamps"]:
        return f"--{given[0]} requires --word_timestamps True"
    if flags["max_line_count"] and not flags["max_line_width"]:
        warnings.warn("--max_line_count has no effect without --max_line_width", stacklevel=2)
    if flags["max_words_per_line"] and flags["max_line_width"]:
        warnings.warn("--max_words_per_line has no effect with --max_line_width", stacklevel=2)
    return ""


def _exit_code(error: AsrlabError) -> int:
    if isinstance(error, EngineNotFoundError | EngineUnavailableError | DeviceUnavailableError):
        return NOT_AVAILABLE
    if isinstance(error, OutputError):
        return OUTPUT
    return USAGE if isinstance(error, OptionError | PatchError) else BAD_INPUT


def _print_error(message: str) -> None:
    sys.stderr.write(f"whisper: {message}\n")


_EXAMPLE = """\
example: python -m asrlab.compat.whisper talk.flac --model base --language en --output_format srt --output_dir out
A model may be any of asrlab's: --model faster-whisper/base.
exit codes: 0 done, 1 some files failed, 2 usage, 3 unknown model or device, 4 bad weights, 130 interrupted"""


def build_parser() -> argparse.ArgumentParser:
    """Build the parser. Its result has only the flags that were given; a flag's default is its ``const``."""
    parser = argparse.ArgumentParser(
        prog="whisper",
        description="Transcribe audio as openai-whisper's command does, through asrlab.",
        epilog=_EXAMPLE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        argument_default=argparse.SUPPRESS,
    )
    parser.add_argument("audio", nargs="+", help="audio files")
    _add_file_flags(_FlagGroup(parser, "files and models"))
    _add_task_flags(_FlagGroup(parser, "task"))
    _add_decoding_flags(_FlagGroup(parser, "decoding"))
    _add_fallback_flags(_FlagGroup(parser, "quality checks and fallback decoding"))
    _add_word_flags(_FlagGroup(parser, "words and subtitles"))
    return parser


class _FlagGroup:
    """A group of flags whose help names their defaults."""

    def __init__(self, parser: argparse.ArgumentParser, title: str) -> None:
        self._group = parser.add_argument_group(title)

    def add(
        self, name: str, description: str, *, kind: Callable[[str], Any] = str, default: Any = None, **settings: Any
    ) -> None:
        flags = (f"--{name}", *settings.pop("short", ()))
        if "choices" not in settings:
            settings.setdefault("metavar", _METAVARS.get(kind, name.rpartition("_")[2].upper()))
        description = f"{description} (default: {default})"
        self._group.add_argument(*flags, type=kind, help=description, **settings).const = default


def _add_file_flags(group: _FlagGroup) -> None:
    group.add("model", "model name of whisper, path of a checkpoint, or ENGINE/MODEL", default="turbo")
    group.add("model_dir", "folder of the weights; None uses asrlab's store")
    group.add("device", "cpu, cuda, cuda:N or mps; None lets asrlab choose")
    group.add("output_dir", "folder of the output files", default=".", short=("-o",))
    formats = ("txt", "vtt", "srt", "tsv", "json", "all")
    group.add("output_format", "format of the output files", default="all", short=("-f",), choices=formats)
    group.add("verbose", "True prints segments, False shows a progress bar", kind=_boolean_or_none, default=True)
    group.add("threads", "CPU threads; 0 lets the engine choose", kind=_integer, default=0)
    group.add("fp16", "compute in float16 if the device can", kind=_boolean, default=True)


def _add_task_flags(group: _FlagGroup) -> None:
    group.add("task", "translate writes English", default="transcribe", choices=("transcribe", "translate"))
    languages = (*sorted(LANGUAGES), *sorted(name.title() for name in TO_LANGUAGE_CODE))
    group.add("language", "code or English name; None detects it", choices=languages, metavar="LANGUAGE")
    group.add("initial_prompt", "text for the model as context before the audio", metavar="TEXT")
    group.add("carry_initial_prompt", "repeat the prompt before every window", kind=_boolean, default=False)
    group.add("condition_on_previous_text", "give each window the text before it", kind=_boolean, default=True)
    group.add(
        "clip_timestamps", "parts to transcribe as START,END,START,... in seconds", default="0", metavar="SECONDS"
    )


def _add_decoding_flags(group: _FlagGroup) -> None:
    group.add("temperature", "sampling temperature", kind=float, default=0.0)
    group.add("best_of", "candidates at temperatures above 0", kind=_integer, default=5)
    group.add("beam_size", "beams at temperature 0", kind=_integer, default=5)
    group.add("patience", "patience of the beam search", kind=float)
    group.add("length_penalty", "exponent of Google's length penalty, 0 to 1", kind=float)
    group.add("suppress_tokens", "token ids that are never chosen; -1 stands for non-speech tokens", default="-1")


def _add_fallback_flags(group: _FlagGroup) -> None:
    step = "increase of the temperature after a failed check"
    group.add("temperature_increment_on_fallback", step, kind=_number, default=0.2, metavar="STEP")
    for name, description in (
        ("compression_ratio_threshold", "text with a higher compression ratio fails"),
        ("logprob_threshold", "text with a lower mean log probability fails"),
        ("no_speech_threshold", "failed text with a higher no-speech probability is silence"),
    ):
        group.add(name, description, kind=_number, default=DEFAULTS[name], metavar="LIMIT")
    skipped = "seconds of silence to skip around a hallucination; needs --word_timestamps True"
    group.add("hallucination_silence_threshold", skipped, kind=_number, metavar="SECONDS")


def _add_word_flags(group: _FlagGroup) -> None:
    group.add("word_timestamps", "time each word", kind=_boolean, default=False)
    group.add("prepend_punctuations", "marks that belong to the next word", default=DEFAULTS["prepend_punctuations"])
    group.add("append_punctuations", "marks that belong to the word before", default=DEFAULTS["append_punctuations"])
    group.add("highlight_words", "underline each word in turn in srt and vtt", kind=_boolean, default=False)
    group.add("max_line_width", "characters in a line of srt and vtt", kind=_integer)
    group.add("max_line_count", "lines in a cue of srt and vtt", kind=_integer)
    group.add("max_words_per_line", "words in a cue of srt and vtt", kind=_integer)


def _boolean(text: str) -> bool:
    if text not in ("True", "False"):
        raise argparse.ArgumentTypeError(f"{text!r} must be True or False")
    return text == "True"


def _boolean_or_none(text: str) -> bool | None:
    return None if text == "None" else _boolean(text)


def _integer(text: str) -> int | None:
    return None if text == "None" else int(text)


def _number(text: str) -> float | None:
    return None if text == "None" else float(text)


_METAVARS: dict[Callable[[str], Any], str] = {_boolean: "True|False", _integer: "N", _number: "X", float: "X"}
