"""Options, consoles and progress that several commands share."""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import click

from asrlab.bounded_json import parse_json
from asrlab.cli.output import encode_json, real_stdout
from asrlab.control_characters import escape_json
from asrlab.terminal import guard_streams

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem
    from rich.progress import Progress, ProgressColumn

    from asrlab.options import Batching, TranscribeOptions
    from asrlab.terminal.screen import Screen
    from asrlab.transcript import SubtitleLayout

COMPLETE = "_ASRLAB_COMPLETE"
"""The variable by which a shell asks for completions."""


def complete_model(_context: click.Context, _parameter: click.Parameter, typed: str) -> list[str]:
    """The models whose names begin with what was typed."""
    from asrlab.loading import list_models

    return [resolved.name for resolved in list_models() if resolved.name.startswith(typed)]


def model_option[F: Callable[..., Any]](function: F) -> F:
    """An option ``-m`` that may be given several times."""
    option = click.option(
        "-m",
        "--model",
        "models",
        multiple=True,
        required=True,
        metavar="MODEL",
        shell_complete=complete_model,
        help="A model as engine/model; several are run in turn. See: asrlab models",
    )
    return option(function)


as_json = click.option("--json", "as_json", is_flag=True, help="Print one JSON object instead.")
engine_filter = click.option(
    "--engine", "engines", multiple=True, metavar="NAME", help="Only this engine; may be given several times."
)


def device_options[F: Callable[..., Any]](function: F) -> F:
    """The options that decide where and how a model is loaded."""
    for option in reversed(
        (
            click.option("--device", default="auto", show_default=True, help="auto, cpu, cuda, cuda:N or mps."),
            click.option("--compute-type", default="auto", show_default=True, help="Such as int8 or float32."),
            click.option("--threads", type=click.IntRange(min=1), help="CPU threads an inference may use."),
            click.option("--offline", is_flag=True, help="Fetch no weights over the network."),
            click.option("--patches", metavar="CHOICE", help="auto, off, or names with commas; see: asrlab patches."),
        )
    ):
        function = option(function)
    return function


def engine_options[F: Callable[..., Any]](function: F) -> F:
    """The options of a transcription."""
    for option in reversed(
        (
            click.option("--language", help="BCP 47 tag, such as en; detected if not given."),
            click.option("--task", type=click.Choice(["transcribe", "translate"]), help="translate gives English."),
            click.option("--word-timestamps", is_flag=True, default=None, help="Time each word."),
            click.option("--beam-size", type=int, help="Width of the beam search; 1 is greedy."),
            click.option("--temperature", type=float, multiple=True, help="Several are tried in turn."),
            click.option("--initial-prompt", help="Text that the model is told came before."),
            click.option("--hotwords", help="Words to expect, in one string."),
            click.option("--vad-filter", is_flag=True, default=None, help="Leave out silence."),
            click.option("--allow-truncated", is_flag=True, default=None, help="Accept audio that ends early."),
            click.option("--track", type=int, metavar="N", help="Audio track of files that have several, from 1."),
            click.option(
                "--engine-option",
                "engine_options",
                multiple=True,
                metavar="NAME=VALUE",
                help="What only this engine knows, such as patience=2; VALUE is JSON or plain text. Repeatable.",
            ),
        )
    ):
        function = option(function)
    return function


def batching_options[F: Callable[..., Any]](function: F) -> F:
    """The options that say how recordings go through an engine together."""
    for option in reversed(
        (
            click.option("--batch-size", type=int, help="The most decoded together; 1 takes one after the other."),
            click.option("--workers", type=int, help="Batches under way at once."),
            click.option("--worker-threads", type=int, help="CPU threads of each of them."),
            click.option("--margin", type=float, help="Seconds of silence behind a batch; 30: the full window."),
            click.option(
                "--encode-together/--encode-apart", default=None, help="A batch in the encoder, or each alone."
            ),
        )
    ):
        function = option(function)
    return function


def batching_of(given: dict[str, Any]) -> Batching:
    """The options of `batching_options`, taken out of *given*; what is not among them is left to the calibration."""
    from asrlab.options import Batching

    return Batching(
        batch_size=given.pop("batch_size"),
        workers=given.pop("workers"),
        threads=given.pop("worker_threads"),
        margin=given.pop("margin"),
        encode_together=given.pop("encode_together"),
    )


def options_of(given: dict[str, Any]) -> TranscribeOptions:
    """The options of `engine_options`, those that were given."""
    from asrlab.options import TranscribeOptions

    chosen = {name: value for name, value in given.items() if value not in (None, ())}
    if "engine_options" in chosen:
        chosen["engine_options"] = dict(map(_named_value, chosen["engine_options"]))
    return TranscribeOptions.of(None, chosen)


def _named_value(written: str) -> tuple[str, Any]:
    name, equals, value = written.partition("=")
    if not (name and equals):
        raise click.BadParameter(f"{written!r} is not NAME=VALUE, such as patience=2", param_hint="--engine-option")
    try:
        return name, parse_json(value)
    except ValueError:
        return name, value


def console(*, stderr: bool = False) -> Screen:
    """A console for a person; plain text and wide where the stream is no terminal."""
    from asrlab.terminal.screen import open_screen

    return open_screen(stderr=stderr)


def echo_document(text: str) -> None:
    """Print a JSON document as it is, on standard output."""
    with real_stdout():
        click.echo(text, nl=False)


def echo_json(value: Any) -> None:
    """*value* as JSON on standard output."""
    with real_stdout():
        click.echo(escape_json(encode_json(value, indent=2)))


