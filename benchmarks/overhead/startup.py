"""Time of a fresh process to import asrlab and to print the help of the command line."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path
from statistics import median

import attrs

__all__ = ["Start", "measure_starts"]


@attrs.frozen(kw_only=True)
class Start:
    """One command, started several times.

    Attributes:
        name: Name in the table.
        median_ms: From starting the process to its end.
        least_ms: The fastest of them.
        runs: How many.
    """

    name: str
    median_ms: float
    least_ms: float
    runs: int


def measure_starts(*, runs: int) -> tuple[Start, ...]:
    """Measure Python alone, ``import asrlab`` and ``asrlab --help`` in turn; the first turn is a warm-up."""
    commands = {
        "python -c pass": [sys.executable, "-c", "pass"],
        "import asrlab": [sys.executable, "-c", "import asrlab"],
        "asrlab --help": [str(Path(sys.executable).with_name("asrlab")), "--help"],
    }
    turns = [{name: _milliseconds(command) for name, command in commands.items()} for _ in range(runs + 1)][1:]
    return tuple(
        Start(
            name=name,
            median_ms=median(turn[name] for turn in turns),
            least_ms=min(turn[name] for turn in turns),
            runs=runs,
        )
        for name in commands
    )


def _milliseconds(command: list[str]) -> float:
    start = time.perf_counter()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return 1000 * (time.perf_counter() - start)
