"""Asks engines whether they import and which devices they have, in child processes.

The built-in engines share one process, in the order of their specs: PyTorch is then imported once for all of them. Each
other engine has a process of its own.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from importlib import import_module
from typing import Any

import attrs

from asrlab.engine.spec import EngineSpec
from asrlab.engine_import import import_engine
from asrlab.errors import EngineUnavailableError
from asrlab.isolation import Task, TaskResult, run_tasks
from asrlab.patches import PatchSelection
from asrlab.patches.direct import known_patches

IMPORT_TIMEOUT_S = 120.0
"""Seconds an engine may take to import before it counts as hanging."""

_FIELDS = ("name", "factory", "devices", "import_name", "distribution", "install", "reported_distributions")

type Offer = tuple[EngineSpec, str]
"""An engine and the distribution that offers it."""


@attrs.frozen(kw_only=True)
class EngineProbe:
    """What an engine answered.

    Attributes:
        row: Its devices, as ``asrlab devices --json`` has them; None if the engine does not import.
        failure: Why it does not.
    """

    row: dict[str, Any] | None
    failure: str = ""


def probe_engines(
    offers: Sequence[Offer], *, load: bool, progress: Callable[[Sequence[str]], object] = lambda _labels: None
) -> Iterator[tuple[EngineSpec, EngineProbe]]:
    """Start a probe of every engine, and yield each with its answer as it comes.

    Args:
        offers: The engines.
        load: Whether the module that loads models is imported too, which is the whole engine; otherwise only what tells
            the devices.
        progress: Called with the names of the engines that have not answered.
    """
    tasks = [_task(spec, load=load) for spec, _ in offers]
    groups = [[task for task, (_, distribution) in zip(tasks, offers, strict=True) if distribution == "asrlab"]]
    groups += [[task] for task, (_, distribution) in zip(tasks, offers, strict=True) if distribution != "asrlab"]
    answers = run_tasks(groups, timeout_s=IMPORT_TIMEOUT_S, progress=progress)
    return ((offers[_index(task, tasks)][0], _probe_of(answer)) for task, answer in answers)


def device_rows(
    offers: Sequence[Offer], *, progress: Callable[[Sequence[str]], object] = lambda _labels: None
) -> list[dict[str, Any]]:
    """Return a row for each engine, in order; an error where its devices are not known."""
    installed = [offer for offer in offers if offer[0].is_installed()]
    rows = {id(spec): _device_row(spec) for spec, _ in offers if not spec.is_installed()}
    for spec, probe in probe_engines(installed, load=False, progress=progress):
        rows[id(spec)] = probe.row or _failed_row(spec, f"engine {spec.name!r}: {probe.failure}; run: asrlab doctor")
    return [rows[id(spec)] for spec, _ in offers]


def _index(task: Task, tasks: Sequence[Task]) -> int:
    """Return the position of the very object: two distributions may offer engines of one name."""
    return next(index for index, known in enumerate(tasks) if known is task)


def _probe_of(answer: TaskResult) -> EngineProbe:
    failure = answer.failure if answer.raised or not answer.failure else f"its import {answer.failure}"
    return EngineProbe(row=answer.value, failure=failure)


def _task(spec: EngineSpec, *, load: bool) -> Task:
    arguments = {"fields": {name: getattr(spec, name) for name in _FIELDS}, "load": load}
    return Task(label=spec.name, function="asrlab.doctor.engines:probe_here", arguments=arguments)


def probe_here(*, fields: Mapping[str, Any], load: bool) -> dict[str, Any]:
    """Import an engine into this process and return the row of its devices."""
    spec = EngineSpec(models=(), **fields)
    if load:
        known = known_patches()
        with suppress(EngineUnavailableError):  # with the patches that its import needs; what it raises is raised below
            import_engine(spec, known, PatchSelection.parse(None, known))
        import_module(spec.factory.partition(":")[0])
    return _device_row(spec)


def _device_row(spec: EngineSpec) -> dict[str, Any]:
    """Return what the backend of *spec* answers; an error where it does not import."""
    try:
        report = spec.device_report()
    except EngineUnavailableError as error:
        return _failed_row(spec, error.message)
    return {
        "engine": spec.name,
        "available": list(report.available),
        "auto": report.best(),
        "missing": dict(report.missing),
        "error": None,
    }


def _failed_row(spec: EngineSpec, message: str) -> dict[str, Any]:
    """Return the row of an engine whose devices are not known."""
    return {"engine": spec.name, "available": [], "auto": None, "missing": {}, "error": message}
