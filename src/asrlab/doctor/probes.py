"""Probes of engines, patches and plugins in child processes.

The built-in engines share a process, in the order of their specs, so that PyTorch is imported once for all of them.
Other engines and plugins have a process each.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from importlib import import_module
from importlib.metadata import EntryPoint, entry_points
from typing import Any

import attrs

from asrlab.engine.spec import EngineSpec
from asrlab.environment import installed_version
from asrlab.errors import EngineUnavailableError, OptionError
from asrlab.isolation import Task, TaskResult, run_tasks
from asrlab.loading import import_engine
from asrlab.patches import Patch, PatchSelection
from asrlab.patches.direct import check_device, known_patches, try_patches
from asrlab.plugins.manager import (
    BUILTINS,
    DISABLE,
    HOOKS,
    PluginHost,
    is_probed,
    read_probe_result,
    save_probe_result,
)
from asrlab.transcript import PatchStatus

type Progress = Callable[[Sequence[str]], object]
"""A function that is called with the labels of the pending tasks."""
type Offer = tuple[EngineSpec, str]  # with the distribution that offers the engine
PATCH_TIMEOUT_S = 300.0  # for the import of a package and its patches
IMPORT_TIMEOUT_S = 120.0  # for the import of an engine
DEFAULT_TIMEOUT_S = 30.0  # for a plugin to list what it offers, for which it should import nothing heavy
TIMEOUT = "ASRLAB_PLUGIN_TIMEOUT"
_FIELDS = ("name", "factory", "devices", "import_name", "distribution", "install", "reported_distributions")


def try_all_patches(
    host: PluginHost, *, device: str, choice: str | None, engines: Sequence[EngineSpec] | None, progress: Progress
) -> tuple[tuple[Patch, PatchStatus], ...]:
    """Try each known patch, and return it with its status.

    Args:
        host: The plugins that offer patches.
        device: A device such as ``mps``, or ``auto``.
        choice: ``auto``, ``off`` or names; None reads ``ASRLAB_PATCHES``.
        engines: Engines whose packages' patches are tried; None for all patches.
        progress: Called with the distributions whose import is pending.

    Raises:
        PatchError: If a named patch does not exist.
        DeviceUnavailableError: If the name is not that of a device.
    """
    known = known_patches(host)
    PatchSelection.parse(choice, known)
    check_device(device)
    patches = [patch for patch in known if engines is None or any(spec.uses(patch.distribution) for spec in engines)]
    builtin = {patch.distribution for plugin, patch in host.collect("asrlab_patches", Patch) if plugin.name in BUILTINS}
    statuses: dict[str, PatchStatus] = {}
    shared: list[Task] = []
    groups = [shared]  # the packages of built-in engines share a process
    for name in dict.fromkeys(patch.distribution for patch in patches):
        if installed_version(name) is None:  # its patches are skipped on any device
            tried = try_patches(device="cpu", patches=choice, host=host, distributions=(name,))
            statuses |= {patch.name: status for patch, status in tried}
            continue
        arguments = {"distribution": name, "device": device, "choice": choice}
        task = Task(label=name, function="asrlab.doctor.probes:try_patches_here", arguments=arguments)
        if name in builtin:
            shared.append(task)
        else:
            groups.append([task])
    for task, result in run_tasks(groups, timeout_s=PATCH_TIMEOUT_S, progress=progress):
        statuses |= _patch_statuses(task, result, patches)
    return tuple((patch, statuses[patch.name]) for patch in patches)


def _patch_statuses(task: Task, result: TaskResult, patches: Iterable[Patch]) -> Mapping[str, PatchStatus]:
    if not result.failure:
        return {row["name"]: PatchStatus(**row) for row in result.value}
    reason = result.failure if result.raised else f"importing {task.label} {result.failure}"
    return {
        patch.name: PatchStatus(
            name=patch.name, distribution=patch.distribution, status="failed", reason=reason, link=patch.issue_url
        )
        for patch in patches
        if patch.distribution == task.label
    }


def try_patches_here(*, distribution: str, device: str, choice: str | None) -> list[dict[str, Any]]:
    """Import a package into this process, try its patches, and return their statuses."""
    tried = try_patches(device=device, patches=choice, distributions=(distribution,))
    return [attrs.asdict(status) for _, status in tried]


def probe_plugins(*, again: bool, progress: Progress) -> None:
    """Try each plugin that was not tried with its present files, or *again* if it failed, and store the result.

    Raises:
        OptionError: If ``ASRLAB_PLUGIN_TIMEOUT`` is not a number of seconds.
    """
    disabled = {name.strip() for name in os.environ.get(DISABLE, "").split(",")}
    points: dict[int, EntryPoint] = {}  # by the identity of the task: two distributions may offer plugins of one name
    tasks = []
    for point in entry_points(group="asrlab") if "*" not in disabled else ():
        stored = read_probe_result(point)
        if point.name in disabled or (is_probed(point) and not (again and stored and stored.failure)):
            continue
        arguments = {"name": point.name, "value": point.value, "distribution": _distribution_of(point)}
        task = Task(label=point.name, function="asrlab.doctor.probes:import_plugin_here", arguments=arguments)
        tasks.append([task])
        points[id(task)] = point
    if not tasks:
        return
    for task, result in run_tasks(tasks, timeout_s=_plugin_timeout_s(), progress=progress):
        hint = f" (more time: {TIMEOUT}=SECONDS)" if result.failure.startswith("does not end") else ""
        failure = f"it {result.failure}{hint}; to try it again: asrlab plugins" if result.died else ""
        save_probe_result(points[id(task)], failure)


def _plugin_timeout_s() -> float:
    written = os.environ.get(TIMEOUT, "")
    try:
        seconds = float(written) if written else DEFAULT_TIMEOUT_S
    except ValueError:
        seconds = 0.0
    if not 0 < seconds < float("inf"):
        raise OptionError(f"{TIMEOUT} must be a number of seconds above 0, not {written!r}", option=TIMEOUT)
    return seconds


def _distribution_of(point: EntryPoint) -> str:
    return point.dist.name if point.dist else ""


def import_plugin_here(*, name: str, value: str, distribution: str) -> None:
    """Import a plugin into this process and collect what it offers; exceptions are reported elsewhere."""
    named = entry_points(group="asrlab", name=name)
    points = [point for point in named if point.value == value and _distribution_of(point) == distribution]
    host = PluginHost(points=points, disabled=())
    for hook, kind in HOOKS.items():
        host.collect(hook, kind)


def probe_engines(
    offers: Sequence[Offer], *, load: bool, progress: Progress
) -> Iterator[tuple[EngineSpec, TaskResult]]:
    """Start a probe of every engine, and return an iterator over the results as they arrive.

    The value of a result is the engine's row of `device_rows`.

    Args:
        offers: The engines with their distributions.
        load: Import the module that loads models, and so the whole engine; otherwise only what lists devices.
        progress: Called with the names of the pending engines.
    """
    specs: dict[int, EngineSpec] = {}  # by the identity of the task: two distributions may offer engines of one name
    shared: list[Task] = []
    groups = [shared]
    for spec, distribution in offers:
        arguments = {"fields": {name: getattr(spec, name) for name in _FIELDS}, "load": load}
        task = Task(label=spec.name, function="asrlab.doctor.probes:import_engine_here", arguments=arguments)
        specs[id(task)] = spec
        if distribution == "asrlab":
            shared.append(task)
        else:
            groups.append([task])
    answers = run_tasks(groups, timeout_s=IMPORT_TIMEOUT_S, progress=progress)
    return ((specs[id(task)], _complete_failure(answer)) for task, answer in answers)


def _complete_failure(answer: TaskResult) -> TaskResult:
    """Put a subject before a failure that lacks one."""
    return (
        answer if answer.raised or not answer.failure else attrs.evolve(answer, failure=f"its import {answer.failure}")
    )


def device_rows(offers: Sequence[Offer], *, progress: Progress) -> list[dict[str, Any]]:
    """Return a row for each engine, in order, with an error if its devices are not known."""
    installed = [offer for offer in offers if offer[0].is_installed()]
    rows = {id(spec): _device_row(spec) for spec, _ in offers if not spec.is_installed()}
    for spec, probe in probe_engines(installed, load=False, progress=progress):
        rows[id(spec)] = probe.value or _error_row(spec, f"engine {spec.name!r}: {probe.failure}; run: asrlab doctor")
    return [rows[id(spec)] for spec, _ in offers]


def import_engine_here(*, fields: Mapping[str, Any], load: bool) -> dict[str, Any]:
    """Import an engine into this process and return the row of its devices."""
    spec = EngineSpec(models=(), **fields)
    if load:
        known = known_patches()
        with suppress(EngineUnavailableError):  # with the patches that its import needs; an error is raised again below
            import_engine(spec, known, PatchSelection.parse(None, known))
        import_module(spec.factory.partition(":")[0])
    return _device_row(spec)


def _device_row(spec: EngineSpec) -> dict[str, Any]:
    """Return the devices that the package of *spec* reports, or an error if it does not import."""
    try:
        report = spec.device_report()
    except EngineUnavailableError as error:
        return _error_row(spec, error.message)
    facts = {"available": list(report.available), "auto": report.best(), "missing": dict(report.missing)}
    return {"engine": spec.name, **facts, "error": None}


def _error_row(spec: EngineSpec, message: str) -> dict[str, Any]:
    """Return the row of an engine whose devices are unknown."""
    return {"engine": spec.name, "available": [], "auto": None, "missing": {}, "error": message}
