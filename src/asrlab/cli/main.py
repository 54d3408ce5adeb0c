"""The ``asrlab`` command: its group, and what becomes of errors."""

from __future__ import annotations

import os
import sys
import traceback
from collections.abc import Sequence

import click

from asrlab._version import __version__
from asrlab.cli import exit_codes
from asrlab.cli.bench import bench
from asrlab.cli.compare import compare
from asrlab.cli.completion import completion
from asrlab.cli.devices import devices
from asrlab.cli.doctor import doctor
from asrlab.cli.models import models
from asrlab.cli.new_plugin import new_plugin
from asrlab.cli.options import COMPLETE, warnings_on_stderr
from asrlab.cli.patches import patches
from asrlab.cli.plugin_guard import guard_plugins
from asrlab.cli.plugins import plugins
from asrlab.cli.pull import pull
from asrlab.cli.report import report
from asrlab.cli.resume import resume
from asrlab.cli.runs import runs
from asrlab.cli.score import score
from asrlab.cli.transcribe import transcribe
from asrlab.cli.tune import tune
from asrlab.cli.verify import verify
from asrlab.errors import AsrlabError, OutputError
from asrlab.terminal import guard_streams, guarded, open_missing_descriptors

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


# color: click would take what looks like a style out of what goes to a file, so that a text loses characters; asrlab's
# guard of the streams escapes them instead
@click.group(
    epilog=EPILOG, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100, "color": True}
)
@click.version_option(__version__, prog_name="asrlab")
def asrlab() -> None:
    """One transcriber over any speech-to-text engine, with evidence.

    Data goes to standard output, progress and problems to standard error.
    """


for _command in (
    transcribe,
    bench,
    resume,
    runs,
    compare,
    report,
    score,
    verify,
    models,
    devices,
    doctor,
    pull,
    tune,
    patches,
    plugins,
    new_plugin,
    completion,
):
    asrlab.add_command(_command)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line and exit with its code."""
    open_missing_descriptors()
    with guard_streams():
        code = _written(sys.argv[1:] if arguments is None else list(arguments))
    sys.exit(code)


def _written(arguments: list[str]) -> int:
    """Run a command and give its exit code, or that of its output; a reader who has gone is no error.

    ``asrlab models | head -1`` ends with 0.
    """
    try:
        code = _run(arguments)
        sys.stdout.flush()
    except OutputError as error:
        return exit_codes.report(error, as_json=False)
    except BrokenPipeError:
        return exit_codes.DONE
    return code


def _run(arguments: list[str]) -> int:
    as_json = "--json" in arguments
    try:
        with warnings_on_stderr(), guard_plugins(arguments, as_json=as_json, completing=COMPLETE in os.environ):
            result = asrlab.main(arguments, prog_name="asrlab", complete_var=COMPLETE, standalone_mode=False)
    except click.ClickException as error:
        error.show()
        return exit_codes.told(error, error.format_message(), exit_codes.USAGE, as_json=as_json)
    except AsrlabError as error:
        return exit_codes.report(error, as_json=as_json)
    except (KeyboardInterrupt, click.Abort):
        click.echo("asrlab: interrupted", err=True)
        return exit_codes.INTERRUPTED
    except Exception as error:
        if isinstance(error, BrokenPipeError) and guarded().reader_gone:
            raise
        return _fault(error, as_json=as_json)
    except BaseException as error:  # an engine's SystemExit or the like must not end this without a word
        if isinstance(error, SystemExit) and COMPLETE in os.environ:  # click ends a completion so
            raise
        by = "; ".join(getattr(error, "__notes__", ())) or "raised by a plugin"
        told = f"{type(error).__name__}: {error}, {by}; tell its authors, or use another engine"
        click.echo(f"asrlab: {told}", err=True)
        return exit_codes.told(error, told, exit_codes.NOT_THERE, as_json=as_json)
    return result if isinstance(result, int) else exit_codes.DONE


def _fault(error: Exception, *, as_json: bool) -> int:
    if os.environ.get("ASRLAB_DEBUG"):
        traceback.print_exc()
    else:
        told = f"asrlab: {type(error).__name__}: {error}\nThis is a fault; ASRLAB_DEBUG=1 shows where."
        click.echo(told, err=True, color=True)
    return exit_codes.told(error, str(error), exit_codes.FAULT, as_json=as_json)
