"""A process of its own, in which nothing was imported yet."""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
from collections.abc import Callable
from contextlib import ExitStack
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

import attrs

from asrlab.errors import AsrlabError
from asrlab.evaluation.datasets import DatasetSpec
from asrlab.patches import Patch
from asrlab.plugins.manager import PluginHost
from asrlab.plugins.registry import Registry

_LAST_LINES = 15


def run_in_subprocess(
    function: Callable[..., Any],
    *arguments: Any,
    limit_s: float,
    simulated: bool = False,
    temporary: Path | None = None,
) -> Any:
    """Run *function*, one at the top of a module, in a fresh process and return what it returns.

    Args:
        function: Which; it and *arguments* and what it returns are pickled.
        arguments: Passed on.
        limit_s: Seconds that it may take.
        simulated: Whether the process simulates MPS for all of its life.
        temporary: Its folder for temporary files; None for this process's.

    Raises:
        AsrlabError: The process was killed, took too long, or raised.
    """
    call = pickle.dumps((function.__module__, function.__name__, arguments, simulated))
    environment = dict(os.environ) | ({"TMPDIR": str(temporary)} if temporary else {})
    environment["PYTHONPATH"] = os.pathsep.join(path for path in sys.path if path)
    command = (sys.executable, "-m", "asrlab.testing.conformance.process")
    what = f"a process of the kit ({function.__name__})"
    try:
        done = subprocess.run(command, input=call, capture_output=True, check=False, timeout=limit_s, env=environment)
    except subprocess.TimeoutExpired as error:
        raise AsrlabError(
            f"{what} did not end within {limit_s:.0f} s; make the engine faster, or give the subject a larger limit_s"
        ) from error
    if done.returncode != 0:
        last = done.stderr.decode(errors="replace").strip().splitlines()[-_LAST_LINES:]
        raise AsrlabError(f"{what} ended with code {done.returncode}; its last words:\n" + "\n".join(last))
    return pickle.loads(done.stdout)  # noqa: S301 - written by the process that was started above


def main() -> None:
    """Do what standard input says; the answer goes to standard output, what engines print to standard error."""
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    module, name, arguments, simulated = pickle.load(sys.stdin.buffer)  # noqa: S301 - written by `run_in_subprocess`
    with ExitStack() as stack:
        if simulated:
            from asrlab.testing import simulated_mps

            stack.enter_context(simulated_mps())
        import importlib

        answer = getattr(importlib.import_module(module), name)(*arguments)
    answers.write(pickle.dumps(answer))
    answers.close()


if __name__ == "__main__":
    main()
_HEAVY = (
    *("torch", "tensorflow", "jax", "onnxruntime", "ctranslate2", "transformers", "faster_whisper", "whisper", "nemo"),
    *("vosk", "pocketsphinx", "librosa", "scipy", "sklearn", "pandas", "av", "soundfile"),
)


@attrs.frozen(kw_only=True)
class Seen:
    """What happened.

    Attributes:
        heavy: Packages that were imported and belong to an engine.
        sockets: The kinds of socket events.
    """

    heavy: tuple[str, ...]
    sockets: tuple[str, ...]


def watch_listing(plugin: str, distribution: str, engine: str) -> Seen:
    """Load one plugin beside the built-in ones, and ask it for all that a listing shows.

    Args:
        plugin: The entry point's name.
        distribution: Who brought it; ``asrlab`` for what is built in.
        engine: The engine's name.
    """
    events: dict[str, None] = {}
    before = set(sys.modules)

    def note(event: str, _arguments: tuple[Any, ...]) -> None:
        if event.startswith("socket."):
            events[event] = None

    sys.addaudithook(note)
    points = [
        point
        for point in entry_points(group="asrlab")
        if point.name == plugin and point.dist is not None and point.dist.name == distribution
    ]
    host = PluginHost(points=points, disabled=())
    registry = Registry(host)
    for kind, hook in ((DatasetSpec, "asrlab_datasets"), (Patch, "asrlab_patches")):
        host.collect(hook, kind)
    spec = next(spec for spec in reversed(registry.engines()) if spec.name == engine)
    spec.installed()
    spec.packages()
    heavy = {spec.import_name, *_HEAVY} - {point.value.partition(".")[0].partition(":")[0] for point in points}
    found = sorted(name for name in set(sys.modules) - before if name in heavy)
    return Seen(heavy=tuple(found), sockets=tuple(events))
