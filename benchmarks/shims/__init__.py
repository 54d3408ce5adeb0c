"""Comparison of each drop-in replacement with its package, field by field, with the same weights.

`SHIMS` lists the modules with ``examples()``, and ``python -m benchmarks.shims NAME`` prints the table of a module.
"""

from __future__ import annotations

__all__ = ["SHIMS"]

SHIMS = {"faster_whisper": "benchmarks.shims.faster_whisper", "whisper": "benchmarks.shims.whisper"}
