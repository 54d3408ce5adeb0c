"""What a cell's process is told, and what it says while it goes along; pickled one after the other over two pipes."""

from __future__ import annotations

from typing import Any

import attrs

from asrlab.evaluation.matrix.records import COLUMNS, Column

TINY = "liquid-audio/tiny"
"""The row of a checkpoint of random numbers, written where it is used; no model that can be asked for has this name."""


@attrs.frozen(kw_only=True)
class Job:
    """To the process, once: the cell that it is.

    Attributes:
        model: The row, as ``engine/model``.
        column: The device's name in the matrix.
        asked: What ``asrlab.load`` takes for it: *model*, or ``engine/PATH``.
    """

    model: str
    column: str
    asked: str

    @property
    def where(self) -> Column:
        """The device."""
        return COLUMNS[self.column]


@attrs.frozen(kw_only=True)
class CheckStarted:
    """From the process: it has begun a check; a `CheckResult` follows, unless the check takes the process along.

    Attributes:
        check: The check's name.
    """

    check: str


@attrs.frozen(kw_only=True)
class Kernels:
    """From the process: what ran on the simulated device.

    Attributes:
        plain: For a record.
        table: For people.
    """

    plain: dict[str, Any]
    table: str
