"""A cell of the matrix, a model on a device: the context of its checks, and its child process."""

from __future__ import annotations

import gc
import logging
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from pkgutil import resolve_name
from typing import TYPE_CHECKING, Any

import attrs

from asrlab.engine.spec import EngineSpec
from asrlab.environment import torch_build
from asrlab.errors import AsrlabError, DeviceUnavailableError, WeightsError
from asrlab.evaluation.matrix.records import (
    COLUMNS,
    CellFacts,
    CellResult,
    CheckResult,
    CheckStatus,
    DeviceColumn,
    Figure,
    machine_has,
)
from asrlab.evaluation.runs.storage import Ledger
from asrlab.installation import runnable
from asrlab.loading import fetch_weights, load
from asrlab.plugins.manager import PluginHost
from asrlab.plugins.registry import Registry, ResolvedModel
from asrlab.weights import describe_origin, entry

if TYPE_CHECKING:
    from asrlab.engine.transcriber import Transcriber

_log = logging.getLogger("asrlab.evaluation.matrix")
_MAX_LINE_CHARS = 300
CELL_RECORDS = {"cell": CellResult}
"""Record of a cell's ledger: the result so far."""
TINY = "liquid-audio/tiny"
"""The row of a checkpoint of random weights, which its suite writes. No registered model has this name."""
# The suite of a model or engine; dotted, because a suite may import its engine. Other engines have the last suite.
_SUITES = {
    TINY: "asrlab.evaluation.matrix.liquid_audio:TINY_SUITE",
    "faster-whisper": "asrlab.evaluation.matrix.whisper:SUITE",
    "openai-whisper": "asrlab.evaluation.matrix.whisper:SUITE",
    "liquid-audio": "asrlab.evaluation.matrix.liquid_audio:SUITE",
}
_DEFAULT_SUITE = "asrlab.evaluation.matrix.checks:SUITE"


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


@attrs.define
class RunningCheck:
    """A check that is running, with its observations and measurements so far."""

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
        """Fail with *message* unless *condition* is true."""
        if not condition:
            raise AsrlabError(message)

    def measure(self, figure: Figure) -> None:
        """Add a figure, and fail if the figure exceeds its tolerance."""
        self.figures.append(figure)
        difference = f"{figure.name}: difference {figure.compared} from the CPU"
        self.require(figure.within, f"{difference} exceeds the tolerance {figure.tolerance}")


