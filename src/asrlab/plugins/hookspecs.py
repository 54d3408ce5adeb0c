"""The hooks a plugin may write.

A plugin is a module or an object, named by an entry point in the group ``asrlab``, with any of these functions marked
by ``asrlab.hookimpl``::

    import asrlab

    asrlab_plugin_api = 1


    @asrlab.hookimpl
    def asrlab_engines():
        return [asrlab.EngineSpec(...)]
"""

from __future__ import annotations

from collections.abc import Iterable

import pluggy

from asrlab.evaluation.datasets import DatasetSpec
from asrlab.patches import Patch
from asrlab.plugins.events import RunFinished, RunStarted
from asrlab.spec import EngineSpec

__all__ = [
    "asrlab_datasets",
    "asrlab_engines",
    "asrlab_patches",
    "asrlab_run_finished",
    "asrlab_run_started",
    "hookimpl",
]

hookspec = pluggy.HookspecMarker("asrlab")
hookimpl = pluggy.HookimplMarker("asrlab")


@hookspec
def asrlab_engines() -> Iterable[EngineSpec]:
    """The engines this plugin adds. Must import nothing heavy."""
    raise NotImplementedError


@hookspec
def asrlab_datasets() -> Iterable[DatasetSpec]:
    """The data sets this plugin adds by name. Must read none."""
    raise NotImplementedError


@hookspec
def asrlab_patches() -> Iterable[Patch]:
    """The patches this plugin knows. Must import no package that they change."""
    raise NotImplementedError


@hookspec
def asrlab_run_started(run: RunStarted) -> None:
    """A run is about to load its first model."""


@hookspec
def asrlab_run_finished(run: RunFinished) -> None:
    """A run has come to its end, with or without errors."""
