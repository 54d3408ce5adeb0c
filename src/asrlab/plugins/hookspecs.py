"""The hooks a plugin may write.

A plugin is a module or an object, named by an entry point in the group ``asrlab``, with any of these functions marked
by ``asrlab.plugin.hookimpl``::

    import asrlab

    asrlab_plugin_api = 2


    @asrlab.plugin.hookimpl
    def asrlab_engines():
        return [asrlab.plugin.EngineSpec(...)]
"""

from __future__ import annotations

from collections.abc import Iterable

import attrs
import pluggy

from asrlab.engine.spec import EngineSpec
from asrlab.evaluation.datasets import DatasetSpec
from asrlab.patches import Patch

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


@attrs.frozen(kw_only=True)
class RunStarted:
    """A run is about to load its first model.

    Attributes:
        dataset: Its name.
        models: Full names, in the order they will run.
    """

    dataset: str
    models: tuple[str, ...]


@attrs.frozen(kw_only=True)
class RunFinished:
    """A run has come to its end.

    Attributes:
        dataset: Its name.
        models: Full names, in the order they ran.
        utterances: Outcomes, over all models.
        failed: How many of them are errors.
        seconds: From start to end, by a monotonic clock.
    """

    dataset: str
    models: tuple[str, ...]
    utterances: int
    failed: int
    seconds: float
