"""The command that runs a Python script on the simulated MPS device."""

from __future__ import annotations

import argparse
import json
import runpy
import sys
import traceback
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

from asrlab.errors import DeviceUnavailableError
from asrlab.testing.mps.simulation import Simulation, simulated_mps

_USAGE = 2


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the script, then write the report on standard error.

    Args:
        arguments: The command's; None: those of this process.

    Returns:
        The exit code: the script's own, or 2 if it could not be started.
    """
    options = _parser().parse_args(arguments)
    if not options.self_test and not Path(options.script).is_file():
        return _complain(f"there is no script {options.script!r}; name a Python file, or give --self-test")
    with ExitStack() as stack:
        try:
            simulation = stack.enter_context(simulated_mps())
        except DeviceUnavailableError as error:
            return _complain(error.message)
        if options.self_test:
            return _show_self_test(simulation)
        code = _run(options.script, options.arguments)
        report = simulation.report()
        sys.stdout.flush()  # what the script printed comes before the report, into whatever they go
        sys.stderr.write((json.dumps(report.as_dict(), indent=2) if options.json else report.table()) + "\n")
    return code


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m asrlab.testing.simulated_mps",
        description="Run a Python script where device 'mps' exists, simulated; then report the ops it called.",
    )
    parser.add_argument("--json", action="store_true", help="write the report as JSON")
    parser.add_argument("--self-test", action="store_true", help="only show that the simulation works with this torch")
    parser.add_argument("script", nargs="?", default="", help="Python file")
    parser.add_argument("arguments", nargs=argparse.REMAINDER, help="what the script gets")
    return parser


def _complain(message: str) -> int:
    sys.stderr.write(f"error: {message}\n")
    return _USAGE


def _show_self_test(simulation: Simulation) -> int:
    lines = [f"simulated MPS, torch {simulation.torch}: self-test", *map(str, simulation.self_test)]
    sys.stdout.write("\n".join(lines) + "\n")
    return 0


def _run(script: str, arguments: Sequence[str]) -> int:
    """The script as ``python SCRIPT`` runs it; returns its exit code."""
    sys.argv[:] = [script, *arguments]
    sys.path[0] = str(Path(script).resolve().parent)
    try:
        runpy.run_path(script, run_name="__main__")
    except SystemExit as end:
        return _exit_code(end)
    except BaseException:  # noqa: BLE001 - shown as Python shows it, and the report comes all the same
        traceback.print_exc()
        return 1
    return 0


def _exit_code(end: SystemExit) -> int:
    if end.code is None:
        return 0
    if isinstance(end.code, int):
        return end.code
    sys.stderr.write(f"{end.code}\n")
    return 1
