"""Checks that closing a transcriber restores the state of the process."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

from asrlab.testing.conformance.check import Check, CheckContext

_KINDS = (
    ("environment", "The environment variables are unchanged"),
    ("folder", "The current folder is unchanged"),
    ("signals", "The handlers of signals are unchanged"),
    ("logging", "Loggers other than the engine's are unchanged, and handlers do not accumulate"),
    ("warnings", "The warnings filters are unchanged"),
    ("random", "The global random generators are not seeded"),
    ("torch", "The global settings of torch are unchanged"),
    ("patches", "No function or class of another package is replaced"),
    ("threads", "No thread is running"),
    ("files", "No file is open"),
    ("temporary", "No temporary file remains"),
)


def _leaks(kind: str, context: CheckContext) -> Iterator[str]:
    return (leak.message for leak in context.leaks if leak.kind == kind)


def _load_failure(context: CheckContext) -> str:
    failure = next((leak.message for leak in context.leaks if leak.kind == "load"), "")
    return f"the model does not load or transcribe in a fresh process: {failure}" if failure else ""


CHECKS = tuple(
    Check(
        name=f"leaves-{kind}",
        description=f"{description} after a transcriber is closed.",
        find_problems=partial(_leaks, kind),
        skip_reason=_load_failure,
        requires="spec",
        in_fresh_process=True,
    )
    for kind, description in _KINDS
)
