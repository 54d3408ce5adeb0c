"""``asrlab transcribe``: files to transcripts."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import click

from asrlab.cli import options
from asrlab.cli.command import DONE, SOME_FAILED, Command, code_for
from asrlab.errors import AsrlabError, AudioError, OptionError

if TYPE_CHECKING:
    from pathlib import Path

    from asrlab.transcript import SubtitleLayout, TranscribeResult, Transcript

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


@click.command(cls=Command, epilog=EPILOG)
@click.argument("files", nargs=-1, required=True, metavar="FILE...", type=click.Path(allow_dash=True))
@click.option(
    "-m",
    "--model",
    default="faster-whisper/base",
    show_default=True,
    shell_complete=options.complete_model,
    help="A model as engine/model. See: asrlab models",
)
@click.option("-f", "--format", "formats", type=click.Choice(FORMATS), multiple=True, help="Repeatable; txt if none.")
@click.option(
    "-o", "--output", type=options.FilePath(), help="Folder with one file for each FILE; - is standard output."
)
@options.layout_options
@options.device_options
@options.engine_options
@options.batching_options
@options.as_json
def transcribe(
    files: tuple[str, ...],
    *,
    model: str,
    formats: tuple[str, ...],
    output: Path | None,
    as_json: bool,
    **given: Any,
) -> int:
    """Transcribe FILEs, whatever their format; - reads standard input.

    The text is printed on standard output, or with -o written to one file for each FILE, named after it. A FILE that
    fails is reported and the others are transcribed.
    """
    from asrlab.cli.progress import fetch_progress, progress_bar
    from asrlab.loading import check_language, load

    if as_json and formats:
        raise OptionError("--json prints every file in one JSON object; leave out -f", option="format")
    if "-" in files and sys.stdin is None:
        raise AudioError("standard input is closed; give it the audio, or name a file", source="-", reason="missing")
    load_options = {name: given.pop(name) for name in ("device", "compute_type", "threads", "offline", "patches")}
    layout, batching = options.to_layout(given), options.to_batching(given)
    chosen = options.to_transcribe_options(given)
    folder = None if output is None or str(output) == "-" else output
    writer = _TranscriptWriter(folder, formats or ("txt",), files, as_json=as_json, layout=layout)
    check_language(model, chosen)
    with fetch_progress() as fetching:
        transcriber = load(model, progress=fetching, **load_options)
    with transcriber, progress_bar() as progress:
        task = progress.add_task("transcribing", total=len(files))
        for outcome in transcriber.transcribe_many(map(_source, files), options=chosen, batching=batching):
            writer.add(files[outcome.index], outcome)
            progress.advance(task)
    return writer.finish()


def _source(name: str) -> Any:
    return sys.stdin.buffer if name == "-" else name


class _TranscriptWriter:
    """Transcripts written to files, or printed as text or JSON, and the errors of the others."""

    def __init__(
        self,
        folder: Path | None,
        formats: tuple[str, ...],
        files: tuple[str, ...],
        *,
        as_json: bool,
        layout: SubtitleLayout,
    ) -> None:
        from asrlab.output_files import check_folder

        self._folder, self._formats, self._as_json, self._layout = folder, formats, as_json, layout
        self._stems = _unique_stems(files) if folder else {}
        self._has_several = len(files) > 1
        self._errors: list[Exception] = []
        self._n_done = 0
        self._json_rows: list[dict[str, Any]] = []
        if folder:
            check_folder(folder)
        elif len(formats) > 1:
            raise OptionError("several formats need a folder; add -o DIR", option="output")

    def add(self, name: str, outcome: TranscribeResult) -> None:
        """Write or print one outcome."""
        import json

        transcript, shown = outcome.transcript, _printable(name)
        if transcript is None:
            error = outcome.error or AsrlabError("no result")
            self._errors.append(error)
            click.echo(f"asrlab: {_error_with_name(name, error)}", err=True)
            facts = {"type": type(error).__name__, "message": str(error)}
            self._json_rows.append({"file": shown, "transcript": None, "error": facts})
            return
        self._n_done += 1
        for warning in transcript.warnings:
            click.echo(f"asrlab: {shown}: warning: {warning.message}", err=True)
        if self._as_json:
            self._json_rows.append({"file": shown, "transcript": json.loads(transcript.to("json")), "error": None})
        if self._folder:
            self._write(self._folder, name, transcript)
        elif not self._as_json:
            if self._has_several and self._formats == ("txt",):
                click.echo(f"{shown}:")
            click.echo(self._document(name, transcript, self._formats[0]), nl=False)

    def finish(self) -> int:
        """Print the JSON object, if one was asked for, and return the exit code."""
        if self._as_json:
            from asrlab.cli.output import echo_json

            echo_json({"files": self._json_rows})
        if not self._errors:
            return DONE
        return SOME_FAILED if self._n_done else code_for(type(self._errors[0]).__name__)

    def _document(self, name: str, transcript: Transcript, format_: str) -> str:
        return transcript.to(format_, name=_recording_name(name, format_), layout=self._layout)

    def _write(self, folder: Path, name: str, transcript: Transcript) -> None:
        from asrlab.output_files import write_file

        for format_ in self._formats if not self._as_json else ("json",):
            path = folder / f"{self._stems[name]}.{SUFFIXES.get(format_, format_)}"
            write_file(path, self._document(name, transcript, format_).encode(), follow_link=False)
            click.echo(f"{_printable(name)} -> {_printable(str(path))}", err=True)


def _printable(name: str) -> str:
    """Return a file's name as it can be printed: a name on disk may hold bytes that are not text."""
    from asrlab.control_characters import escape_controls

    return "<stdin>" if name == "-" else escape_controls(click.format_filename(name), one_line=True)


def _recording_name(name: str, format_: str) -> str:
    """Return the name of the recording in a document: its path in JSONL, its name without the ending elsewhere."""
    from pathlib import Path

    if name == "-":
        return "stdin"
    return _printable(name if format_ == "jsonl" else Path(name).stem)


def _error_with_name(name: str, error: Exception) -> str:
    """Return the message of *error*, after the file's name unless the message contains it."""
    message = str(error) if isinstance(error, AsrlabError) else f"{type(error).__name__}: {error}"
    has_name = repr(name) in message or repr(_printable(name)) in message
    return message if has_name else f"{_printable(name)}: {message}"


def _unique_stems(files: tuple[str, ...]) -> dict[str, str]:
    """Return the stem of each file's output; refuse two files with the same one."""
    from pathlib import Path

    stems: dict[str, str] = {}
    for file in files:
        stem = "stdin" if file == "-" else Path(file).stem
        other = next((known for known, taken in stems.items() if taken == stem and known != file), None)
        if other is not None:
            raise OptionError(
                f"{other} and {file} would both be written to {stem}; transcribe them into different folders",
                option="output",
            )
        stems[file] = stem
    return stems
