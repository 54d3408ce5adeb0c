"""What the matrix leaves behind, and how it is written and read back."""

from __future__ import annotations

import json
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
from asrlab.output_files import check_folder, write_file
from asrlab.transcript import ModelInfo, PackageVersion, PatchStatus

SCHEMA = 1
"""Number of the record's form; it grows when a reader of the old form would misread the new one."""
type Outcome = Literal["ran", "failed", "refused", "not here"]
"""``refused``: the engine has no such device, on any machine. ``not here``: this machine lacks the device, the engine,
or its weights."""


@attrs.frozen(kw_only=True)
class Figure:
    """How far a device's numbers are from the CPU's.

    Attributes:
        name: Of what: ``logits``, ``encoder``, ``waveform``, ``word times``.
        largest: The largest absolute difference; None if there were numbers that are not finite.
        relative: The same over the largest absolute value on the CPU; None likewise, or where it means nothing.
        tolerance: What *relative* may be, or *largest* where *relative* means nothing; None if nothing was demanded.
        unit: Of *largest*; empty for the model's own numbers.
    """

    name: str
    largest: float | None
    relative: float | None = None
    tolerance: float | None = None
    unit: str = ""

    @property
    def within(self) -> bool:
        """Whether nothing more than the tolerance was found."""
        found = self.largest if self.relative is None else self.relative
        return self.tolerance is None or (found is not None and found <= self.tolerance)


@attrs.frozen(kw_only=True)
class CheckResult:
    """What became of one check.

    Attributes:
        name: The check's.
        outcome: See `Outcome`.
        detail: What was seen, or the reason why nothing was.
        error: The first line of what was raised; empty unless it failed.
        seconds: It took.
        figures: What was measured.
    """

    name: str
    outcome: Outcome
    detail: str = ""
    error: str = ""
    seconds: float = 0.0
    figures: tuple[Figure, ...] = ()


@attrs.frozen(kw_only=True)
class Facts:
    """What a cell's process tells of the model that it loaded.

    Attributes:
        info: Which weights ran.
        device: Where they were.
        compute_type: Number format of the computation.
        packages: The distributions that took part.
        patches: What was changed in them, and what was not and why.
        backend: The build of torch; empty where none was loaded.
    """

    info: ModelInfo
    device: Device
    compute_type: str
    packages: tuple[PackageVersion, ...] = ()
    patches: tuple[PatchStatus, ...] = ()
    backend: str = ""


@attrs.frozen(kw_only=True)
class CellResult:
    """A model on a device.

    Attributes:
        model: As ``engine/model``.
        column: A name among the devices of the matrix, such as ``mps-sim``.
        checks: In the order in which they were done.
        facts: Of the loaded model; None if none was loaded.
        seconds: From the start of its process to its end.
        kernels: For a simulated device the operators that ran, and those without a kernel; None elsewhere.
        kernel_table: The same for people.
    """

    model: str
    column: str
    checks: tuple[CheckResult, ...]
    facts: Facts | None = None
    seconds: float = 0.0
    kernels: dict[str, Any] | None = None
    kernel_table: str = ""

    @property
    def simulated(self) -> bool:
        """Whether its device is only imitated."""
        return COLUMNS[self.column].simulated

    @property
    def outcome(self) -> Outcome:
        """``failed`` if a check failed, ``ran`` if one ran; else why none did."""
        outcomes = [check.outcome for check in self.checks]
        return next((each for each in ("failed", "ran", "refused") if each in outcomes), "not here")

    def count(self, outcome: Outcome) -> int:
        """How many of its checks had this outcome."""
        return sum(check.outcome == outcome for check in self.checks)

    @property
    def first_failure(self) -> CheckResult | None:
        """The first check that failed."""
        return next((check for check in self.checks if check.outcome == "failed"), None)


@attrs.frozen(kw_only=True)
class MatrixRecord:
    """One run of the matrix on one machine.

    Attributes:
        label: The stack's name in a table of several, such as ``3.12-newest``.
        date: When it began: UTC, ISO 8601.
        machine: Where it ran; no name of a host or user.
        packages: The distributions that any cell could have used.
        cells: In the order of the table: model by model, and in each the devices.
        schema: `SCHEMA` when it was written.
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
        """Everything, as one JSON object; each cell says whether it is simulated."""
        plain = attrs.asdict(self)
        for cell, kept in zip(self.cells, plain["cells"], strict=True):
            kept["simulated"], kept["outcome"] = cell.simulated, cell.outcome
        first = {"schema": plain.pop("schema")}
        return json.dumps(first | plain, ensure_ascii=False, allow_nan=False, indent=1) + "\n"

    def write(self, path: Path) -> None:
        """Write it to *path*, whole or not at all.

        Raises:
            OutputError: It cannot be written there.
        """
        check_folder(path.parent)
        write_file(path, self.to_json().encode())

    @classmethod
    def read(cls, path: Path) -> Self:
        """Read back what `write` wrote.

        Raises:
            DatasetError: It cannot be read, or is no record of a form that this asrlab reads.
        """
        try:
            plain = parse_json(path.read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise DatasetError(f"cannot read the record {path}: {error}", path=path) from error
        found = plain.get("schema") if isinstance(plain, dict) else None
        if found != SCHEMA:
            raise DatasetError(
                f"{path} is no record of the matrix of schema {SCHEMA} but of {found!r}; write it with this asrlab, or "
                "read it with the one that wrote it",
                path=path,
            )
        return cls._structured(plain, path)

    @classmethod
    def _structured(cls, plain: dict[str, Any], path: Path) -> Self:
        import cattrs

        try:
            record = cattrs.structure(plain, cls)
        except (cattrs.BaseValidationError, KeyError, TypeError, ValueError) as error:
            raise DatasetError(
                f"{path} is a damaged record of the matrix ({error}); send it again", path=path
            ) from error
        if unknown := {cell.column for cell in record.cells} - set(COLUMNS):
            raise DatasetError(f"{path} has devices that this asrlab does not know: {unknown}", path=path)
        return record


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
