"""Whether a worker is out of memory: what it holds, what its engine says, what the kernel did."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

_CGROUPS = Path("/sys/fs/cgroup")
_PROC = Path("/proc")


def resident_bytes_of(pid: int) -> int | None:
    """What another process has resident now, without its children; None where it is gone or the system does not tell.

    Source: proc_pid_statm(5); ps(1), where ``rss`` is in KiB.
    """
    try:
        return int((_PROC / str(pid) / "statm").read_bytes().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except (OSError, IndexError):  # it is gone, or this is not Linux
        return _by_ps(pid)


def _by_ps(pid: int) -> int | None:
    command = ["/bin/ps", "-o", "rss=", "-p", str(pid)]
    try:
        told = subprocess.run(command, capture_output=True, check=False, timeout=5).stdout.strip()
    except (OSError, subprocess.SubprocessError):
        return None
    return int(told) * 1024 if told.isdigit() else None


def kernel_oom_kills() -> int | None:
    """How many processes the kernel has killed for want of memory: of this control group, or else of the machine.

    Only a difference means anything. None where the system does not tell.

    Source: the kernel's cgroup-v2.rst, ``memory.events``; mm/oom_kill.c, which counts before it kills.
    """
    for path in _counters():
        with suppress(OSError, ValueError):
            fields = (line.split() for line in path.read_text(encoding="ascii").splitlines())
            return next(int(count) for name, count in fields if name == "oom_kill")
    return None


def _counters() -> Iterator[Path]:
    with suppress(OSError):
        lines = (_PROC / "self" / "cgroup").read_text(encoding="utf-8").splitlines()
        yield from (_CGROUPS / line[3:].strip("/") / "memory.events" for line in lines if line.startswith("0::"))
    yield _CGROUPS / "memory.events"  # where a container shows its own group as the root
    yield _PROC / "vmstat"
