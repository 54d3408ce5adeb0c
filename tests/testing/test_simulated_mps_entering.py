"""Entering and leaving the simulated MPS device: refusals, and the complete undoing of changes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import Any

import pytest

from asrlab.errors import DeviceUnavailableError, OptionError
from asrlab.testing import simulated_mps


@pytest.mark.parametrize("version", ["2.8.0", "2.10.0+cpu", "2.16.0", "3.0"])
def test_an_untested_torch_is_refused(monkeypatch: pytest.MonkeyPatch, version: str) -> None:
    """A torch that the simulation was not tested with is refused, and the message names the tested releases."""
    import torch

    monkeypatch.setattr(torch, "__version__", version)
    with (
        pytest.raises(
            DeviceUnavailableError, match=r"tested with torch 2\.9, 2\.11, 2\.12, 2\.13, 2\.14 and 2\.15, not with"
        ) as caught,
        simulated_mps(),
    ):
        pass
    assert version in caught.value.message
    assert caught.value.device == "mps"


def test_a_torch_built_with_mps_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """A torch that is built with MPS is not simulated."""
    import torch

    monkeypatch.setattr(torch.backends.mps, "is_built", lambda: True)
    with pytest.raises(DeviceUnavailableError, match="use device 'mps' itself"), simulated_mps():
        pass


def test_sparse_is_refused_if_torch_lacks_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """Sparse tensors are an OptionError if the installed torch does not support them on MPS."""
    from asrlab.testing.mps import ops, simulation

    no_kernels = ops.KernelTable(dense=frozenset(), sparse=frozenset())
    monkeypatch.setattr(simulation, "installed_kernels", lambda: no_kernels)
    with pytest.raises(OptionError, match="no sparse tensors on MPS"), simulated_mps(sparse=True):
        pass


PROGRAM = """
import contextlib, io, json, runpy, sys
import torch
from asrlab.errors import DeviceUnavailableError
from asrlab.testing import simulated_mps
from asrlab.testing.mps import selftest

def error_of(program):
    try:
        program()
    except Exception as error:
        return f"{type(error).__name__}: {error}"

def functions():
    members = [(torch, "load"), (torch.cuda, "is_available"), (torch.cuda, "device_count"), (torch.cuda, "_lazy_init"),
               (torch.backends.mps, "is_available"), (torch.backends.mps, "is_built"), (torch.mps, "synchronize")]
    swap = torch.__future__.get_swap_module_params_on_conversion()
    return [getattr(module, name) for module, name in members] + [
        swap, len(torch.overrides._get_current_function_mode_stack())]

facts, before, state = {}, functions(), torch.get_rng_state()
with simulated_mps(sparse=False) as simulation:
    facts["random state kept"] = torch.equal(torch.get_rng_state(), state)
    facts["ops of the self-test"] = len(simulation.report().uses)
    facts["functions inside"] = [a is b for a, b in zip(functions(), before, strict=True)]
    facts["sparse"] = error_of(lambda: torch.eye(2).to_sparse().to("mps"))
facts["functions after"] = [a is b for a, b in zip(functions(), before, strict=True)]
facts["new"] = error_of(lambda: torch.ones(2, device="mps"))
selftest._WITHOUT_KERNEL, real = "sin", selftest._WITHOUT_KERNEL
facts["failed self-test"] = error_of(lambda: simulated_mps().__enter__())
facts["functions after refusal"] = [a is b for a, b in zip(functions(), before, strict=True)]
selftest._WITHOUT_KERNEL = real
sys.argv = ["simulated_mps", "--self-test"]
with contextlib.redirect_stdout(io.StringIO()) as out:
    try:
        runpy.run_module("asrlab.testing.simulated_mps", run_name="__main__")
    except SystemExit as exit_request:
        facts["self-test code"] = exit_request.code
facts["self-test"] = out.getvalue().splitlines()
print(json.dumps(facts))
"""


@pytest.fixture(scope="module")
def observations() -> dict[str, Any]:
    """The observations of a process that enters and leaves several simulations."""
    environment = {name: value for name, value in os.environ.items() if name != "PYTORCH_ENABLE_MPS_FALLBACK"}
    done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=False, env=environment)
    assert done.returncode == 0, done.stderr
    facts: dict[str, Any] = json.loads(done.stdout)
    return facts


def test_leaving_undoes_every_change(observations: dict[str, Any]) -> None:
    """After leaving, torch's functions are the original objects, and the device is gone."""
    assert not any(observations["functions inside"][:7])
    assert all(observations["functions after"])
    assert observations["new"]
    assert "simulated" not in observations["new"]


def test_the_self_test_leaves_no_trace(observations: dict[str, Any]) -> None:
    """The self-test restores the random state and is not part of the report."""
    assert observations["random state kept"]
    assert observations["ops of the self-test"] == 0


def test_sparse_tensors_can_be_disabled(observations: dict[str, Any]) -> None:
    """With ``sparse=False`` a sparse tensor cannot move to the device, and the error is that of torch 2.8."""
    assert observations["sparse"].startswith(
        "NotImplementedError: Could not run 'aten::_sparse_coo_tensor_with_dims_and_tensors' with arguments from the "
        "'SparseMPS' backend."
    )
    assert observations["sparse"].endswith("(simulated)")


def test_a_failed_self_test_is_an_error(observations: dict[str, Any]) -> None:
    """If a program of the self-test fails, entering raises, names the program, and restores torch."""
    assert observations["failed self-test"].startswith(
        "DeviceUnavailableError: the simulated MPS device fails its self-test with torch"
    )
    assert (
        "FAILED  an op without a kernel is refused: no NotImplementedError was raised"
        in observations["failed self-test"]
    )
    assert all(observations["functions after refusal"])


def test_the_self_test_shows_its_programs(observations: dict[str, Any]) -> None:
    """``--self-test`` prints one line for each program and succeeds."""
    assert observations["self-test code"] == 0
    title, *lines = observations["self-test"]
    assert title.startswith("simulated MPS, torch ")
    assert len(lines) == 13
    assert all(line.startswith("ok  ") for line in lines)


def test_importing_loads_no_torch() -> None:
    """``import asrlab.testing`` and its names load neither torch nor numpy."""
    code = "import sys; from asrlab.testing import SimulatedProcess, simulated_mps as _; "
    code += "print({'torch', 'numpy'} & {*sys.modules})"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"
