"""The child process of one cell."""

from __future__ import annotations

import gc
import pickle
from contextlib import ExitStack
from pathlib import Path
from pkgutil import resolve_name

from asrlab.engine.spec import EngineSpec
from asrlab.errors import DeviceUnavailableError, WeightsError
from asrlab.evaluation.matrix.cell_context import CellContext, CellJob, KernelUse, Suite, describe_error
from asrlab.evaluation.matrix.plan import find_suite
from asrlab.evaluation.matrix.records import machine_has
from asrlab.installation import runnable
from asrlab.loading import fetch_weights
from asrlab.plugins.manager import PluginHost
from asrlab.plugins.registry import Registry, ResolvedModel
from asrlab.weights import describe_origin, entry


def run_job(job: dict[str, str], messages: str) -> None:
    """Run a cell and append its messages to the file *messages*; the child's side of `supervise.run_cells`."""
    gc.enable()  # a cell takes minutes
    with Path(messages).open("wb") as stream:

        def send(message: object) -> None:
            stream.write(pickle.dumps(message))
            stream.flush()

        run_cell(CellContext(job=CellJob(**job), send=send))


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
            wanted = " or ".join(
                describe_origin(entry(key)) for key in (resolved.model.weights if resolved.model else ())
            )
            check.skip("not here", f"no weights ({wanted}); run: asrlab pull {resolved.name}")
    return check.status == "ran"


def _has_device(context: CellContext, spec: EngineSpec) -> bool:
    """Return whether the engine has the device, as far as this is known before the device is simulated."""
    simulated, kind = context.job.device.simulated, context.device
    if simulated and spec.uses("torch"):
        return True
    with context.check("device", preliminary=True) as check:
        report = spec.device_report()
        available = {name.partition(":")[0] for name in report.available}
        if kind not in available and (simulated or machine_has(kind)):
            check.skip("refused", report.why_not(kind))
        elif kind not in available:
            check.skip("not here", f"this machine has no {kind} device ({report.why_not(kind)})")
    return check.status == "ran"


def _run_suite(context: CellContext, suite: Suite) -> None:
    with ExitStack() as stack:
        with context.check("reference on the CPU", preliminary=True) as check:
            reference = suite.setup(context)
        if check.status != "ran" or not _simulate(context, stack):
            return
        suite.run(context, reference)
        if context.simulation is not None:
            report = context.simulation.report()
            context.send(KernelUse(plain=report.as_dict(), table=report.table()))


def _simulate(context: CellContext, stack: ExitStack) -> bool:
    """Enter the simulation if the cell has one; return whether the device is available."""
    simulator = context.job.device.simulator
    if not simulator:
        return True
    with context.check("simulated device", preliminary=True) as check:
        try:
            context.simulation = stack.enter_context(resolve_name(simulator)())
        except DeviceUnavailableError as error:
            check.skip("not here", describe_error(error))
    return check.status == "ran"
