"""Memory of worker processes: resident bytes, and kills by the kernel."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

_CGROUPS = Path("/sys/fs/cgroup")
_PROC = Path("/proc")


def process_resident_bytes(pid: int) -> int | None:
    """Return the resident memory of a process without its children; None if the process or the figure is missing.

    Source: proc_pid_statm(5); ps(1), where ``rss`` is in KiB.
    """
    try:
        return int((_PROC / str(pid) / "statm").read_bytes().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except (OSError, IndexError):  # the process has ended, or this is not Linux
        return _resident_bytes_by_ps(pid)


def _resident_bytes_by_ps(pid: int) -> int | None:
    command = ["/bin/ps", "-o", "rss=", "-p", str(pid)]
    try:
        output = subprocess.run(command, capture_output=True, check=False, timeout=5).stdout.strip()
    except (OSError, subprocess.SubprocessError):
        return None
    return int(output) * 1024 if output.isdigit() else None


def kernel_oom_kills() -> int | None:
    """Return the number of processes that the kernel has killed for lack of memory; None if not reported.

    The count is of this control group, or else of the machine. Only differences have a meaning.

    Source: the kernel's cgroup-v2.rst, ``memory.events``; mm/oom_kill.c, which counts before it kills.
    """
    for path in _counter_files():
        with suppress(OSError, ValueError):
            fields = (line.split() for line in path.read_text(encoding="ascii").splitlines())
            return next(int(count) for name, count in fields if name == "oom_kill")
    return None


def _counter_files() -> Iterator[Path]:
    with suppress(OSError):
        lines = (_PROC / "self" / "cgroup").read_text(encoding="utf-8").splitlines()
        yield from (_CGROUPS / line[3:].strip("/") / "memory.events" for line in lines if line.startswith("0::"))
    yield _CGROUPS / "memory.events"  # a container may show its own group as the root
    yield _PROC / "vmstat"
