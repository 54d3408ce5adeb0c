"""Exit codes, and errors as users see them."""

from __future__ import annotations

import click

from asrlab import errors
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
_CODES_BY_NAME = {error_type.__name__: code for error_type, code in _CODES.items()}


def code_for(error_type: str) -> int:
    """Return the exit code for an error by its class's name."""
    return _CODES_BY_NAME.get(error_type, SOME_FAILED)


def report_error(error: AsrlabError, *, as_json: bool) -> int:
    """Print the message of *error*, and return the exit code for it."""
    click.echo(f"asrlab: {error.message}", err=True, color=True)
    return report_json(error, error.message, code_for(type(error).__name__), as_json=as_json)


def report_json(error: BaseException, message: str, code: int, *, as_json: bool) -> int:
    """Print *error* as JSON on standard output if *as_json*, unless that cannot be written; return *code*."""
    if as_json and code != OUTPUT:
        from asrlab.cli.output import echo_json

        echo_json({"error": {"type": type(error).__name__, "message": message, "exit_code": code}}, indent=None)
    return code
