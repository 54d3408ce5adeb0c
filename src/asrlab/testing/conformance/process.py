"""Functions in a fresh child process."""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
from collections.abc import Callable
from contextlib import ExitStack
from importlib import import_module
from pathlib import Path
from typing import Any

from asrlab.errors import AsrlabError

_N_LAST_LINES = 15


def run_in_subprocess(
    function: Callable[..., Any],
    *arguments: Any,
    limit_s: float,
    simulated: bool = False,
    temporary: Path | None = None,
) -> Any:
    """Run *function* in a fresh process and return its result.

    Args:
        function: A function at the top of a module.
        arguments: Arguments of the function; arguments and result are pickled.
        limit_s: Maximum seconds.
        simulated: True to simulate MPS in the process.
        temporary: Folder for temporary files; None for the folder of this process.

    Raises:
        AsrlabError: If the process was killed, exceeded the limit, or raised.
    """
    call = pickle.dumps((function.__module__, function.__name__, arguments, simulated))
    environment = dict(os.environ) | ({"TMPDIR": str(temporary)} if temporary else {})
    environment["PYTHONPATH"] = os.pathsep.join(path for path in sys.path if path)
    command = (sys.executable, "-m", "asrlab.testing.conformance.process")
    name = f"the process of the conformance checks ({function.__name__})"
    try:
        done = subprocess.run(command, input=call, capture_output=True, check=False, timeout=limit_s, env=environment)
    except subprocess.TimeoutExpired as error:
        raise AsrlabError(
            f"{name} did not end within {limit_s:.0f} s; make the engine faster, or increase limit_s of the target"
        ) from error
    if done.returncode != 0:
        lines = done.stderr.decode(errors="replace").strip().splitlines()[-_N_LAST_LINES:]
        raise AsrlabError(f"{name} ended with exit code {done.returncode}; its last output:\n" + "\n".join(lines))
    return pickle.loads(done.stdout)  # noqa: S301 - written by the process that was started above


def main() -> None:
    """Run the call on standard input and write the result to standard output; other output goes to standard error."""
    results = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    module, name, arguments, simulated = pickle.load(sys.stdin.buffer)  # noqa: S301 - written by `run_in_subprocess`
    with ExitStack() as stack:
        if simulated:
            from asrlab.testing import simulated_mps

            stack.enter_context(simulated_mps())
        result = getattr(import_module(module), name)(*arguments)
    results.write(pickle.dumps(result))
    results.close()


if __name__ == "__main__":
    main()
