"""Import an engine before its weights are asked for."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterable
from contextlib import suppress

from asrlab.errors import EngineUnavailableError
from asrlab.patches import Patch, PatchChoice, import_modules
from asrlab.spec import EngineSpec

__all__ = ["import_engine", "import_engine_apart"]

IMPORT_LIMIT_S = 120
"""Seconds an engine may take to import before it counts as hanging."""

_ANSWER = "asrlab import: "
_CODE = f"""
import json
from asrlab.engine_import import import_engine
from asrlab.errors import EngineUnavailableError
from asrlab.patches import PatchChoice
from asrlab.patching import known_patches
from asrlab.spec import EngineSpec
given = json.loads(sys.argv[1])
known, message = known_patches(), ""
try:
    import_engine(EngineSpec(models=(), **given["spec"]), known, PatchChoice.of(given["patches"], known))
except EngineUnavailableError as error:
    message = error.message
print("\\n{_ANSWER}" + json.dumps(message))
"""


def import_engine(spec: EngineSpec, patches: Iterable[Patch], choice: PatchChoice) -> None:
    """Import the code of an engine, as far as its patches allow.

    Args:
        spec: The engine.
        patches: All known patches.
        choice: Which of them may be applied.

    Raises:
        EngineUnavailableError: The package is missing or does not import.
    """
    spec.check_installed()
    for patch in patches:
        if spec.uses(patch.distribution) and not choice.forbids(patch, direct=False):
            with suppress(Exception, SystemExit):  # the engine's own import will report it
                import_modules(patch)
    spec.check_imports()


def import_engine_apart(spec: EngineSpec, *, patches: str | Iterable[str] | None = None) -> None:
    """Import the code of an engine in a process of its own, which a broken library may end.

    Args:
        spec: The engine.
        patches: Which patches may be applied, as `asrlab.load` takes them.

    Raises:
        EngineUnavailableError: The package is missing or does not import.
    """
    spec.check_installed()
    names = ("name", "factory", "devices", "import_name", "distribution", "install", "versions_of")
    given = {
        "spec": {name: getattr(spec, name) for name in names},
        "patches": patches if patches is None or isinstance(patches, str) else ",".join(patches),
    }
    # the path of this process: with -c the current folder would come first, and could shadow the engine
    code = f"import sys; sys.path[:] = {sys.path!r}{_CODE}"
    try:
        done = subprocess.run(
            [sys.executable, "-c", code, json.dumps(given)],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            encoding="utf-8",
            errors="replace",
            timeout=IMPORT_LIMIT_S,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise _does_not_import(spec, f"its import does not end within {IMPORT_LIMIT_S} s") from error
    answers = [line.removeprefix(_ANSWER) for line in done.stdout.splitlines() if line.startswith(_ANSWER)]
    if not answers:
        last = done.stderr.strip().splitlines()[-1:]
        raise _does_not_import(spec, "; ".join([f"its import ended the process with status {done.returncode}", *last]))
    if message := json.loads(answers[0]):
        raise EngineUnavailableError(message, engine=spec.name)


def _does_not_import(spec: EngineSpec, reason: str) -> EngineUnavailableError:
    return EngineUnavailableError(
        f"engine {spec.name!r} is installed but does not import: {reason}; run: asrlab doctor", engine=spec.name
    )
