"""Exit codes, and errors as users see them."""

from __future__ import annotations

import click

from asrlab import errors
from asrlab.cli.output import encode_json, real_stdout
from asrlab.control_characters import escape_json
from asrlab.errors import AsrlabError
from asrlab.terminal.streams import OUTPUT_FAILED

DONE = 0
SOME_FAILED = 1
USAGE = 2
NOT_THERE = 3
BAD_INPUT = 4
FAULT = 70  # Source: sysexits.h, EX_SOFTWARE
OUTPUT = OUTPUT_FAILED
INTERRUPTED = 130

_CODES: dict[type[AsrlabError], int] = {
    errors.EngineNotFoundError: NOT_THERE,
    errors.EngineUnavailableError: NOT_THERE,
    errors.DeviceUnavailableError: NOT_THERE,
    errors.OptionError: USAGE,
    errors.OutputError: OUTPUT,
    errors.PatchError: USAGE,
    errors.AudioError: BAD_INPUT,
    errors.DatasetError: BAD_INPUT,
    errors.WeightsError: BAD_INPUT,
}
_CODES_BY_NAME = {kind.__name__: code for kind, code in _CODES.items()}


def code_for(kind: str) -> int:
    """The exit code for an error by its class's name."""
    return _CODES_BY_NAME.get(kind, SOME_FAILED)


def report(error: AsrlabError, *, as_json: bool) -> int:
    """Say what went wrong, and give the exit code for it."""
    click.echo(f"asrlab: {error.message}", err=True, color=True)
    return told(error, error.message, code_for(type(error).__name__), as_json=as_json)


def told(error: BaseException, message: str, code: int, *, as_json: bool) -> int:
    """*code*; with *as_json* what went wrong is on standard output, too, unless that cannot be written."""
    if as_json and code != OUTPUT:
        facts = {"type": type(error).__name__, "message": message, "exit_code": code}
        with real_stdout():
            click.echo(escape_json(encode_json({"error": facts})), color=True)
    return code
