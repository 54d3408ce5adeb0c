"""The table of a benchmark, and its record, which ``asrlab verify`` reads."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import attrs

from asrlab.environment import installed_version, this_machine, utc_timestamp

__all__ = ["Table", "load_average", "write_record"]

_PACKAGES = ("asrlab", "numpy", "faster-whisper", "ctranslate2", "openai-whisper", "torch", "onnxruntime")


@attrs.frozen(kw_only=True)
class Table:
    """A table of figures.

    Attributes:
        title: The measurement and its conditions, in one or two sentences.
        headings: Headings of the columns; the first column names the rows.
        rows: The cells as text.
        notes: Lines below the table.
    """

    title: str
    headings: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    notes: tuple[str, ...] = ()

    def __str__(self) -> str:
        """Format the table for a terminal: the first column left-aligned, the others right-aligned."""
        lines = [self.headings, *self.rows]
        widths = [max(len(line[column]) for line in lines) for column in range(len(self.headings))]
        formatted = ["  ".join(_align(line, widths)).rstrip() for line in lines]
        return "\n".join([self.title, *formatted, *self.notes])


def _align(line: Sequence[str], widths: Sequence[int]) -> list[str]:
    first, *rest = zip(line, widths, strict=True)
    return [first[0].ljust(first[1]), *(cell.rjust(width) for cell, width in rest)]


def write_record(path: Path | None, *, benchmark: str, table: Table, **measured: Any) -> None:
    """Write *table* and the *measured* values as JSON, with machine and versions; do nothing if *path* is None."""
    if path is None:
        return
    versions = {name: version for name in _PACKAGES if (version := installed_version(name)) is not None}
    record = {
        "benchmark": benchmark,
        "date": utc_timestamp(),
        "machine": attrs.asdict(this_machine()),
        "packages": versions,
        "table": attrs.asdict(table),
        **measured,
    }
    path.write_text(json.dumps(record, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def load_average() -> float | None:
    """Return the load average of the last minute; None if the system has none."""
    return round(os.getloadavg()[0], 2) if hasattr(os, "getloadavg") else None
