"""The hooks that a plugin can implement.

A plugin is a module or an object, named by an entry point in the group ``asrlab``, that marks any of these functions
with ``asrlab.plugin.hookimpl``::

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
    """Return the engines that this plugin adds, without a heavy import."""
    raise NotImplementedError


@hookspec
def asrlab_datasets() -> Iterable[DatasetSpec]:
    """Return the named data sets that this plugin adds, without reading one."""
    raise NotImplementedError


@hookspec
def asrlab_patches() -> Iterable[Patch]:
    """Return the patches that this plugin adds, without an import of the packages that they change."""
    raise NotImplementedError


@hookspec
def asrlab_run_started(run: RunStarted) -> None:
    """Receive the facts of a run before it loads its first model."""


@hookspec
def asrlab_run_finished(run: RunFinished) -> None:
    """Receive the facts of a run after its end, with or without errors."""


@attrs.frozen(kw_only=True)
class RunStarted:
    """The facts of a run before it loads its first model.

    Attributes:
        dataset: Name of the data set.
        models: Full names of the models in the order in which they will run.
    """

    dataset: str
    models: tuple[str, ...]


@attrs.frozen(kw_only=True)
class RunFinished:
    """The facts of a run after its end.

    Attributes:
        dataset: Name of the data set.
        models: Full names of the models in the order in which they ran.
        utterances: Number of outcomes of all models.
        failed: Number of outcomes that are errors.
        seconds: Duration of the run, by a monotonic clock.
    """

    dataset: str
    models: tuple[str, ...]
    utterances: int
    failed: int
    seconds: float
