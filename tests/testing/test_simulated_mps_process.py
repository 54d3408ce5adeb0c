"""Functions run in a process that simulates MPS, and scripts run by the command."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from asrlab.errors import AudioError, OptionError
from asrlab.testing import SimulatedProcess

pytest_plugins = ["asrlab.testing.pytest_plugin"]


def threads_and_pid() -> tuple[int, int]:
    """Return the number of threads of torch, and the id of the process."""
    import torch

    return torch.get_num_threads(), os.getpid()


def fail() -> None:
    """Raise an error of asrlab."""
    raise AudioError("no speech", source="a.wav")


def test_functions_run_in_one_process(simulated_mps_process: SimulatedProcess) -> None:
    """All functions run in the same child process, with the requested number of threads."""
    threads, pid = simulated_mps_process.run(threads_and_pid)
    assert threads == 1
    assert pid != os.getpid()
    assert simulated_mps_process.run(threads_and_pid) == (threads, pid)


def test_errors_are_raised_in_the_caller(simulated_mps_process: SimulatedProcess) -> None:
    """An exception of a function is raised in the caller with its attributes, and the process continues."""
    with pytest.raises(AudioError, match="no speech") as caught:
        simulated_mps_process.run(fail)
    assert caught.value.source == "a.wav"
    assert simulated_mps_process.run(threads_and_pid)


def test_functions_that_cannot_be_imported_are_refused(simulated_mps_process: SimulatedProcess) -> None:
    """A lambda, a nested function or a method is refused before it is sent."""

    def nested() -> None:
        """Do nothing."""

    for function in (lambda: None, nested, "text".upper):
        with pytest.raises(OptionError, match="at the top of a module"):
            simulated_mps_process.run(function)


def test_a_process_must_be_entered() -> None:
    """Using the process outside its with block is an error that names the with block."""
    with pytest.raises(OptionError, match="with block"):
        SimulatedProcess().report()


def run_command(*arguments: str | Path, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run ``python -m asrlab.testing.simulated_mps``; the fallback is off unless *variables* set it."""
    environment = {name: value for name, value in os.environ.items() if name != "PYTORCH_ENABLE_MPS_FALLBACK"}
    return subprocess.run(
        [sys.executable, "-m", "asrlab.testing.simulated_mps", *map(str, arguments)],
        capture_output=True,
        text=True,
        check=False,
        env=environment | {"OMP_NUM_THREADS": "1"} | variables,
    )


@pytest.fixture
def script(tmp_path: Path) -> Path:
    """Write a script that uses MPS, a module in its folder, and an op without a kernel, then exits with 3."""
    (tmp_path / "beside.py").write_text("SIZE = 2\n")
    path = tmp_path / "program.py"
    path.write_text(
        "import sys, torch\n"
        "from beside import SIZE\n"
        "print(torch.ones(SIZE, device='mps').device, sys.argv[1:])\n"
        "print(torch.mode(torch.eye(SIZE, device='mps'))[0].tolist())\n"
        "sys.exit(3)\n"
    )
    return path


def test_a_script_fails_at_an_op_without_a_kernel(script: Path) -> None:
    """Without the fallback, the script's error and the report go to standard error, and the exit code is 1."""
    done = run_command(script, "--json", "a")
    assert done.returncode == 1
    assert done.stdout == "mps:0 ['--json', 'a']\n"
    assert "NotImplementedError: The operator 'aten::mode'" in done.stderr
    assert "1 without a kernel" in done.stderr
    assert "no kernel: raised" in done.stderr


def test_the_fallback_runs_an_op_without_a_kernel(script: Path) -> None:
    """With PYTORCH_ENABLE_MPS_FALLBACK=1 the op warns and runs, and the script's exit code is returned."""
    done = run_command("--json", script, PYTORCH_ENABLE_MPS_FALLBACK="1")
    assert done.returncode == 3
    assert done.stdout.splitlines()[1] == "[0.0, 0.0]"
    assert "will fall back to run on the CPU. This may have performance implications. (simulated)" in done.stderr
    report = json.loads(done.stderr[done.stderr.index("\n{\n") :])
    assert report["simulated"] is True
    assert {"op": "mode", "calls": 1, "route": "fallback"} in report["ops"]


def test_a_missing_script_is_a_usage_error() -> None:
    """A path without a file gives one line and exit code 2."""
    done = run_command("nowhere.py")
    assert done.returncode == 2
    assert done.stderr == "error: no script 'nowhere.py' exists; name a Python file, or give --self-test\n"


def test_importing_the_command_module_is_refused() -> None:
    """Importing the command's module, which would hide the context manager, fails and names the right import."""
    code = "import asrlab.testing.simulated_mps"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert "write: from asrlab.testing import simulated_mps" in done.stderr
