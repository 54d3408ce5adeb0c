"""The ``asrlab`` command: its group, and the exit codes of errors."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from contextlib import nullcontext

import click

from asrlab._version import __version__
from asrlab.cli import command
from asrlab.errors import AsrlabError, OutputError
from asrlab.terminal import OUTPUT_FAILED, guard_streams, guarded, open_missing_descriptors

MIN_WIDTH, DEFAULT_WIDTH, MAX_WIDTH = 50, 80, 100  # columns of help texts

COMMANDS = {
    "transcribe": ("asrlab.cli.transcribe", "Transcribe FILEs, whatever their format; - reads standard input."),
    "bench": ("asrlab.cli.bench", "Transcribe DATASET with each MODEL and score the texts against its references."),
    "resume": ("asrlab.cli.bench", "Resume RUN, which was stopped or killed, by its name or its folder."),
    "runs": ("asrlab.cli.runs", "List the runs, the latest first; or show or export RUN."),
    "compare": ("asrlab.cli.compare", "Compare the models of one RUN or several over the same utterances."),
    "report": (
        "asrlab.cli.report",
        "Write a report on one RUN, or several over the same utterances, as one HTML file.",
    ),
    "score": ("asrlab.cli.score", "Score the hypotheses in FILE, and compare those of several FILEs."),
    "verify": ("asrlab.cli.verify", "Check DOCUMENTS, Markdown files and folders of them, against recorded evidence."),
    "models": ("asrlab.cli.models", "List the models of all engines, with where their weights are."),
    "devices": ("asrlab.cli.devices", "List the devices that each engine can use on this machine."),
    "doctor": ("asrlab.cli.doctor", "Check python, decoders, plugins, engines, devices and weights."),
    "pull": (
        "asrlab.cli.pull",
        "Fetch the weights of MODELs into asrlab's store, check them, and print their paths.",
    ),
    "tune": ("asrlab.cli.tune", "Find the fastest batching settings for each MODEL on this machine, and store them."),
    "patches": ("asrlab.cli.patches", "List all known patches with their status here and their reason."),
    "plugins": ("asrlab.cli.plugins", "List the plugins and what each offers, and name those that failed."),
    "new-plugin": ("asrlab.cli.plugins", "Write a plugin package called NAME that adds an engine."),
    "completion": ("asrlab.cli.command", "Print the script that completes commands, options and models in SHELL."),
}
"""Module and short help of each command, in the order of ``asrlab --help``."""

EPILOG = """\b
Examples:
  asrlab transcribe talk.mp3 -f srt -o subtitles
  asrlab bench smoke -m faster-whisper/base -m openai-whisper/base
  asrlab compare RUN RUN
  asrlab report RUN -o report.html
  asrlab score hypotheses.trn --references talks.stm
  asrlab doctor

\b
Exit codes: 0 done, 1 some items failed, 2 usage, 3 unknown model or
device, 4 bad input or weights, 70 a fault in asrlab, 74 the output cannot
be written, 130 interrupted.
"""


# color: click would strip style sequences from what goes to a file, so that a text loses characters; asrlab's guard of
# the streams escapes them instead
@click.group(
    cls=command.LazyGroup,
    lazy=COMMANDS,
    epilog=EPILOG,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": MAX_WIDTH, "color": True},
)
@click.version_option(__version__, prog_name="asrlab")
def asrlab() -> None:
    """Transcribe speech with any engine, and evaluate the result with evidence.

    Data goes to standard output, progress and problems to standard error.
    """


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line and exit with its code."""
    open_missing_descriptors()
    with guard_streams():
        try:
            code = _run(sys.argv[1:] if arguments is None else list(arguments))
            sys.stdout.flush()
        except OutputError as error:
            code = _report(error, error.message, OUTPUT_FAILED, as_json=False)
        except BrokenPipeError:  # `asrlab models | head -1` ends with 0
            code = command.DONE
    sys.exit(code)


def _run(arguments: list[str]) -> int:
    as_json = "--json" in arguments
    try:
        # a shell's completion calls plugins without invoking a command
        with command.guard_plugins() if command.COMPLETE in os.environ else nullcontext():
            result = asrlab.main(
                arguments,
                prog_name="asrlab",
                complete_var=command.COMPLETE,
                standalone_mode=False,
                terminal_width=_terminal_width(),
            )
    except click.ClickException as error:
        error.show()
        return _report_json(error, error.format_message(), command.USAGE, as_json=as_json)
    except AsrlabError as error:
        return _report(error, error.message, command.code_for(type(error).__name__), as_json=as_json)
    except (KeyboardInterrupt, click.Abort):
        click.echo("asrlab: interrupted", err=True)
        return command.INTERRUPTED
    except Exception as error:
        if isinstance(error, BrokenPipeError) and guarded().reader_gone:
            raise
        if os.environ.get("ASRLAB_DEBUG"):
            import traceback

            traceback.print_exc()
        else:
            hint = "This is a fault; ASRLAB_DEBUG=1 shows where."
            click.echo(f"asrlab: {type(error).__name__}: {error}\n{hint}", err=True, color=True)
        return _report_json(error, str(error), command.FAULT, as_json=as_json)
    except BaseException as error:  # an engine's SystemExit must not end the process without a message
        if isinstance(error, SystemExit) and command.COMPLETE in os.environ:  # click ends a completion so
            raise
        raised_by = "; ".join(getattr(error, "__notes__", ())) or "raised by a plugin"
        message = f"{type(error).__name__}: {error}, {raised_by}; tell its authors, or use another engine"
        return _report(error, message, command.NOT_THERE, as_json=as_json)
    return result if isinstance(result, int) else command.DONE


def _report(error: BaseException, message: str, code: int, *, as_json: bool) -> int:
    """Print the message of *error*, also as JSON if *as_json*, and return *code*."""
    click.echo(f"asrlab: {message}", err=True, color=True)
    return _report_json(error, message, code, as_json=as_json)


def _report_json(error: BaseException, message: str, code: int, *, as_json: bool) -> int:
    """Print *error* as JSON on standard output if *as_json*, unless that cannot be written; return *code*."""
    if as_json and code != OUTPUT_FAILED:
        from asrlab.cli.output import echo_json

        echo_json({"error": {"type": type(error).__name__, "message": message, "exit_code": code}}, indent=None)
    return code


def _terminal_width() -> int:
    """Return the width of help texts. click would import shutil for it, which loads every compression module."""
    columns = os.environ.get("COLUMNS", "")
    try:
        width = int(columns) if columns.isdecimal() and int(columns) else os.get_terminal_size(1).columns
    except OSError:
        width = 0
    return max(min(width or DEFAULT_WIDTH, MAX_WIDTH) - 2, MIN_WIDTH)
