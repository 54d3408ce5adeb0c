"""The context of a cell's checks: the cell, its device, and the messages that report each check."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import attrs

from asrlab.environment import torch_build
from asrlab.errors import AsrlabError
from asrlab.evaluation.matrix.records import COLUMNS, CellFacts, CheckResult, CheckStatus, DeviceColumn, Figure
from asrlab.loading import load

if TYPE_CHECKING:
    from asrlab.engine.transcriber import Transcriber

_log = logging.getLogger("asrlab.evaluation.matrix")
_MAX_LINE_CHARS = 300


@attrs.frozen(kw_only=True)
class CellJob:
    """The cell that a child process runs.

    Attributes:
        model: The row, as ``engine/model``.
        column: The device's name in the matrix.
        load_name: The model's name for ``asrlab.load``: *model*, or ``engine/PATH``.
    """

    model: str
    column: str
    load_name: str

    @property
    def device(self) -> DeviceColumn:
        """The device of the cell."""
        return COLUMNS[self.column]


@attrs.frozen(kw_only=True)
class CheckStarted:
    """A message that a check has started; its `CheckResult` follows, unless the check ends the process.

    Attributes:
        check: Name of the check.
    """

    check: str


@attrs.frozen(kw_only=True)
class KernelUse:
    """A message with the operators that ran on the simulated device.

    Attributes:
        plain: The report as plain values, for a record.
        table: The report as text.
    """

    plain: dict[str, Any]
    table: str


class KernelReport(Protocol):
    """A report of the operators that ran on a simulated device."""

    def as_dict(self) -> dict[str, Any]:
        """Return the report as plain values."""

    def table(self) -> str:
        """Format the report for a terminal."""


class SimulatedDevice(Protocol):
    """A simulated device in use."""

    def report(self) -> KernelReport:
        """Return the operators that ran so far."""


@attrs.define
class RunningCheck:
    """A check that is running.

    Attributes:
        detail: Observations so far.
        status: The status if nothing is raised.
        figures: Measurements so far.
    """

    detail: str = ""
    status: CheckStatus = "ran"
    figures: list[Figure] = attrs.field(factory=list)

    def note(self, detail: str) -> None:
        """Add an observation."""
        self.detail = f"{self.detail}; {detail}" if self.detail else detail

    def skip(self, status: CheckStatus, reason: str) -> None:
        """Set the status and the reason of a check that cannot run."""
        self.status, self.detail = status, reason

    def require(self, condition: object, message: str) -> None:
        """Fail with *message* unless *condition* is true.

        Raises:
            AsrlabError: If the condition is false.
        """
        if not condition:
            raise AsrlabError(message)

    def measure(self, figure: Figure) -> None:
        """Add a figure, and fail if the figure exceeds its tolerance.

        Raises:
            AsrlabError: If the tolerance is exceeded.
        """
        self.figures.append(figure)
        value = figure.largest if figure.relative is None else figure.relative
        self.require(
            figure.within, f"{figure.name}: difference {value} from the CPU exceeds the tolerance {figure.tolerance}"
        )


@attrs.define(kw_only=True)
class CellContext:
    """A cell that is running.

    Attributes:
        job: The cell.
        send: Writes a message to the parent process.
        simulation: The simulated device; None on a real device, and before the simulation starts.
    """

    job: CellJob
    send: Callable[[object], None]
    simulation: SimulatedDevice | None = None

    @property
    def device(self) -> str:
        """The device's name for ``asrlab.load``."""
        return self.job.device.device

    @property
    def is_reference(self) -> bool:
        """True on the CPU, the device that others are compared with."""
        return self.device == "cpu"

    @contextmanager
    def check(self, name: str, *, preliminary: bool = False) -> Iterator[RunningCheck]:
        """Run the block as a check: an exception in the block is caught and fails the check.

        Args:
            name: Name of the check.
            preliminary: True for a step that shows nothing about the device; reported only if it does not pass.
        """
        self.send(CheckStarted(check=name))
        check, error_line, start = RunningCheck(), "", time.monotonic()
        try:
            yield check
        except Exception as error:  # noqa: BLE001 - any error of an engine on a device is a result of the matrix
            _log.info("%s failed", name, exc_info=True)
            check.status, error_line = "failed", describe_error(error)
        if preliminary and check.status == "ran":
            return
        self.send(
            CheckResult(
                name=name,
                outcome=check.status,
                detail=check.detail,
                error=error_line,
                seconds=round(time.monotonic() - start, 3),
                figures=tuple(check.figures),
            )
        )

    def load(self, model: str, **options: Any) -> Transcriber:
        """Load *model* on this cell's device, offline, and send the facts of the loaded model."""
        transcriber = load(model, device=self.device, offline=True, **options)
        info = transcriber.info
        self.send(
            CellFacts(
                info=attrs.evolve(info.model, name=self.job.model),
                device=info.device,
                compute_type=info.compute_type,
                packages=info.packages,
                patches=transcriber.patch_report,
                backend=torch_build(self.device),
            )
        )
        return transcriber


@attrs.frozen(kw_only=True)
class Suite:
    """The checks of an engine.

    Attributes:
        run: Runs the checks, with the result of *setup*.
        setup: Computes the reference results on the CPU; runs before the device is simulated.
        own_weights: True if the suite writes its weights, so that the machine needs none.
    """

    run: Callable[[CellContext, Any], None]
    setup: Callable[[CellContext], Any] = lambda _context: None
    own_weights: bool = False


def describe_error(error: BaseException) -> str:
    """Return the first line of an error, with its type unless asrlab raised it, and without the home directory."""
    text = (str(error) or repr(error)).strip().partition("\n")[0].replace(str(Path.home()), "~")
    line = text if isinstance(error, AsrlabError) else f"{type(error).__name__}: {text}"
    return line if len(line) <= _MAX_LINE_CHARS else f"{line[:_MAX_LINE_CHARS]}..."