@contextmanager
def progress_bar() -> Iterator[Progress]:
    """A progress display on standard error, which is gone when it is done; nothing where that is no terminal."""
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
    screen = console(stderr=True)
    with _on_terminal(*columns, screen=screen) as progress:
        yield progress


@contextmanager
def _on_terminal(*columns: ProgressColumn | str, screen: Screen) -> Iterator[Progress]:
    """A progress, started where it can be seen: a stopped one writes line ends into what is no terminal."""
    from rich.progress import Progress

    # Rich stands in for both streams meanwhile; what goes to a file or a pipe must not be shown instead
    progress = Progress(*columns, console=screen, transient=True, redirect_stdout=sys.stdout.isatty())
    if not screen.is_terminal:
        yield progress
        return
    # and it would take what looks like a style for one
    with progress, guard_streams():
        yield progress


@contextmanager
def fetch_progress() -> Iterator[Callable[[int, int | None, str], None]]:
    """A progress display for bytes; without a terminal, a line when each file begins."""
    from rich.progress import BarColumn, DownloadColumn, TextColumn, TimeRemainingColumn, TransferSpeedColumn

    screen = console(stderr=True)
    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        DownloadColumn(),
        TransferSpeedColumn(),
        TimeRemainingColumn(),
    )
    with _on_terminal(*columns, screen=screen) as progress:
        tasks: dict[str, Any] = {}

        def show(done_bytes: int, total_bytes: int | None, label: str) -> None:
            if label not in tasks:
                tasks[label] = progress.add_task(label, total=total_bytes)
                if not screen.is_terminal:
                    click.echo(f"fetching {label}", err=True)
            progress.update(tasks[label], completed=done_bytes, total=total_bytes)

        yield show


class _Stderr(logging.Handler):
    """Log records as a user of the command line reads them."""

    def emit(self, record: logging.LogRecord) -> None:
        click.echo(f"asrlab: {record.levelname.lower()}: {record.getMessage()}", err=True)


@contextmanager
def warnings_on_stderr() -> Iterator[None]:
    """Show asrlab's own warnings, such as broken plugins; none while a shell completes a word."""
    handler: logging.Handler = logging.NullHandler() if COMPLETE in os.environ else _Stderr(logging.WARNING)
    log = logging.getLogger("asrlab")
    log.addHandler(handler)
    try:
        yield
    finally:
        log.removeHandler(handler)


def _complete_run(_context: click.Context, _parameter: click.Parameter, typed: str) -> list[CompletionItem]:
    from click.shell_completion import CompletionItem

    from asrlab.evaluation.runs.storage import runs_root

    names = sorted(path.parent.name for path in runs_root().glob("*/manifest.json"))
    return [*(CompletionItem(name) for name in names if name.startswith(typed)), CompletionItem(typed, type="file")]


def normalizer_names(_context: click.Context, _parameter: click.Parameter, value: str | None) -> tuple[str, ...]:
    """The names in an option's value, with commas between."""
    return tuple(name.strip() for name in (value or "").split(",") if name.strip())


runs_argument = click.argument("runs", nargs=-1, required=True, metavar="RUN...", shell_complete=_complete_run)


def comparison_options[F: Callable[..., Any]](function: F) -> F:
    """What decides the figures of a comparison."""
    for option in reversed(
        (
            click.option(
                "--normalizer", help="english, basic, none, leaderboard or by-language; the runs' own if not given."
            ),
            click.option(
                "--normalizers",
                metavar="NAMES",
                callback=normalizer_names,
                help="Several with commas, to set side by side.",
            ),
            click.option(
                "--bootstrap-unit",
                type=click.Choice(["auto", "speaker", "recording", "utterance"]),
                default="auto",
                show_default=True,
                help="What is drawn together; auto takes speakers, else recordings, where all have one.",
            ),
            click.option(
                "--resamples",
                type=click.IntRange(min=1),
                default=10_000,
                show_default=True,
                help="Of the bootstrap.",
            ),
            click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True, help="Of the bootstrap."),
            click.option("--shared-only", is_flag=True, help="Compare the utterances that all runs share."),
        )
    ):
        function = option(function)
    return function


_OPTIONS = (
    click.option(
        "--max-line-length",
        type=click.IntRange(min=0),
        default=42,
        show_default=True,
        help="Of srt and vtt, in characters; 0 leaves each segment whole.",
    ),
    click.option("--max-lines", type=click.IntRange(min=1), default=2, show_default=True, help="Of a subtitle."),
    click.option(
        "--max-chars-per-second",
        type=click.FloatRange(min=0),
        default=20.0,
        show_default=True,
        help="Show a subtitle longer that would have to be read faster, where there is room; 0 leaves the times.",
    ),
    click.option(
        "--min-duration",
        type=click.FloatRange(min=0),
        default=0.7,
        show_default=True,
        help="Seconds that a subtitle stays at least, where there is room; 0 leaves the times.",
    ),
)


def layout_options[F: Callable[..., Any]](function: F) -> F:
    """How subtitles are laid out."""
    for option in reversed(_OPTIONS):
        function = option(function)
    return function


def layout_of(given: dict[str, Any]) -> SubtitleLayout:
    """Take the options out of *given*; 0 stands for none."""
    from asrlab.transcript import SubtitleLayout

    return SubtitleLayout(
        max_line_length=given.pop("max_line_length") or None,
        max_lines=given.pop("max_lines"),
        max_chars_per_second=given.pop("max_chars_per_second") or None,
        min_duration=given.pop("min_duration") or None,
    )
