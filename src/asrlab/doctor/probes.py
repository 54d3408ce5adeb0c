"""Tries every known patch, in child processes that import the packages concerned."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from importlib.metadata import EntryPoint, entry_points
from typing import Any

import attrs

from asrlab.engine.spec import EngineSpec
from asrlab.environment import installed_version
from asrlab.errors import OptionError
from asrlab.isolation import Task, TaskResult, run_tasks
from asrlab.patches import Patch, PatchSelection
from asrlab.patches.direct import check_device, known_patches, try_patches
from asrlab.plugins.manager import BUILTINS, DISABLE, HOOKS, PluginHost
from asrlab.plugins.probe_cache import is_probed, read_probe_result, save_probe_result
from asrlab.transcript import PatchStatus

PATCH_TIMEOUT_S = 300.0
"""Seconds that importing a package and trying its patches may take."""


def try_all_patches(
    host: PluginHost,
    *,
    device: str,
    choice: str | None,
    engines: Sequence[EngineSpec] | None = None,
    progress: Callable[[Sequence[str]], object] = lambda _labels: None,
) -> tuple[tuple[Patch, PatchStatus], ...]:
    """Return each known patch with what it does here.

    Args:
        host: The plugins to ask.
        device: Such as ``mps``, or ``auto``.
        choice: ``auto``, ``off`` or names; None reads ``ASRLAB_PATCHES``.
        engines: The engines whose packages' patches are of interest; None for all patches.
        progress: Called with the distributions that are still being imported.

    Raises:
        PatchError: A patch that was named does not exist.
        DeviceUnavailableError: There is no device of this name anywhere.
    """
    known = known_patches(host)
    PatchSelection.parse(choice, known)
    check_device(device)
    patches = [patch for patch in known if engines is None or any(spec.uses(patch.distribution) for spec in engines)]
    distributions = list(dict.fromkeys(patch.distribution for patch in patches))
    tasks = [_patch_task(name, device, choice) for name in distributions if installed_version(name) is not None]
    found: dict[str, PatchStatus] = {}
    for name in distributions:
        if installed_version(name) is None:  # each is skipped, whatever the device is
            tried = try_patches(device="cpu", patches=choice, host=host, distributions=(name,))
            found |= {patch.name: status for patch, status in tried}
    for task, answer in run_tasks(_groups(tasks, host), timeout_s=PATCH_TIMEOUT_S, progress=progress):
        found |= _statuses(task, answer, patches)
    return tuple((patch, found[patch.name]) for patch in patches)


def _patch_task(distribution: str, device: str, choice: str | None) -> Task:
    return Task(
        label=distribution,
        function="asrlab.doctor.probes:try_here",
        arguments={"distribution": distribution, "device": device, "choice": choice},
    )


def _groups(tasks: Iterable[Task], host: PluginHost) -> list[list[Task]]:
    """Return the tasks such that the packages of the built-in engines share a process."""
    offered = host.collect("asrlab_patches", Patch)
    builtin = {patch.distribution for plugin, patch in offered if plugin.name in BUILTINS}
    shared, alone = [], []
    for task in tasks:
        if task.label in builtin:
            shared.append(task)
        else:
            alone.append([task])
    return [shared, *alone]


def _statuses(task: Task, answer: TaskResult, patches: Iterable[Patch]) -> Mapping[str, PatchStatus]:
    if not answer.failure:
        return {row["name"]: PatchStatus(**row) for row in answer.value}
    reason = answer.failure if answer.raised else f"importing {task.label} {answer.failure}"
    return {
        patch.name: PatchStatus(
            name=patch.name, distribution=patch.distribution, status="failed", reason=reason, link=patch.issue_url
        )
        for patch in patches
        if patch.distribution == task.label
    }


def try_here(*, distribution: str, device: str, choice: str | None) -> list[dict[str, Any]]:
    """Import a package into this process, try its patches and return their statuses."""
    tried = try_patches(device=device, patches=choice, distributions=(distribution,))
    return [attrs.asdict(status) for _, status in tried]


TIMEOUT = "ASRLAB_PLUGIN_TIMEOUT"
DEFAULT_TIMEOUT_S = 30.0
"""Seconds in which a plugin must import and name what it offers; it is to import nothing heavy for that."""


def probe_plugins(*, again: bool = False, progress: Callable[[Sequence[str]], object] = lambda _labels: None) -> None:
    """Try each plugin that was not tried yet with the files it has, and keep what it did to its process.

    Args:
        again: Whether those that failed before are tried again.
        progress: Called with the names of the plugins that are being tried.

    Raises:
        OptionError: ``ASRLAB_PLUGIN_TIMEOUT`` is no number of seconds.
    """
    disabled = {name.strip() for name in os.environ.get(DISABLE, "").split(",")}
    if "*" in disabled:
        return
    points = [point for point in entry_points(group="asrlab") if point.name not in disabled]
    untried = [point for point in points if not is_probed(point) or (again and _failed(point))]
    if not untried:
        return
    tasks = [_plugin_task(point) for point in untried]
    for task, answer in run_tasks([[task] for task in tasks], timeout_s=_timeout_s(), progress=progress):
        point = next(point for point, known in zip(untried, tasks, strict=True) if known is task)
        hint = f" (more time: {TIMEOUT}=SECONDS)" if answer.failure.startswith("does not end") else ""
        save_probe_result(point, f"it {answer.failure}{hint}; to try it again: asrlab plugins" if answer.died else "")


def _failed(point: EntryPoint) -> bool:
    verdict = read_probe_result(point)
    return verdict is not None and bool(verdict.failure)


def _timeout_s() -> float:
    written = os.environ.get(TIMEOUT, "")
    try:
        seconds = float(written) if written else DEFAULT_TIMEOUT_S
    except ValueError:
        seconds = 0.0
    if not 0 < seconds < float("inf"):
        raise OptionError(f"{TIMEOUT} must be a number of seconds above 0, not {written!r}", option=TIMEOUT)
    return seconds


def _plugin_task(point: EntryPoint) -> Task:
    arguments = {"name": point.name, "value": point.value, "distribution": point.dist.name if point.dist else ""}
    return Task(label=point.name, function="asrlab.doctor.probes:probe_here", arguments=arguments)


def probe_here(*, name: str, value: str, distribution: str) -> None:
    """Import a plugin into this process and ask it what it offers; what it raises is of no interest here."""
    points: Iterable[EntryPoint] = entry_points(group="asrlab", name=name)
    found = [
        point for point in points if point.value == value and (point.dist.name if point.dist else "") == distribution
    ]
    host = PluginHost(points=found, disabled=())
    for hook, kind in HOOKS.items():
        host.collect(hook, kind)
