"""The record of a run of the matrix, and its file."""

from __future__ import annotations

import platform
import shutil
import sys
from pathlib import Path
from typing import Any, Literal, Self

import attrs

from asrlab.bounded_json import parse_json
from asrlab.device import Device
from asrlab.environment import Machine
from asrlab.errors import DatasetError
from asrlab.evaluation.runs.records import json_document, record_converter, structure
from asrlab.evaluation.runs.storage import at_location
from asrlab.output_files import check_folder, write_file
from asrlab.transcript import ModelInfo, PackageVersion, PatchStatus

SCHEMA = 1
"""Version of the record's format; incremented when a reader of the previous version would misread a record."""
type CheckStatus = Literal["ran", "failed", "refused", "not here"]
"""``refused``: the engine does not support the device on any machine. ``not here``: this machine lacks the device, the
engine, or its weights."""


@attrs.frozen(kw_only=True)
class Figure:
    """The difference of a device's results from the CPU's.

    Attributes:
        name: The compared results: ``logits``, ``encoder``, ``waveform``, ``word times``.
        largest: The largest absolute difference; None if a value is not finite or the shapes differ.
        relative: *largest* divided by the largest absolute value on the CPU; None if *largest* is, and for times.
        tolerance: Maximum of *relative*, or of *largest* where *relative* is None; None if the difference is only
            reported.
        unit: Unit of *largest*; empty for values of the model.
    """

    name: str
    largest: float | None
    relative: float | None = None
    tolerance: float | None = None
    unit: str = ""

    @property
    def compared(self) -> float | None:
        """The value that is compared with the tolerance."""
        return self.largest if self.relative is None else self.relative

    @property
    def within(self) -> bool:
        """True if the difference does not exceed the tolerance."""
        return self.tolerance is None or (self.compared is not None and self.compared <= self.tolerance)


@attrs.frozen(kw_only=True)
class CheckResult:
    """The result of one check.

    Attributes:
        name: Name of the check.
        outcome: See `CheckStatus`.
        detail: Observations, or the reason why the check did not run.
        error: The first line of the error; empty unless the check failed.
        seconds: Duration of the check.
        figures: Measurements.
    """

    name: str
    outcome: CheckStatus
    detail: str = ""
    error: str = ""
    seconds: float = 0.0
    figures: tuple[Figure, ...] = ()


@attrs.frozen(kw_only=True)
class CellFacts:
    """The facts of the model that a cell loaded; *backend* is the build of torch, and empty if torch was not loaded."""

    info: ModelInfo
    device: Device
    compute_type: str
    packages: tuple[PackageVersion, ...] = ()
    patches: tuple[PatchStatus, ...] = ()
    backend: str = ""


@attrs.frozen(kw_only=True)
class CellResult:
    """The checks of a model on a device.

    Attributes:
        model: The model, as ``engine/model``.
        column: Name of the device in the matrix, such as ``mps-sim``.
        checks: Results in the order of the checks.
        facts: Facts of the loaded model; None if no model was loaded.
        seconds: Duration of the process.
        kernels: The operators that ran on a simulated device, and whether each has a kernel; None on a real device.
        kernel_table: *kernels* as text.
    """

    model: str
    column: str
    checks: tuple[CheckResult, ...] = ()
    facts: CellFacts | None = None
    seconds: float = 0.0
    kernels: dict[str, Any] | None = None
    kernel_table: str = ""

    @property
    def simulated(self) -> bool:
        """True if the device is simulated."""
        return COLUMNS[self.column].simulated

    @property
    def outcome(self) -> CheckStatus:
        """``failed`` if a check failed, else ``ran`` if a check ran, else the reason why none did."""
        outcomes = [check.outcome for check in self.checks]
        return next((status for status in ("failed", "ran", "refused") if status in outcomes), "not here")

    @property
    def failures(self) -> tuple[CheckResult, ...]:
        """The checks that failed."""
        return tuple(check for check in self.checks if check.outcome == "failed")


@attrs.frozen(kw_only=True)
class MatrixRecord:
    """A run of the matrix on one machine.

    Attributes:
        label: Name of the software stack in a table of several records, such as ``3.12-newest``.
        date: Start time: UTC, ISO 8601.
        machine: The machine, without names of hosts or users.
        packages: The distributions that any cell could use.
        cells: Results model by model, in the order of the devices.
        schema: Version of the format.
    """

    label: str
    date: str
    machine: Machine
    packages: tuple[PackageVersion, ...]
    cells: tuple[CellResult, ...]
    schema: int = SCHEMA

    @property
    def exit_code(self) -> int:
        """1 if a check failed, 3 if none ran, else 0."""
        outcomes = {cell.outcome for cell in self.cells}
        return 1 if "failed" in outcomes else 0 if "ran" in outcomes else 3

    def to_json(self) -> str:
        """Return the record as JSON; each cell has ``simulated`` and ``outcome`` in addition to its attributes."""
        plain = record_converter().unstructure(self)
        for cell, plain_cell in zip(self.cells, plain["cells"], strict=True):
            plain_cell |= {"simulated": cell.simulated, "outcome": cell.outcome}
        return json_document({"schema": plain.pop("schema"), **plain}).decode()

    def write(self, path: Path) -> None:
        """Write the record to *path* atomically.

        Raises:
            OutputError: If the file cannot be written.
        """
        check_folder(path.parent)
        write_file(path, self.to_json().encode())

    @classmethod
    def read(cls, path: Path) -> Self:
        """Read a record.

        Raises:
            DatasetError: If the file cannot be read, or is not a record of a supported version.
        """
        try:
            plain = parse_json(path.read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise DatasetError(f"cannot read the record {path}: {error}", path=path) from error
        with at_location(path):
            schema = plain.get("schema") if isinstance(plain, dict) else None
            if schema != SCHEMA:
                message = f"not a matrix record of schema {SCHEMA}, but of {schema!r}"
                raise DatasetError(f"{message}; write it again with this version of asrlab")
            record = structure(plain, cls, "the matrix record is damaged, write it again")
            if unknown := {cell.column for cell in record.cells} - set(COLUMNS):
                names = ", ".join(sorted(unknown))
                raise DatasetError(f"the matrix record has unknown devices: {names}; use the asrlab that wrote it")
        return record


@attrs.frozen(kw_only=True)
class DeviceColumn:
    """A device of the matrix.

    Attributes:
        device: Name for ``asrlab.load``.
        simulator: The context manager that simulates the device, as ``package.module:function``; empty for a real
            device. The name is resolved in the process of a cell, so that asrlab does not import its tools for tests.
    """

    device: str
    simulator: str = ""

    @property
    def simulated(self) -> bool:
        """True if the device is simulated on the CPU."""
        return bool(self.simulator)


COLUMNS = {
    "cpu": DeviceColumn(device="cpu"),
    "mps-sim": DeviceColumn(device="mps", simulator="asrlab.testing:simulated_mps"),
    "mps": DeviceColumn(device="mps"),
    "cuda": DeviceColumn(device="cuda"),
}
"""The devices of the matrix, by their names on the command line."""


def machine_has(kind: str) -> bool:
    """Return whether the machine has a device of this kind; the installed packages are not asked."""
    if kind == "mps":
        return (sys.platform, platform.machine()) == ("darwin", "arm64")
    return kind == "cpu" or shutil.which("nvidia-smi") is not None or Path("/dev/nvidiactl").exists()
