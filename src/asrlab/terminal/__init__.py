"""The standard streams of a command, which escape unsafe characters and report failed writes."""

from __future__ import annotations

from asrlab.terminal.streams import (
    OutputStream,
    guard_streams,
    guarded,
    open_missing_descriptors,
    run_guarded,
    write_stdout,
)

__all__ = ["OutputStream", "guard_streams", "guarded", "open_missing_descriptors", "run_guarded", "write_stdout"]
