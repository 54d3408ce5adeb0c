"""Entering and leaving the simulated MPS device: what is refused, and that nothing stays behind."""

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
    """A torch that the simulation was not tested with is refused, and the message names those that were."""
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


def test_a_real_mps_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where torch is built with MPS nothing is simulated."""
    import torch

    monkeypatch.setattr(torch.backends.mps, "is_built", lambda: True)
    with pytest.raises(DeviceUnavailableError, match="use device 'mps' itself"), simulated_mps():
        pass


def test_sparse_cannot_be_asked_of_a_torch_without(monkeypatch: pytest.MonkeyPatch) -> None:
    """Asking for sparse tensors where the installed torch lacks them is a wrong option."""
    from asrlab.testing.mps import op_tables

    bare = op_tables.KernelTable(dense=frozenset(), sparse=frozenset())
    monkeypatch.setattr(op_tables, "installed_kernels", lambda: bare)
    with pytest.raises(OptionError, match="no sparse tensors on MPS"), simulated_mps(sparse=True):
        pass


FRESH = """
import contextlib, io, json
import torch
from asrlab.errors import DeviceUnavailableError
from asrlab.testing import simulated_mps
from asrlab.testing.mps import command, selftest

def error_of(program):
    try:
        program()
    except Exception as error:
        return f"{type(error).__name__}: {error}"

def functions():
    places = [(torch, "load"), (torch.cuda, "is_available"), (torch.cuda, "device_count"), (torch.cuda, "_lazy_init"),
              (torch.backends.mps, "is_available"), (torch.backends.mps, "is_built"), (torch.mps, "synchronize")]
    swap = torch.__future__.get_swap_module_params_on_conversion()
    return [getattr(place, name) for place, name in places] + [
        swap, len(torch.overrides._get_current_function_mode_stack())]

found, before, state = {}, functions(), torch.get_rng_state()
with simulated_mps(sparse=False) as simulation:
    found["random state kept"] = torch.equal(torch.get_rng_state(), state)
    found["ops of the self-test"] = len(simulation.report().uses)
    found["functions inside"] = [a is b for a, b in zip(functions(), before, strict=True)]
    found["sparse"] = error_of(lambda: torch.eye(2).to_sparse().to("mps"))
found["functions after"] = [a is b for a, b in zip(functions(), before, strict=True)]
found["new"] = error_of(lambda: torch.ones(2, device="mps"))
selftest._WITHOUT_KERNEL, real = "sin", selftest._WITHOUT_KERNEL
found["misbehaving"] = error_of(lambda: simulated_mps().__enter__())
found["functions after refusal"] = [a is b for a, b in zip(functions(), before, strict=True)]
selftest._WITHOUT_KERNEL = real
with contextlib.redirect_stdout(io.StringIO()) as out:
    found["self-test code"] = command.main(["--self-test"])
found["self-test"] = out.getvalue().splitlines()
print(json.dumps(found))
"""


@pytest.fixture(scope="module")
def fresh() -> dict[str, Any]:
    """What a process sees that enters and leaves several simulations."""
    environment = {name: value for name, value in os.environ.items() if name != "PYTORCH_ENABLE_MPS_FALLBACK"}
    done = subprocess.run([sys.executable, "-c", FRESH], capture_output=True, text=True, check=False, env=environment)
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def test_leaving_undoes_everything(fresh: dict[str, Any]) -> None:
    """After leaving, torch's functions are the very same objects, and the device is gone."""
    assert not any(fresh["functions inside"][:7])
    assert all(fresh["functions after"])
    assert fresh["new"]
    assert "simulated" not in fresh["new"]


def test_the_self_test_leaves_no_trace(fresh: dict[str, Any]) -> None:
    """The self-test draws none of the program's random numbers and is not in its report."""
    assert fresh["random state kept"]
    assert fresh["ops of the self-test"] == 0


def test_sparse_tensors_can_be_taken_away(fresh: dict[str, Any]) -> None:
    """With ``sparse=False`` a sparse tensor cannot move, as with torch 2.8, and the error is the one users met."""
    assert fresh["sparse"].startswith(
        "NotImplementedError: Could not run 'aten::_sparse_coo_tensor_with_dims_and_tensors' with arguments from the "
        "'SparseMPS' backend."
    )
    assert fresh["sparse"].endswith("(simulated)")


def test_a_simulation_that_does_not_behave_is_refused(fresh: dict[str, Any]) -> None:
    """If a program of the self-test does not behave, entering fails, says which, and leaves torch as it was."""
    assert fresh["misbehaving"].startswith(
        "DeviceUnavailableError: the simulated MPS device does not behave with torch"
    )
    assert "FAILED  an op without a kernel is refused: no NotImplementedError was raised" in fresh["misbehaving"]
    assert all(fresh["functions after refusal"])


def test_the_self_test_shows_its_programs(fresh: dict[str, Any]) -> None:
    """``--self-test`` prints a line a program and succeeds."""
    assert fresh["self-test code"] == 0
    title, *lines = fresh["self-test"]
    assert title.startswith("simulated MPS, torch ")
    assert len(lines) == 13
    assert all(line.startswith("ok  ") for line in lines)


def test_importing_loads_no_torch() -> None:
    """``import asrlab.testing`` and its names load neither torch nor numpy."""
    code = "import sys; from asrlab.testing import SimulatedProcess, simulated_mps as _; "
    code += "print({'torch', 'numpy'} & {*sys.modules})"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"