@attrs.define(kw_only=True)
class CellContext:
    """A cell that is running.

    Attributes:
        job: The cell.
        save: Called with the result after each change, because a check may end the process.
        result: The result so far; its last check is ``failed`` without an error while the check runs.
        simulation: The ``asrlab.testing.Simulation``; None on a real device, and before the simulation starts.
    """

    job: CellJob
    save: Callable[[CellResult], object]
    result: CellResult = attrs.field(init=False)
    simulation: Any = None

    def __attrs_post_init__(self) -> None:
        self.result = CellResult(model=self.job.model, column=self.job.column)

    @property
    def device(self) -> str:
        """The device's name for ``asrlab.load``."""
        return self.job.device.device

    @property
    def is_simulated(self) -> bool:
        """True while the device is simulated."""
        return self.simulation is not None

    def update(self, **changes: Any) -> None:
        """Change fields of the result, and save it."""
        self.result = attrs.evolve(self.result, **changes)
        self.save(self.result)

    @contextmanager
    def check(self, name: str, *, preliminary: bool = False) -> Iterator[RunningCheck]:
        """Run the block as a check: an exception in the block is caught and fails the check.

        A *preliminary* step, which shows nothing about the device, is reported only if it does not pass.
        """
        earlier = self.result.checks
        self.update(checks=(*earlier, CheckResult(name=name, outcome="failed")))
        check, error_line, start = RunningCheck(), "", time.monotonic()
        try:
            yield check
        except Exception as error:  # noqa: BLE001 - any error of an engine on a device is a result of the matrix
            _log.info("%s failed", name, exc_info=True)
            check.status, error_line = "failed", describe_error(error)
        result = CheckResult(
            name=name,
            outcome=check.status,
            detail=check.detail,
            error=error_line,
            seconds=round(time.monotonic() - start, 3),
            figures=tuple(check.figures),
        )
        self.update(checks=earlier if preliminary and check.status == "ran" else (*earlier, result))

    def load(self, model: str, **options: Any) -> Transcriber:
        """Load *model* on this cell's device, offline, and add the facts of the loaded model to the result."""
        transcriber = load(model, device=self.device, offline=True, **options)
        info = transcriber.info
        self.update(
            facts=CellFacts(
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


def find_suite(model: str) -> Suite:
    """Return the checks of a model, ``engine/model``."""
    suite: Suite = resolve_name(_SUITES.get(model) or _SUITES.get(model.partition("/")[0]) or _DEFAULT_SUITE)
    return suite


def describe_error(error: BaseException) -> str:
    """Return the first line of an error, with its type unless asrlab raised it, and without the home directory."""
    text = (str(error) or repr(error)).strip().partition("\n")[0].replace(str(Path.home()), "~")
    line = text if isinstance(error, AsrlabError) else f"{type(error).__name__}: {text}"
    return line if len(line) <= _MAX_LINE_CHARS else f"{line[:_MAX_LINE_CHARS]}..."


def run_job(job: dict[str, str], ledger: str) -> None:
    """Run a cell, with its results so far in the file *ledger*; the child's side of `supervise.run_cells`."""
    gc.enable()  # a cell takes minutes
    with Ledger(Path(ledger), CELL_RECORDS) as results:
        run_cell(CellContext(job=CellJob(**job), save=results.append))


def run_cell(context: CellContext) -> None:
    """Run the checks of a cell, or report why none can run."""
    with context.check("engine", preliminary=True) as check:
        resolved = Registry(PluginHost()).resolve(context.job.load_name)
        suite = find_suite(context.job.model)
        if not resolved.engine.is_installed():
            package = resolved.engine.distribution or resolved.engine.import_name
            check.skip("not here", f"{package} is not installed; run: {runnable(resolved.engine.install)}")
    if check.status != "ran" or not (suite.own_weights or _has_weights(context, resolved)):
        return
    if _has_device(context, resolved.engine):
        _run_suite(context, suite)


def _has_weights(context: CellContext, resolved: ResolvedModel) -> bool:
    with context.check("weights", preliminary=True) as check:
        try:
            fetch_weights(resolved, offline=True)
        except WeightsError as error:
            if error.expected_sha256 or not error.tried:
                raise
            keys = resolved.model.weights if resolved.model else ()
            wanted = " or ".join(describe_origin(entry(key)) for key in keys)
            check.skip("not here", f"no weights ({wanted}); run: asrlab pull {resolved.name}")
    return check.status == "ran"


def _has_device(context: CellContext, spec: EngineSpec) -> bool:
    """Return whether the engine has the device, as far as this is known before the device is simulated."""
    simulated, kind = context.job.device.simulated, context.device
    if simulated and spec.uses("torch"):
        return True
    with context.check("device", preliminary=True) as check:
        report = spec.device_report()
        if kind not in {name.partition(":")[0] for name in report.available}:
            if simulated or machine_has(kind):
                check.skip("refused", report.why_not(kind))
            else:
                check.skip("not here", f"this machine has no {kind} device ({report.why_not(kind)})")
    return check.status == "ran"


def _run_suite(context: CellContext, suite: Suite) -> None:
    with ExitStack() as stack:
        with context.check("reference on the CPU", preliminary=True) as check:
            reference = suite.setup(context)
        if check.status == "ran" and context.job.device.simulated:
            with context.check("simulated device", preliminary=True) as check:
                try:
                    context.simulation = stack.enter_context(resolve_name(context.job.device.simulator)())
                except DeviceUnavailableError as error:
                    check.skip("not here", describe_error(error))
        if check.status != "ran":
            return
        suite.run(context, reference)
        if context.simulation is not None:
            report = context.simulation.report()
            context.update(kernels=report.as_dict(), kernel_table=report.table())
