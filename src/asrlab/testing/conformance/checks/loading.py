"""Checks of loading."""

from __future__ import annotations

from collections.abc import Iterator

from asrlab.testing.conformance.case import Case
from asrlab.testing.conformance.check import Check

__all__ = ["CHECKS"]


def _loads(case: Case) -> Iterator[str]:
    if case.load_failure:
        yield f"asrlab.load raised: {case.load_failure}"


CHECKS = (
    Check(
        name="loads",
        sentence="The model loads on the device.",
        problems=_loads,
        loads=False,
    ),
)
