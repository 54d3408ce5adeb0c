"""A module of the benchmarks in a fresh process, which prints what it measured as JSON."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

__all__ = ["measured_by"]

_ROOT = Path(__file__).resolve().parents[1]


def measured_by(module: str, *arguments: object) -> dict[str, Any]:
    """What *module*, run with *arguments*, prints."""
    command = [sys.executable, "-m", module, *map(str, arguments)]
    found: dict[str, Any] = json.loads(subprocess.run(command, cwd=_ROOT, check=True, stdout=subprocess.PIPE).stdout)
    return found
