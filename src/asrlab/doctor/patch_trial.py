"""Tries every known patch, in child processes that import the packages concerned."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import attrs

from asrlab.isolation import Answer, Task, run_tasks
from asrlab.patches import Patch, PatchChoice
from asrlab.patching import check_device, known_patches, try_patches
from asrlab.plugins.manager import BUILTINS, PluginHost
from asrlab.spec import EngineSpec
from asrlab.transcript import PatchStatus
from asrlab.versions import installed_version

__all__ = ["PATCH_TIMEOUT_S", "try_all_patches"]

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
    PatchChoice.of(choice, known)
    check_device(device)
    patches = [patch for patch in known if engines is None or any(spec.uses(patch.distribution) for spec in engines)]
    distributions = list(dict.fromkeys(patch.distribution for patch in patches))
    tasks = [_task(name, device, choice) for name in distributions if installed_version(name) is not None]
    found: dict[str, PatchStatus] = {}
    for name in distributions:
        if installed_version(name) is None:  # each is skipped, whatever the device is
            tried = try_patches(device="cpu", patches=choice, host=host, distributions=(name,))
            found |= {patch.name: status for patch, status in tried}
    for task, answer in run_tasks(_groups(tasks, host), timeout_s=PATCH_TIMEOUT_S, progress=progress):
        found |= _statuses(task, answer, patches)
    return tuple((patch, found[patch.name]) for patch in patches)


def _task(distribution: str, device: str, choice: str | None) -> Task:
    return Task(
        label=distribution,
        function="asrlab.doctor.patch_trial:try_here",
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


def _statuses(task: Task, answer: Answer, patches: Iterable[Patch]) -> Mapping[str, PatchStatus]:
    if not answer.failure:
        return {row["name"]: PatchStatus(**row) for row in answer.value}
    reason = answer.failure if answer.raised else f"importing {task.label} {answer.failure}"
    return {
        patch.name: PatchStatus(
            name=patch.name, distribution=patch.distribution, status="failed", reason=reason, link=patch.link
        )
        for patch in patches
        if patch.distribution == task.label
    }


def try_here(*, distribution: str, device: str, choice: str | None) -> list[dict[str, Any]]:
    """Import a package into this process, try its patches and return their statuses."""
    tried = try_patches(device=device, patches=choice, distributions=(distribution,))
    return [attrs.asdict(status) for _, status in tried]
