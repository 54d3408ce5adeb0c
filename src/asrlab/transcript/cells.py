"""Cells of tables that a spreadsheet would take for a formula, made harmless and read back."""

from __future__ import annotations

import re

__all__ = ["defused", "restored"]

# Besides the ASCII characters their full-width forms, which some spreadsheets take for the same.
_FORMULA = "=+\\-@\t\r\uff1d\uff0b\uff0d\uff20"
_BEGINS = re.compile(f"'*[{_FORMULA}]")
_DEFUSED = re.compile(f"'+[{_FORMULA}]")


def defused(cell: str) -> str:
    """The cell with ``'`` in front where it begins like a formula, or like one that was defused.

    Source: OWASP, "CSV Injection".
    """
    return f"'{cell}" if _BEGINS.match(cell) else cell


def restored(cell: str) -> str:
    """What the cell was before `defused`."""
    return cell[1:] if _DEFUSED.match(cell) else cell
