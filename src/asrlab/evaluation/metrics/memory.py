"""Resident memory of this process, now and at its peak."""

from __future__ import annotations

import sys
from pathlib import Path

__all__ = ["peak_resident_bytes", "resident_bytes"]


def peak_resident_bytes() -> int | None:
    """The most memory that this process has had resident so far, in bytes; None where the system does not tell.

    It is of the whole process since it began: the interpreter, every library and every model loaded until now, and
    memory mapped from files as far as it was read; not memory on a GPU, not child processes. It never falls, so models
    compared in one process share one peak.

    Linux: ``VmHWM``. ``ru_maxrss`` would not do: it survives ``exec``, so a program started by a large process
    reports its parent's peak as its own. macOS: ``ru_maxrss``, which there is in bytes. Windows: None.

    Source: proc_pid_status(5), getrusage(2).
    """
    if sys.platform == "darwin":
        import resource

        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return _status("VmHWM")


def resident_bytes() -> int | None:
    """The memory that this process has resident now, in bytes, by the same boundary; None where it cannot be told.

    Linux: ``VmRSS``, which the kernel may have a few pages off. Elsewhere: None.
    """
    return _status("VmRSS")


def _status(field: str) -> int | None:
    try:
        lines = Path("/proc/self/status").read_text(encoding="ascii", errors="replace").splitlines()
    except OSError:  # not Linux, or /proc is not mounted
        return None
    return next((_kibibytes(line) for line in lines if line.startswith(f"{field}:")), None)


def _kibibytes(line: str) -> int:
    """The bytes in a line such as ``VmHWM:  2068 kB``, where kB means 1024 bytes."""
    return int(line.split()[1]) * 1024
