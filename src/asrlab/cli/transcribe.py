"""``asrlab transcribe``: files to transcripts."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from asrlab.cli import exit_codes
from asrlab.cli.options import (
    as_json,
    batching_of,
    batching_options,
    complete_model,
    device_options,
    echo_json,
    engine_options,
    fetch_progress,
    layout_of,
    layout_options,
    options_of,
    progress_bar,
)
from asrlab.control_characters import escape_controls
from asrlab.errors import AsrlabError, AudioError, OptionError
from asrlab.output_files import check_folder, write_file

if TYPE_CHECKING:
    from asrlab.transcript import Outcome, SubtitleLayout, Transcript

FORMATS = ("txt", "srt", "vtt", "tsv", "json", "ctm", "stm", "trn", "textgrid", "jsonl")
SUFFIXES = {"textgrid": "TextGrid"}
EPILOG = """\b
Examples:
  asrlab transcribe interview.m4a
  asrlab transcribe *.mp3 -f srt -o subtitles -m faster-whisper/small
  asrlab transcribe talk.wav --word-timestamps --json
  asrlab transcribe talk.wav -f vtt --max-line-length 32 --max-lines 1
  asrlab transcribe *.wav -f textgrid -f ctm --word-timestamps -o aligned
"""


@click.command(epilog=EPILOG)
@click.argument("files", nargs=-1, required=True, metavar="FILE...", type=click.Path(allow_dash=True))
@click.option(
    "-m",
    "--model",
    default="faster-whisper/base",
    show_default=True,
    shell_complete=complete_model,
    help="A model as engine/model. See: asrlab models",
)
@click.option("-f", "--format", "formats", type=click.Choice(FORMATS), multiple=True, help="Repeatable; txt if none.")
@click.option("-o", "--output", type=click.Path(path_type=Path), help="Folder for one file each; - is standard output.")
@layout_options
@device_options
@engine_options
@batching_options
@as_json
def transcribe(
    files: tuple[str, ...],
    model: str,
    formats: tuple[str, ...],
    output: Path | None,
    device: str,
    compute_type: str,
    threads: int | None,
    offline: bool,
    patches: str | None,
    as_json: bool,
    **given: Any,
) -> int:
    """Transcribe FILEs, whatever their format; - reads standard input.

    The text goes to standard output, or with -o to a file each, named after the input. A file that fails is
    reported and the others are done.
    """
    from asrlab.loading import check_language, load

    if as_json and formats:
        raise OptionError("--json prints every file in one JSON object; leave out -f", option="format")
    if "-" in files and sys.stdin is None:
        raise AudioError("standard input is closed; give it the audio, or name a file", source="-", reason="missing")
    output = None if output == Path("-") else output
    layout, batching, options = layout_of(given), batching_of(given), options_of(given)
    sink = _Sink(output, formats or ("txt",), files, as_json=as_json, layout=layout)
    check_language(model, options)
    with fetch_progress() as fetching:
        transcriber = load(
            model,
            device=device,
            compute_type=compute_type,
            threads=threads,
            offline=offline,
            patches=patches,
            progress=fetching,
        )
    with transcriber, progress_bar() as progress:
        task = progress.add_task("transcribing", total=len(files))
        for outcome in transcriber.transcribe_many(map(_source, files), options=options, batching=batching):
            sink.take(files[outcome.index], outcome)
            progress.advance(task)
    return sink.finish()


def _source(name: str) -> Any:
    return sys.stdin.buffer if name == "-" else name


class _Sink:
    """Where the transcripts go, and the count of those that failed."""

    def __init__(
        self,
        folder: Path | None,
        formats: tuple[str, ...],
        files: tuple[str, ...],
        *,
        as_json: bool,
        layout: SubtitleLayout,
    ) -> None:
        self._folder, self._formats, self._as_json, self._layout = folder, formats, as_json, layout
        self._names = _names(files) if folder else {}
        self._many = len(files) > 1
        self._errors: list[Exception] = []
        self._done = 0
        self._plain: list[dict[str, Any]] = []
        if folder:
            check_folder(folder)
        elif len(formats) > 1:
            raise OptionError("several formats need a folder to go to; add -o DIR", option="output")

    def take(self, name: str, outcome: Outcome) -> None:
        """Write one outcome."""
        transcript, shown = outcome.transcript, _shown(name)
        if transcript is None:
            self._fail(name, outcome.error or AsrlabError("no result"))
            return
        self._done += 1
        for warning in transcript.warnings:
            click.echo(f"asrlab: {shown}: warning: {warning.message}", err=True)
        if self._as_json:
            self._plain.append({"file": shown, "transcript": json.loads(transcript.to("json")), "error": None})
        if self._folder:
            self._write(self._folder, name, transcript)
        elif not self._as_json:
            self._print(name, transcript)

    def finish(self) -> int:
        """Print what is left to print, and give the exit code."""
        if self._as_json:
            echo_json({"files": self._plain})
        if not self._errors:
            return exit_codes.DONE
        if self._done:
            return exit_codes.SOME_FAILED
        return exit_codes.code_for(type(self._errors[0]).__name__)

    def _fail(self, name: str, error: Exception) -> None:
        self._errors.append(error)
        click.echo(f"asrlab: {_told(name, error)}", err=True)
        if self._as_json:
            facts = {"type": type(error).__name__, "message": str(error)}
            self._plain.append({"file": _shown(name), "transcript": None, "error": facts})

    def _print(self, name: str, transcript: Transcript) -> None:
        if self._many and self._formats == ("txt",):
            click.echo(f"{_shown(name)}:")
        click.echo(self._document(name, transcript, self._formats[0]), nl=False)

    def _document(self, name: str, transcript: Transcript, kind: str) -> str:
        return transcript.to(kind, name=_called(name, kind), layout=self._layout)

    def _write(self, folder: Path, name: str, transcript: Transcript) -> None:
        for kind in self._formats if not self._as_json else ("json",):
            target = folder / f"{self._names[name]}.{SUFFIXES.get(kind, kind)}"
            write_file(target, self._document(name, transcript, kind).encode(), follow_link=False)
            click.echo(f"{_shown(name)} -> {_shown(str(target))}", err=True)


def _shown(name: str) -> str:
    """A file's name as it can be printed: a name on disk may hold bytes that are no text."""
    return "<stdin>" if name == "-" else escape_controls(click.format_filename(name), one_line=True)


def _called(name: str, kind: str) -> str:
    """What a document calls the recording: its path in JSONL, its name without the ending elsewhere."""
    if name == "-":
        return "stdin"
    return _shown(name if kind == "jsonl" else Path(name).stem)


def _told(name: str, error: Exception) -> str:
    """The error, with the file's name in front unless it has it already."""
    message = str(error) if isinstance(error, AsrlabError) else f"{type(error).__name__}: {error}"
    return message if repr(name) in message or repr(_shown(name)) in message else f"{_shown(name)}: {message}"


def _names(files: tuple[str, ...]) -> dict[str, str]:
    """A name without suffix for each file's output; refuses two that would overwrite one another."""
    names: dict[str, str] = {}
    for file in files:
        stem = "stdin" if file == "-" else Path(file).stem
        other = next((known for known, taken in names.items() if taken == stem and known != file), None)
        if other is not None:
            raise OptionError(
                f"{other} and {file} would both be written to {stem}; transcribe them into different folders",
                option="output",
            )
        names[file] = stem
    return names
