"""Comparison of a drop-in replacement with its package, field by field, on the same weights.

A module of this package offers ``examples()``, and `SHIMS` names it; ``python -m benchmarks.shims NAME`` prints its
table.
"""

from __future__ import annotations

__all__ = ["SHIMS"]

SHIMS = {"faster_whisper": "benchmarks.shims.faster_whisper", "whisper": "benchmarks.shims.whisper"}
