"""The process of one cell."""

from __future__ import annotations

import logging
import os
import pickle
import sys
from contextlib import ExitStack
from typing import BinaryIO

from asrlab.engine.spec import EngineSpec
from asrlab.errors import DeviceUnavailableError, WeightsError
from asrlab.evaluation.matrix.cell_context import CellContext, Suite, first_line
from asrlab.evaluation.matrix.messages import Job, Kernels
from asrlab.evaluation.matrix.plan import suite_of
from asrlab.evaluation.matrix.records import machine_has
from asrlab.installation import runnable
from asrlab.loading import fetch_weights
from asrlab.plugins.manager import PluginHost
from asrlab.plugins.registry import Registry, ResolvedModel
from asrlab.weights import describe_origin, entry


def main() -> None:
    """Be the cell that standard input names, and tell of it on standard output."""
    # broken plugins have been reported by the process that started this one
    logging.getLogger("asrlab.plugins").setLevel(logging.CRITICAL)
    job: Job = pickle.load(sys.stdin.buffer)  # noqa: S301 - written by the process that started this one
    answers = _take_output()

    def send(message: object) -> None:
        answers.write(pickle.dumps(message))
        answers.flush()

    run_cell(CellContext(job=job, send=send))


def _take_output() -> BinaryIO:
    """The pipe to the other side; what engines print goes to standard error."""
    answers = os.fdopen(os.dup(1), "wb")
    sys.stdout.flush()
    os.dup2(2, 1)
    return answers


def run_cell(stage: CellContext) -> None:
    """Do the checks of a cell, or tell why there are none."""
    with stage.check("engine", preliminary=True) as check:
        resolved = Registry(PluginHost()).resolve(stage.job.asked)
        suite = suite_of(stage.job.model)
        if not resolved.engine.installed():
            needed = resolved.engine.distribution or resolved.engine.import_name
            check.stop("not here", f"{needed} is not installed; run: {runnable(resolved.engine.install)}")
    if check.outcome != "ran" or not (suite.own_weights or _has_weights(stage, resolved)):
        return
    if _is_there(stage, resolved.engine):
        _run(stage, suite)


def _has_weights(stage: CellContext, resolved: ResolvedModel) -> bool:
    with stage.check("weights", preliminary=True) as check:
        try:
            fetch_weights(resolved, offline=True)
        except WeightsError as error:
            if error.expected_sha256 or not error.tried:
                raise
            wanted = " or ".join(
                describe_origin(entry(key)) for key in (resolved.model.weights if resolved.model else ())
            )
            check.stop("not here", f"no weights ({wanted}); run: asrlab pull {resolved.name}")
    return check.outcome == "ran"


def _is_there(stage: CellContext, spec: EngineSpec) -> bool:
    """Whether the engine has the device, as far as can be told before the device is simulated."""
    simulated, kind = stage.job.where.simulated, stage.device
    if simulated and spec.uses("torch"):
        return True
    with stage.check("device", preliminary=True) as check:
        report = spec.device_report()
        offered = {name.partition(":")[0] for name in report.available}
        if kind not in offered and (simulated or machine_has(kind)):
            check.stop("refused", report.why_not(kind))
        elif kind not in offered:
            check.stop("not here", f"this machine has no {kind} device ({report.why_not(kind)})")
    return check.outcome == "ran"


def _run(stage: CellContext, suite: Suite) -> None:
    with ExitStack() as stack:
        with stage.check("preparing on the CPU", preliminary=True) as check:
            prepared = suite.prepare(stage)
        if check.outcome != "ran" or not _simulate(stage, stack):
            return
        suite.run(stage, prepared)
        if stage.simulation is not None:
            report = stage.simulation.report()
            stage.send(Kernels(plain=report.as_dict(), table=report.table()))


def _simulate(stage: CellContext, stack: ExitStack) -> bool:
    """Enter the simulation where the column asks for it; whether the device is there now."""
    if not stage.job.where.simulated:
        return True
    from asrlab.testing import simulated_mps

    with stage.check("simulated device", preliminary=True) as check:
        try:
            stage.simulation = stack.enter_context(simulated_mps())
        except DeviceUnavailableError as error:
            check.stop("not here", first_line(error))
    return check.outcome == "ran"
