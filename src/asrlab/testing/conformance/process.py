"""A process of its own, in which nothing was imported yet."""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from asrlab.errors import AsrlabError

__all__ = ["main", "run_apart"]

_LAST_LINES = 15


def run_apart(
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
    module, name, arguments, simulated = pickle.load(sys.stdin.buffer)  # noqa: S301 - written by `run_apart`
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
