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

    from asrlab.transcript import SubtitleLayout, TranscribeResult

FORMATS = ("txt", "srt", "vtt", "tsv", "json", "ctm", "stm", "trn", "textgrid", "jsonl")
SUFFIXES = {format_: "TextGrid" if format_ == "textgrid" else format_ for format_ in FORMATS}
EPILOG = """\b
Examples:
  asrlab transcribe interview.m4a
  asrlab transcribe interview.m4a -o interview.srt
  asrlab transcribe recordings/ *.mp3 -f srt -o subtitles -m faster-whisper/small
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
    "-o",
    "--output",
    type=options.FilePath(),
    help="Folder with one file for each FILE, or with one FILE a path such as talk.srt; - is standard output.",
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

    The audio files in a FILE that is a folder are transcribed. The text is printed on standard output, or with -o
    written to one file for each FILE, named after it. A FILE that fails is reported and the others are transcribed.
    """
    from asrlab.cli.progress import fetch_progress, progress_bar
    from asrlab.loading import check_language, load

    if as_json and formats:
        raise OptionError("--json prints every file in one JSON object; leave out -f", option="format")
    if "-" in files and sys.stdin is None:
        raise AudioError("standard input is closed; give it the audio, or name a file", source="-", reason="missing")
    layout, batching = options.to_layout(given), options.to_batching(given)
    chosen = options.to_transcribe_options(given)
    files = tuple(found for file in files for found in _find_audio(file))
    writer = _TranscriptWriter(files, formats, output, as_json=as_json, layout=layout)
    check_language(model, chosen)
    with fetch_progress() as fetching:
        transcriber = load(model, progress=fetching, **given)
    with transcriber, progress_bar() as progress:
        task = progress.add_task("transcribing", total=len(files))
        sources: Any = (sys.stdin.buffer if file == "-" else file for file in files)
        for outcome in transcriber.transcribe_many(sources, options=chosen, batching=batching):
            writer.add(files[outcome.index], outcome)
            progress.advance(task)
    return writer.finish()


def _find_audio(file: str) -> list[str]:
    """Return the audio files in a folder and its folders, in order; *file* itself if it is none, or holds none."""
    from pathlib import Path

    from asrlab.evaluation.datasets.paths import AUDIO_SUFFIXES

    found = sorted(path for path in Path(file).rglob("[!.]*") if path.suffix.lower() in AUDIO_SUFFIXES)
    return [str(path) for path in found if path.is_file()] or [file]


def _plan_outputs(
    files: tuple[str, ...], formats: tuple[str, ...], output: Path | None, *, as_json: bool
) -> dict[str, dict[str, Path]]:
    """Return the path of each file's transcript in each format; without one the transcript is printed."""
    from pathlib import Path

    from asrlab.output_files import check_folder, check_target

    if output is None or output == Path("-"):
        if len(formats) > 1:
            raise OptionError("several formats need a folder; add -o DIR", option="output")
        return {file: {} for file in files}
    named = next((name for name, suffix in SUFFIXES.items() if output.suffix.lower() == f".{suffix.lower()}"), None)
    if named and not output.is_dir():
        if len(files) > 1 or formats not in ((), (named,)):
            message = f"-o {output} names one file in the format {named}; with several FILEs or formats, name a folder"
            raise OptionError(message, option="output")
        check_target(output)
        return {files[0]: {named: output}}
    stems: dict[str, str] = {}
    for file in files:
        stem = "stdin" if file == "-" else Path(file).stem
        if (other := stems.setdefault(stem, file)) != file:
            raise OptionError(
                f"{other} and {file} would both be written to {stem}; transcribe them into different folders",
                option="output",
            )
    check_folder(output)
    formats = formats or ("json" if as_json else "txt",)
    return {
        file: {format_: output / f"{stem}.{SUFFIXES[format_]}" for format_ in formats} for stem, file in stems.items()
    }


class _TranscriptWriter:
    """Transcripts written to files, or printed as text or JSON, and the errors of the others."""

    def __init__(
        self,
        files: tuple[str, ...],
        formats: tuple[str, ...],
        output: Path | None,
        *,
        as_json: bool,
        layout: SubtitleLayout,
    ) -> None:
        self._paths = _plan_outputs(files, formats, output, as_json=as_json)
        self._printed_format = formats[0] if formats else "txt"
        self._as_json, self._layout, self._has_several = as_json, layout, len(files) > 1
        self._errors: list[Exception] = []
        self._json_rows: list[dict[str, Any]] = []

    def add(self, name: str, outcome: TranscribeResult) -> None:
        """Write or print one outcome."""
        from asrlab.output_files import write_file

        transcript, shown = outcome.transcript, _printable(name)
        row: dict[str, Any] = {"file": shown, "transcript": None, "error": None}
        self._json_rows.append(row)
        if transcript is None:
            error = outcome.error or AsrlabError("no result")
            self._errors.append(error)
            click.echo(f"asrlab: {_error_with_name(name, error)}", err=True)
            row["error"] = {"type": type(error).__name__, "message": str(error)}
            return
        for warning in transcript.warnings:
            click.echo(f"asrlab: {shown}: warning: {warning.message}", err=True)
        paths = self._paths[name]
        for format_, path in paths.items():
            document = transcript.to(format_, name=_recording_name(name, format_), layout=self._layout)
            write_file(path, document.encode(), follow_link=False)
            click.echo(f"{shown} -> {_printable(str(path))}", err=True)
        if self._as_json:
            row["transcript"] = transcript.to_dict()
        elif not paths:
            if self._has_several and self._printed_format == "txt":
                click.echo(f"{shown}:")
            name = _recording_name(name, self._printed_format)
            click.echo(transcript.to(self._printed_format, name=name, layout=self._layout), nl=False)

    def finish(self) -> int:
        """Print the JSON object, if one was asked for, and return the exit code."""
        if self._as_json:
            from asrlab.cli.output import echo_json

            echo_json({"files": self._json_rows})
        if not self._errors:
            return DONE
        return SOME_FAILED if len(self._errors) < len(self._json_rows) else code_for(type(self._errors[0]).__name__)


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
