"""Start-up time of a fresh process: Python alone, the import of asrlab, and the help of the command line."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path
from statistics import median

import attrs

__all__ = ["STARTUP_TARGETS", "Startup", "measure_startups"]

STARTUP_TARGETS = {"import asrlab": 2.0, "asrlab --help": 4.0, "asrlab bench --help": 4.0}
"""Maximum wall time of a command, as a multiple of Python's own."""


@attrs.frozen(kw_only=True)
class Startup:
    """One command, started several times.

    Attributes:
        name: The command as the table shows it.
        median_ms: Median of the wall time from the start of the process to its end.
        least_ms: Minimum of the wall time.
        ratio: Median over the median of ``python -c pass``.
        runs: Number of starts.
    """

    name: str
    median_ms: float
    least_ms: float
    ratio: float
    runs: int


def measure_startups(*, runs: int) -> tuple[Startup, ...]:
    """Start each command *runs* times alternately, after a start that writes the bytecode and is not counted."""
    script = str(Path(sys.executable).with_name("asrlab"))
    commands = {
        "python -c pass": [sys.executable, "-c", "pass"],
        "import asrlab": [sys.executable, "-c", "import asrlab"],
        "asrlab --help": [script, "--help"],
        "asrlab bench --help": [script, "bench", "--help"],
    }
    rounds = [{name: _milliseconds(command) for name, command in commands.items()} for _ in range(runs + 1)][1:]
    medians = {name: median(times[name] for times in rounds) for name in commands}
    return tuple(
        Startup(
            name=name,
            median_ms=median_ms,
            least_ms=min(times[name] for times in rounds),
            ratio=median_ms / medians["python -c pass"],
            runs=runs,
        )
        for name, median_ms in medians.items()
    )


def _milliseconds(command: list[str]) -> float:
    # without bytecode on disk, a start would measure Python's compiler
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    start = time.perf_counter()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, env=environment)
    return 1000 * (time.perf_counter() - start)
