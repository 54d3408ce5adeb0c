"""Checks that nothing stays behind when a transcriber is closed."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

from asrlab.testing.conformance.check import Check
from asrlab.testing.conformance.context import CheckContext

_KINDS = (
    ("environment", "The environment variables are as before"),
    ("folder", "The current folder is as before"),
    ("signals", "The handlers of signals are as before"),
    ("logging", "Loggers that are not the engine's are as before, and handlers do not add up"),
    ("warnings", "The warnings filters are as before"),
    ("random", "The random generators that all share are not seeded"),
    ("torch", "What torch has once for the whole process is as before"),
    ("patches", "No function or class of another package stays replaced"),
    ("threads", "No thread goes on"),
    ("files", "No file stays open"),
    ("temporary", "No temporary file stays"),
)


def _leaks(kind: str, case: CheckContext) -> Iterator[str]:
    return (leak.told for leak in case.leaks if leak.kind == kind)


def _unknowable(case: CheckContext) -> str:
    failed = next((leak.told for leak in case.leaks if leak.kind == "load"), "")
    return f"the model does not load or transcribe in a fresh process: {failed}" if failed else ""


CHECKS = tuple(
    Check(
        name=f"leaves-{kind}",
        sentence=f"{sentence}, once a transcriber is closed.",
        problems=partial(_leaks, kind),
        unless=_unknowable,
        needs="spec",
        apart=True,
    )
    for kind, sentence in _KINDS
)
