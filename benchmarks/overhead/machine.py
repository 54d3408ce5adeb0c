"""The machine and the software of a measurement."""

from __future__ import annotations

import os
import platform
from importlib import metadata
from pathlib import Path

import attrs

__all__ = ["Machine", "this_machine"]

_DISTRIBUTIONS = (
    "asrlab", "av", "ctranslate2", "faster-whisper", "numpy", "openai-whisper", "soundfile", "soxr", "torch",
)  # fmt: skip


@attrs.frozen(kw_only=True)
class Machine:
    """The machine and its software.

    Attributes:
        system: Operating system and architecture.
        processor: Name of the CPU.
        cores: Number of CPUs that this process may use.
        python: Version of Python.
        packages: Versions by distribution.
        load: Load average of the last minute at the time of the call; None if the system has none.
    """

    system: str
    processor: str
    cores: int
    python: str
    packages: dict[str, str]
    load: float | None


def this_machine() -> Machine:
    """Collect the facts of this machine."""
    return Machine(
        system=platform.platform(),
        processor=_processor(),
        cores=len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1,
        python=platform.python_version(),
        packages={name: metadata.version(name) for name in _DISTRIBUTIONS},
        load=os.getloadavg()[0] if hasattr(os, "getloadavg") else None,
    )


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = []
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(names, platform.processor() or "unknown")
