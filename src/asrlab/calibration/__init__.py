"""What ``asrlab tune`` found to be best, for which machine, weights and versions, and where that is kept."""

from __future__ import annotations

from asrlab.calibration.records import SCHEMA, Calibration, Circumstances, Trial, packages_that_count
from asrlab.calibration.store import CalibrationStore, find_calibration

__all__ = [
    "SCHEMA",
    "Calibration",
    "CalibrationStore",
    "Circumstances",
    "Trial",
    "find_calibration",
    "packages_that_count",
]
