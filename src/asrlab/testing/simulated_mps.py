"""The command ``python -m asrlab.testing.simulated_mps SCRIPT``, which runs a script on the simulated MPS device.

Importing this module is refused, because it would hide the context manager `asrlab.testing.simulated_mps`.
"""

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
from asrlab.testing.mps.simulation import simulated_mps

if __name__ == "asrlab.testing.simulated_mps":
    raise ImportError(
        "simulated_mps is a command, not a module to import; write: from asrlab.testing import simulated_mps"
    )

_USAGE = 2


def main() -> int:
    """Run the script and write the report on standard error; return its exit code, or 2 if it could not start."""
    parser = argparse.ArgumentParser(
        prog="python -m asrlab.testing.simulated_mps",
        description="Run a Python script with a simulated device 'mps', then report the ops that the script called.",
    )
    parser.add_argument("--json", action="store_true", help="write the report as JSON")
    parser.add_argument(
        "--self-test", action="store_true", help="run only the self-test of the simulation with this torch"
    )
    parser.add_argument("script", nargs="?", default="", help="Python file")
    parser.add_argument("arguments", nargs=argparse.REMAINDER, help="arguments of the script")
    options = parser.parse_args()
    if not options.self_test and not Path(options.script).is_file():
        return _report_usage_error(f"no script {options.script!r} exists; name a Python file, or give --self-test")
    with ExitStack() as stack:
        try:
            simulation = stack.enter_context(simulated_mps())
        except DeviceUnavailableError as error:
            return _report_usage_error(error.message)
        if options.self_test:
            lines = [f"simulated MPS, torch {simulation.torch}: self-test", *map(str, simulation.self_test)]
            sys.stdout.write("\n".join(lines) + "\n")
            return 0
        code = _run_script(options.script, options.arguments)
        report = simulation.report()
        sys.stdout.flush()  # the output of the script comes before the report, even in one file
        sys.stderr.write((json.dumps(report.as_dict(), indent=2) if options.json else report.table()) + "\n")
    return code


def _report_usage_error(message: str) -> int:
    sys.stderr.write(f"error: {message}\n")
    return _USAGE


def _run_script(script: str, arguments: Sequence[str]) -> int:
    """Run the script as ``python SCRIPT`` does, and return its exit code."""
    sys.argv[:] = [script, *arguments]
    sys.path[0] = str(Path(script).resolve().parent)
    try:
        runpy.run_path(script, run_name="__main__")
    except SystemExit as exit_request:
        if isinstance(exit_request.code, int | None):
            return exit_request.code or 0
        sys.stderr.write(f"{exit_request.code}\n")
        return 1
    except BaseException:  # noqa: BLE001 - shown as Python shows it, and the report comes all the same
        traceback.print_exc()
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
