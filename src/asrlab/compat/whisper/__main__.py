"""The ``whisper`` command, also ``python -m asrlab.compat.whisper``: upstream's flags and files, any transcriber."""

from __future__ import annotations

import argparse
import sys
import warnings
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from asrlab.compat.whisper.decoding import DEFAULTS, SupportsUpstreamLoop
from asrlab.compat.whisper.model import Model, load_with_threads, transcribe
from asrlab.compat.whisper.tokenizer import LANGUAGES, TO_LANGUAGE_CODE
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
_EXIT_CODES: Mapping[type[AsrlabError], int] = {
    **dict.fromkeys((EngineNotFoundError, EngineUnavailableError, DeviceUnavailableError), NOT_AVAILABLE),
    **dict.fromkeys((OptionError, PatchError), USAGE),
    OutputError: OUTPUT,
}
SUBTITLE_FLAGS = ("highlight_words", "max_line_count", "max_line_width", "max_words_per_line")
_NO_ARGUMENTS_OF_TRANSCRIBE = (
    *("audio", "model", "model_dir", "device", "output_dir", "output_format"),
    *("threads", "temperature_increment_on_fallback"),
    *SUBTITLE_FLAGS,
)


def main(arguments: Sequence[str] | None = None) -> int:
    """Transcribe files and return the exit code. Printed text is escaped; the files are upstream's."""
    with guard_streams():
        parser = build_parser()
        given = vars(parser.parse_args(arguments))
        # Only openai-whisper receives the defaults of flags, because other engines have their own.
        flags = {action.dest: action.const for action in parser._actions if action.dest != "help"} | given  # noqa: SLF001
        if problem := _check_subtitle_flags(flags):
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
            return next((code for kind, code in _EXIT_CODES.items() if isinstance(error, kind)), BAD_INPUT)


def _transcribe_files(flags: dict[str, Any], given: dict[str, Any]) -> int:
    layout = {name: flags[name] for name in SUBTITLE_FLAGS}
    Path(flags["output_dir"]).mkdir(parents=True, exist_ok=True)
    with _load(flags) as model:
        relevant = flags if isinstance(model.transcriber.recognizer, SupportsUpstreamLoop) else given
        arguments = {name: value for name, value in relevant.items() if name not in _NO_ARGUMENTS_OF_TRANSCRIBE}
        arguments |= {"verbose": flags["verbose"], "language": _language(flags)}
        if {"temperature", "temperature_increment_on_fallback"} & set(relevant):
            first, step = flags["temperature"], flags["temperature_increment_on_fallback"]
            arguments["temperature"] = (first,) if step is None else tuple(map(float, np.arange(first, 1 + 1e-6, step)))
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
    is_upstream = "/" not in name or Path(name).exists()
    if threads and (is_upstream or Registry(PluginHost()).resolve(name).engine.uses("torch")):
        import torch

        torch.set_num_threads(threads)  # this process is the command's own
    return load_with_threads(name, device=flags["device"], download_root=flags["model_dir"], threads=threads)


def _language(flags: dict[str, Any]) -> str | None:
    """Return the language, which is always English for a model that knows no other."""
    language: str | None = flags["language"]
    if not flags["model"].endswith(".en") or language in ("en", "English"):
        return language
    if language is not None:
        warnings.warn(f"{flags['model']} knows only English; language {language} becomes English", stacklevel=2)
    return "en"


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


def _print_error(message: str) -> None:
    sys.stderr.write(f"whisper: {message}\n")


_EXAMPLE = """\
example: python -m asrlab.compat.whisper talk.flac --model base --language en --output_format srt --output_dir out
A model may be any of asrlab's: --model faster-whisper/base.
exit codes: 0 done, 1 some files failed, 2 usage, 3 unknown model or device, 4 bad weights, 130 interrupted"""


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


