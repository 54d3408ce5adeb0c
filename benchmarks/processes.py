"""Measurements by modules of the benchmarks in fresh processes, which print JSON."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

__all__ = ["run_measurement"]

_ROOT = Path(__file__).resolve().parents[1]


def run_measurement(module: str, *arguments: object) -> dict[str, Any]:
    """Run *module* with *arguments* in a fresh process and return its output."""
    command = [sys.executable, "-m", module, *map(str, arguments)]
    figures: dict[str, Any] = json.loads(subprocess.run(command, cwd=_ROOT, check=True, stdout=subprocess.PIPE).stdout)
    return figures
