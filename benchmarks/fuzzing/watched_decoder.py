"""Decoding in a process whose hangs, native crashes, memory and output are recorded."""

from __future__ import annotations

import json
import os
import select
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from asrlab.evaluation.runs.worker_process import process_resident_bytes

__all__ = ["MAX_EXTRA_BYTES", "MAX_SECONDS", "WatchedDecoder"]

MAX_SECONDS = 10.0
MAX_EXTRA_BYTES = 512 * 2**20
_ROOT = Path(__file__).resolve().parents[2]
_POLL_S = 0.05
_WALL_FACTOR = 6  # a hang is ten seconds of CPU time, or six times that by the clock, as on a busy machine


class WatchedDecoder:
    """A process of `decoding`, which is restarted after a kill or a crash.

    Args:
        folder: The folder for the file to decode and for the output of the process.
    """

    def __init__(self, folder: Path) -> None:
        folder.mkdir(exist_ok=True)
        self._file = folder / "mutated"
        self._outputs = (folder / "stdout", folder / "stderr")
        self._process: subprocess.Popen[str] | None = None

    def decode(self, data: bytes) -> dict[str, Any]:
        """Return the outcome of *data*: that of `decoding.decode`, or ``hang``, ``crash`` or ``memory``.

        ``stdout`` and ``stderr`` are the numbers of bytes that the process printed.
        """
        self._file.write_bytes(data)
        before = [_size(path) for path in self._outputs]
        process = self._ensure_process()
        assert process.stdin is not None  # noqa: S101 - opened as a pipe
        process.stdin.write(f"{self._file}\n")
        process.stdin.flush()
        outcome = self._wait_for_outcome(process)
        after = [_size(path) for path in self._outputs]
        return {**outcome, "stdout": after[0] - before[0], "stderr": after[1] - before[1]}

    def close(self) -> None:
        """End the process."""
        if self._process is not None:
            self._process.kill()
            self._process.communicate()
            self._process = None

    def _ensure_process(self) -> subprocess.Popen[str]:
        if self._process is None:
            command = [sys.executable, "-m", "benchmarks.fuzzing.decoding", *map(str, self._outputs)]
            self._process = subprocess.Popen(
                command, cwd=_ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
            )
        return self._process

    def _wait_for_outcome(self, process: subprocess.Popen[str]) -> dict[str, Any]:
        """Wait for the outcome from *process*, and return it or the reason of its absence."""
        assert process.stdout is not None  # noqa: S101 - opened as a pipe
        start, cpu, memory = time.monotonic(), _cpu_seconds(process.pid), process_resident_bytes(process.pid) or 0
        while not select.select([process.stdout], [], [], _POLL_S)[0]:
            spent = _cpu_seconds(process.pid) - cpu
            if max(spent, (time.monotonic() - start) / _WALL_FACTOR) > MAX_SECONDS:
                self.close()
                return {"outcome": "hang", "detail": f"{spent:.1f} s of CPU time without a result"}
            extra = (process_resident_bytes(process.pid) or 0) - memory
            if extra > 2 * MAX_EXTRA_BYTES:  # the outcome has the exact peak of smaller amounts
                self.close()
                return {"outcome": "memory", "detail": f"{extra / 2**20:.0f} MiB more"}
        if line := process.stdout.readline():
            outcome: dict[str, Any] = json.loads(line)
            return outcome
        code = process.wait()
        self.close()
        return {"outcome": "crash", "detail": f"exit status {code}"}


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


def _cpu_seconds(pid: int) -> float:
    """Return the CPU time of a process; 0 if the system does not report the time."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
    except OSError:
        return 0.0
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
