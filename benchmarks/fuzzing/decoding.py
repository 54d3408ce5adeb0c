"""A process that decodes files and reports the outcome of each file as a line of JSON."""

from __future__ import annotations

import ctypes
import json
import os
import sys
import time
from pathlib import Path
from typing import Any

from asrlab.audio import open_audio
from asrlab.errors import AudioError
from asrlab.evaluation.metrics import peak_resident_bytes, resident_bytes

__all__ = ["decode"]

_CLEAR_REFS = Path("/proc/self/clear_refs")
_RESET_PEAK = "5"


def decode(data: bytes) -> dict[str, Any]:
    """Decode *data* and return the outcome.

    ``outcome`` is ``decoded``, ``refused`` or, for anything but an `AudioError`, ``exception``.
    """
    _reset_peak()
    before, start = resident_bytes() or 0, time.process_time()
    result: dict[str, Any]
    try:
        with open_audio(data) as reader:
            declared = reader.declared_duration
            for _ in reader.blocks():
                pass
            warnings = [warning.code for warning in reader.warnings]
            result = {"outcome": "decoded", "seconds": reader.duration, "declared": declared, "warnings": warnings}
    except AudioError as error:
        result = {"outcome": "refused", "reason": error.reason, "detail": error.message}
    except BaseException as error:  # noqa: BLE001 - every other exception is a finding
        result = {"outcome": "exception", "detail": f"{type(error).__name__}: {error}"}
    result["extra_bytes"] = (peak_resident_bytes() or 0) - before
    result["cpu_seconds"] = time.process_time() - start
    return result


def _reset_peak() -> None:
    """Reset the peak of the resident memory, if the system supports that."""
    if _CLEAR_REFS.exists():
        _CLEAR_REFS.write_text(_RESET_PEAK)


def _serve() -> None:
    """Read paths from standard input and write outcomes to the original standard output.

    The two arguments are files that receive the output of native code to standard output and standard error.
    """
    outcomes = os.fdopen(os.dup(1), "w")
    for descriptor, path in zip((1, 2), sys.argv[1:], strict=True):
        os.dup2(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND), descriptor)
    flush = ctypes.CDLL(None).fflush
    for line in sys.stdin:
        outcome = decode(Path(line.rstrip("\n")).read_bytes())
        sys.stdout.flush()
        flush(None)  # the buffered output of native code
        outcomes.write(json.dumps(outcome) + "\n")
        outcomes.flush()


if __name__ == "__main__":
    _serve()