_METAVARS: dict[Callable[[str], Any], str] = {_boolean: "True|False", _integer: "N", _number: "LIMIT", float: "X"}
_CLIPS = "parts to transcribe as START,END,START,... in seconds"
_SKIPPED = "seconds of silence to skip around a hallucination; needs --word_timestamps True"
# The flags of each group: name, description, type and default.
_FLAGS: Mapping[str, Sequence[tuple[str, str, Callable[[str], Any], Any]]] = {
    "files and models": (
        ("model", "model name of whisper, path of a checkpoint, or ENGINE/MODEL", str, "turbo"),
        ("model_dir", "folder of the weights; None uses asrlab's store", str, None),
        ("device", "cpu, cuda, cuda:N or mps; None lets asrlab choose", str, None),
        ("output_dir", "folder of the output files", str, "."),
        ("output_format", "format of the output files", str, "all"),
        ("verbose", "True prints segments, False shows a progress bar", _boolean_or_none, True),
        ("threads", "CPU threads; 0 lets the engine choose", _integer, 0),
        ("fp16", "compute in float16 if the device can", _boolean, True),
    ),
    "task": (
        ("task", "translate writes English", str, "transcribe"),
        ("language", "code or English name; None detects it", str, None),
        ("initial_prompt", "text for the model as context before the audio", str, None),
        ("carry_initial_prompt", "repeat the prompt before every window", _boolean, False),
        ("condition_on_previous_text", "give each window the text before it", _boolean, True),
        ("clip_timestamps", _CLIPS, str, "0"),
    ),
    "decoding": (
        ("temperature", "sampling temperature", float, 0.0),
        ("best_of", "candidates at temperatures above 0", _integer, 5),
        ("beam_size", "beams at temperature 0", _integer, 5),
        ("patience", "patience of the beam search", float, None),
        ("length_penalty", "exponent of Google's length penalty, 0 to 1", float, None),
        ("suppress_tokens", "token ids that are never chosen; -1 stands for non-speech tokens", str, "-1"),
    ),
    "quality checks and fallback decoding": (
        ("temperature_increment_on_fallback", "increase of the temperature after a failed check", _number, 0.2),
        ("compression_ratio_threshold", "text with a higher compression ratio fails", _number, 2.4),
        ("logprob_threshold", "text with a lower mean log probability fails", _number, -1.0),
        ("no_speech_threshold", "failed text with a higher no-speech probability is silence", _number, 0.6),
        ("hallucination_silence_threshold", _SKIPPED, _number, None),
    ),
    "words and subtitles": (
        ("word_timestamps", "time each word", _boolean, False),
        ("prepend_punctuations", "marks that belong to the next word", str, DEFAULTS["prepend_punctuations"]),
        ("append_punctuations", "marks that belong to the word before", str, DEFAULTS["append_punctuations"]),
        ("highlight_words", "underline each word in turn in srt and vtt", _boolean, False),
        ("max_line_width", "characters in a line of srt and vtt", _integer, None),
        ("max_line_count", "lines in a cue of srt and vtt", _integer, None),
        ("max_words_per_line", "words in a cue of srt and vtt", _integer, None),
    ),
}
_SHORT_FLAGS = {"output_dir": ["-o"], "output_format": ["-f"]}
_SETTINGS: Mapping[str, Mapping[str, Any]] = {
    "output_format": {"choices": ("txt", "vtt", "srt", "tsv", "json", "all"), "metavar": None},
    "task": {"choices": ("transcribe", "translate"), "metavar": None},
    "language": {
        "choices": (*sorted(LANGUAGES), *sorted(name.title() for name in TO_LANGUAGE_CODE)),
        "metavar": "LANGUAGE",
    },
    "initial_prompt": {"metavar": "TEXT"},
    "clip_timestamps": {"metavar": "SECONDS"},
    "temperature_increment_on_fallback": {"metavar": "STEP"},
    "hallucination_silence_threshold": {"metavar": "SECONDS"},
}


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
    for title, flags in _FLAGS.items():
        group = parser.add_argument_group(title)
        for name, description, kind, default in flags:
            settings = {"metavar": _METAVARS.get(kind, name.rpartition("_")[2].upper()), **_SETTINGS.get(name, {})}
            names = (f"--{name}", *_SHORT_FLAGS.get(name, ()))
            action = group.add_argument(*names, type=kind, help=f"{description} (default: {default})", **settings)
            action.const = default
    return parser


if __name__ == "__main__":
    raise SystemExit(main())
