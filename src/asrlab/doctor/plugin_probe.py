"""Tries plugins in a process of their own, before the process that asks for them imports them."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Sequence
from importlib.metadata import EntryPoint, entry_points

from asrlab.errors import OptionError
from asrlab.isolation import Task, run_tasks
from asrlab.plugins.manager import DISABLE, HOOKS, PluginHost
from asrlab.plugins.verdicts import is_known, keep_verdict, read_verdict

__all__ = ["TIMEOUT", "probe_plugins"]

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
    untried = [point for point in points if not is_known(point) or (again and _failed(point))]
    if not untried:
        return
    tasks = [_task(point) for point in untried]
    for task, answer in run_tasks([[task] for task in tasks], timeout_s=_timeout_s(), progress=progress):
        point = next(point for point, known in zip(untried, tasks, strict=True) if known is task)
        hint = f" (more time: {TIMEOUT}=SECONDS)" if answer.failure.startswith("does not end") else ""
        keep_verdict(point, f"it {answer.failure}{hint}; to try it again: asrlab plugins" if answer.died else "")


def _failed(point: EntryPoint) -> bool:
    verdict = read_verdict(point)
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


def _task(point: EntryPoint) -> Task:
    arguments = {"name": point.name, "value": point.value, "distribution": point.dist.name if point.dist else ""}
    return Task(label=point.name, function="asrlab.doctor.plugin_probe:probe_here", arguments=arguments)


def probe_here(*, name: str, value: str, distribution: str) -> None:
    """Import a plugin into this process and ask it what it offers; what it raises is of no interest here."""
    points: Iterable[EntryPoint] = entry_points(group="asrlab", name=name)
    found = [
        point for point in points if point.value == value and (point.dist.name if point.dist else "") == distribution
    ]
    host = PluginHost(points=found, disabled=())
    for hook, kind in HOOKS.items():
        host.collect(hook, kind)
