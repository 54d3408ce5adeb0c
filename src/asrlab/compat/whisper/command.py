"""The ``whisper`` command, with upstream's flags and files, over any transcriber."""

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
        named = flags if isinstance(model.transcriber.recognizer, SupportsUpstreamLoop) else given
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


LAYOUT = ("highlight_words", "max_line_count", "max_line_width", "max_words_per_line")
"""What is said of subtitles."""
BOOKKEEPING = (
    *("audio", "model", "model_dir", "device", "output_dir", "output_format"),
    *("threads", "temperature_increment_on_fallback"),
)
"""What is no argument of ``transcribe``."""
_EXAMPLE = """\
example: python -m asrlab.compat.whisper talk.flac --model base --language en --output_format srt --output_dir out
A model may be any of asrlab's: --model faster-whisper/base.
exit codes: 0 done, 1 some files failed, 2 usage, 3 unknown model or device, 4 bad weights, 130 interrupted"""


def parser_of() -> argparse.ArgumentParser:
    """The parser. What is not on the command line is not in its result; a flag's default is its ``const``."""
    parser = argparse.ArgumentParser(
        prog="whisper",
        description="Transcribe audio as openai-whisper's command does, through asrlab.",
        epilog=_EXAMPLE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        argument_default=argparse.SUPPRESS,
    )
    parser.add_argument("audio", nargs="+", help="audio files")
    _add_files(_Group(parser, "files and models"))
    _add_task(_Group(parser, "what to do"))
    _add_decoding(_Group(parser, "decoding"))
    _add_checks(_Group(parser, "checks, and what is tried again"))
    _add_words(_Group(parser, "words and subtitles"))
    return parser


class _Group:
    """Adds flags and says their defaults."""

    def __init__(self, parser: argparse.ArgumentParser, title: str) -> None:
        self._group = parser.add_argument_group(title)

    def add(
        self,
        name: str,
        told: str,
        *,
        kind: Callable[[str], Any] = str,
        default: Any = None,
        **more: Any,
    ) -> None:
        flags = (f"--{name}", *more.pop("short", ()))
        metavar = None if "choices" in more else _METAVARS.get(kind, name.rpartition("_")[2].upper())
        action = self._group.add_argument(
            *flags, type=kind, metavar=more.pop("metavar", metavar), help=f"{told} (default: {default})", **more
        )
        action.const = default


def _add_files(group: _Group) -> None:
    group.add("model", "a model of whisper's, a checkpoint's path, or ENGINE/MODEL", default="turbo")
    group.add("model_dir", "folder of the weights; None is asrlab's store")
    group.add("device", "cpu, cuda, cuda:N or mps; None lets asrlab choose")
    group.add("output_dir", "folder for what is written", default=".", short=("-o",))
    formats = ("txt", "vtt", "srt", "tsv", "json", "all")
    group.add("output_format", "what is written", default="all", short=("-f",), choices=formats)
    group.add("verbose", "True prints segments, False shows a bar, None neither", kind=_truth_or_none, default=True)
    group.add("threads", "CPU threads; 0 leaves them to the engine", kind=_whole, default=0)
    group.add("fp16", "compute in float16 where the device can", kind=_truth, default=True)


def _add_task(group: _Group) -> None:
    group.add("task", "translate gives English", default="transcribe", choices=("transcribe", "translate"))
    languages = (*sorted(LANGUAGES), *sorted(name.title() for name in TO_LANGUAGE_CODE))
    group.add("language", "code or English name; None detects it", choices=languages, metavar="LANGUAGE")
    group.add("initial_prompt", "text that the model is told came before", metavar="TEXT")
    group.add("carry_initial_prompt", "tell it before every window", kind=_truth, default=False)
    group.add("condition_on_previous_text", "tell each window the text before it", kind=_truth, default=True)
    group.add("clip_timestamps", "seconds START,END,START,... of what to transcribe", default="0", metavar="SECONDS")


def _add_decoding(group: _Group) -> None:
    group.add("temperature", "of sampling", kind=float, default=0.0)
    group.add("best_of", "candidates at temperatures above 0", kind=_whole, default=5)
    group.add("beam_size", "beams at temperature 0", kind=_whole, default=5)
    group.add("patience", "of the beam search", kind=float)
    group.add("length_penalty", "exponent of Google's length penalty, 0 to 1", kind=float)
    group.add("suppress_tokens", "token ids never chosen; -1 is what is no speech", default="-1")


def _add_checks(group: _Group) -> None:
    step = "what is added to the temperature where a check fails"
    group.add("temperature_increment_on_fallback", step, kind=_number, default=0.2, metavar="STEP")
    for name, told in (
        ("compression_ratio_threshold", "text that compresses better has failed"),
        ("logprob_threshold", "text with a lower mean log probability has failed"),
        ("no_speech_threshold", "above this probability, and where the text has failed, it is silence"),
    ):
        group.add(name, told, kind=_number, default=DEFAULTS[name], metavar="LIMIT")
    skipped = "seconds of silence that are skipped around what looks made up; needs --word_timestamps True"
    group.add("hallucination_silence_threshold", skipped, kind=_number, metavar="SECONDS")


def _add_words(group: _Group) -> None:
    group.add("word_timestamps", "time each word", kind=_truth, default=False)
    group.add("prepend_punctuations", "belong to the word behind", default=DEFAULTS["prepend_punctuations"])
    group.add("append_punctuations", "belong to the word before", default=DEFAULTS["append_punctuations"])
    group.add("highlight_words", "underline each word in turn in srt and vtt", kind=_truth, default=False)
    group.add("max_line_width", "characters in a line of srt and vtt", kind=_whole)
    group.add("max_line_count", "lines in a cue of srt and vtt", kind=_whole)
    group.add("max_words_per_line", "words in a cue of srt and vtt", kind=_whole)


def _truth(text: str) -> bool:
    if text not in ("True", "False"):
        raise argparse.ArgumentTypeError(f"{text!r} must be True or False")
    return text == "True"


def _truth_or_none(text: str) -> bool | None:
    return None if text == "None" else _truth(text)


def _whole(text: str) -> int | None:
    return None if text == "None" else int(text)


def _number(text: str) -> float | None:
    return None if text == "None" else float(text)


_METAVARS: dict[Callable[[str], Any], str] = {_truth: "True|False", _whole: "N", _number: "X", float: "X"}
