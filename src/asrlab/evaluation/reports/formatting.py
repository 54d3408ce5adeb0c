"""Numbers as tables, pages and documents show them."""

from __future__ import annotations

from asrlab.evaluation.metrics import ErrorCounts

MISSING = "-"
"""Text for a figure that is not known."""


def format_percent(rate: float | None, *, missing: str = MISSING) -> str:
    """Format a fraction as percent, such as ``4.31 %``."""
    return missing if rate is None else f"{100 * rate:.2f} %"


def format_seconds(value: float | None, *, missing: str = MISSING) -> str:
    """Format a duration, such as ``1.50 s``."""
    return missing if value is None else f"{value:.2f} s"


def format_rtfx(value: float | None, *, missing: str = MISSING) -> str:
    """Format seconds of audio per second of work, such as ``12.40x``."""
    return missing if value is None else f"{value:.2f}x"


def format_mib(n_bytes: float | None, *, missing: str = MISSING) -> str:
    """Format a number of bytes as whole MiB without the unit, such as ``300``."""
    return f"{n_bytes / 2**20:.0f}" if n_bytes else missing


def format_error_rate(errors: int, total: int) -> str:
    """Format errors over a total as the rate and both numbers, such as ``5.00 % (1/20)``."""
    return f"{format_percent(errors / total if total else None)} ({errors}/{total})"


def format_edits(counts: ErrorCounts) -> str:
    """Format substitutions, deletions and insertions, such as ``3 1 0``."""
    return f"{counts.substitutions} {counts.deletions} {counts.insertions}"


def format_count(number: int, noun: str) -> str:
    """Format a number of things, such as ``1 speaker`` or ``2 speakers``."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def format_p_value(value: float) -> str:
    """Format a p-value, such as ``p = 0.02`` or ``p < 0.001``."""
    return "p < 0.001" if value < 0.001 else f"p = {value:.2g}"


def format_share(share: float) -> str:
    """Format a fraction as whole percent, such as ``12 %``."""
    return f"{100 * share:.0f} %"
