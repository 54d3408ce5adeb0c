"""Import of an engine before its weights are fetched."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextlib import suppress
from typing import Any

from asrlab.engine.spec import EngineSpec
from asrlab.errors import EngineUnavailableError
from asrlab.isolation import Task, run_tasks
from asrlab.patches import Patch, PatchSelection, import_modules
from asrlab.patches.direct import known_patches

IMPORT_LIMIT_S = 120
"""Seconds an engine may take to import before it counts as hanging."""


def import_engine(spec: EngineSpec, patches: Iterable[Patch], selection: PatchSelection) -> None:
    """Import the code of an engine, and first the modules that its patches change.

    Args:
        spec: The engine.
        patches: All known patches.
        selection: The patches that may be applied.

    Raises:
        EngineUnavailableError: If the package is missing or cannot be imported.
    """
    spec.check_installed()
    for patch in patches:
        if spec.uses(patch.distribution) and not selection.why_skipped(patch, direct=False):
            with suppress(Exception, SystemExit):  # the engine's own import will report it
                import_modules(patch)
    spec.check_imports()


def import_engine_apart(spec: EngineSpec, *, patches: str | Iterable[str] | None = None) -> None:
    """Import the code of an engine in a process of its own, because a broken library may end the process.

    Args:
        spec: The engine.
        patches: The patches that may be applied, as for `asrlab.load`.

    Raises:
        EngineUnavailableError: If the package is missing or cannot be imported.
    """
    spec.check_installed()
    names = ("name", "factory", "devices", "import_name", "distribution", "install", "reported_distributions")
    arguments = {
        "spec": {name: getattr(spec, name) for name in names},
        "patches": patches if patches is None or isinstance(patches, str) else ",".join(patches),
    }
    task = Task(label=spec.name, function=f"{__name__}:answer_import", arguments=arguments)
    [(_, answer)] = run_tasks([[task]], timeout_s=IMPORT_LIMIT_S)
    if answer.failure:
        raise _does_not_import(spec, answer.failure if answer.raised else f"its import {answer.failure}")
    if answer.value:
        raise EngineUnavailableError(answer.value, engine=spec.name)


def answer_import(spec: Mapping[str, Any], patches: str | None) -> str:
    """Import an engine in this process and return the error message; empty if there is no error.

    Args:
        spec: Fields of the engine's `EngineSpec`.
        patches: The patches that may be applied.
    """
    known = known_patches()
    try:
        import_engine(EngineSpec(models=(), **spec), known, PatchSelection.parse(patches, known))
    except EngineUnavailableError as error:
        return error.message
    return ""


def _does_not_import(spec: EngineSpec, reason: str) -> EngineUnavailableError:
    return EngineUnavailableError(
        f"engine {spec.name!r} is installed but cannot be imported: {reason}; run: asrlab doctor", engine=spec.name
    )
