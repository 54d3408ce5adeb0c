"""The checks, one module a subject matter; `CHECKS` has them in the order in which they are done."""

from __future__ import annotations

from asrlab.testing.conformance.check import Check
from asrlab.testing.conformance.checks import hearing, leaving, loading, plugins, sameness, times

__all__ = ["CHECKS"]

CHECKS: tuple[Check, ...] = (
    *plugins.CHECKS,
    *loading.CHECKS,
    *times.CHECKS,
    *hearing.CHECKS,
    *sameness.CHECKS,
    loading.CLOSING,
    *leaving.CHECKS,
)
