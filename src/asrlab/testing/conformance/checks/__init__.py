"""The checks, one module per topic; `CHECKS` lists them in the order in which they run."""

from __future__ import annotations

from asrlab.testing.conformance.check import Check
from asrlab.testing.conformance.checks import consistency, loading, plugins, recognition, side_effects, timestamps

__all__ = ["CHECKS"]

CHECKS: tuple[Check, ...] = (
    *plugins.CHECKS,
    *loading.CHECKS,
    *timestamps.CHECKS,
    *recognition.CHECKS,
    *consistency.CHECKS,
    loading.CLOSING,
    *side_effects.CHECKS,
)
