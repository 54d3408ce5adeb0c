"""A module of the benchmarks in a fresh process, which prints its measurement as JSON."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

__all__ = ["measured_by"]

_ROOT = Path(__file__).resolve().parents[1]


def measured_by(module: str, *arguments: object) -> dict[str, Any]:
    """Run *module* with *arguments* in a fresh process and return its output."""
    command = [sys.executable, "-m", module, *map(str, arguments)]
    found: dict[str, Any] = json.loads(subprocess.run(command, cwd=_ROOT, check=True, stdout=subprocess.PIPE).stdout)
    return found
