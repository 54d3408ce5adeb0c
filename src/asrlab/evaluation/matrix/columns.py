"""The devices that the matrix has a column for."""

from __future__ import annotations

import platform
import shutil
import sys
from pathlib import Path

import attrs

__all__ = ["COLUMNS", "Column", "machine_has"]


@attrs.frozen(kw_only=True)
class Column:
    """A device.

    Attributes:
        name: As on the command line.
        device: As ``asrlab.load`` takes it.
        simulated: Whether it is imitated on the CPU.
    """

    name: str
    device: str
    simulated: bool = False


_ALL = (
    Column(name="cpu", device="cpu"),
    Column(name="mps-sim", device="mps", simulated=True),
    Column(name="mps", device="mps"),
    Column(name="cuda", device="cuda"),
)
COLUMNS = {column.name: column for column in _ALL}


def machine_has(kind: str) -> bool:
    """Whether the machine has a device of this kind, whatever the packages on it make of that; imports nothing."""
    if kind == "mps":
        return (sys.platform, platform.machine()) == ("darwin", "arm64")
    return kind == "cpu" or shutil.which("nvidia-smi") is not None or Path("/dev/nvidiactl").exists()
