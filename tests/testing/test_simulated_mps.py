"""The simulated MPS device computes the CPU's results and raises the errors of the real device."""

from __future__ import annotations

import copy
import pickle
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from asrlab.device import torch_devices
from asrlab.errors import DeviceUnavailableError
from asrlab.testing import KernelReport, SimulatedProcess, simulated_mps

pytest_plugins = ["asrlab.testing.pytest_plugin"]


@pytest.fixture
def run_simulated(simulated_mps_process: SimulatedProcess) -> Callable[..., Any]:
    """Return a function that runs a function of this file in the simulating process; the report is reset."""
    simulated_mps_process.reset()
    return simulated_mps_process.run


def compare_devices(program: Callable[[str], Any]) -> tuple[bool, str]:
    """Return whether *program* gives equal results on both devices, and the device of its result on MPS."""
    import torch

    torch.manual_seed(0)
    on_cpu = program("cpu")
    torch.manual_seed(0)
    on_mps = program("mps")
    return torch.equal(on_mps.cpu(), on_cpu), str(on_mps.device)


def network(device: str) -> Any:
    """Move, load and run a small network with tied weights."""
    import torch

    table, head = torch.nn.Embedding(16, 8), torch.nn.Linear(8, 16, bias=False)
    head.weight = table.weight
    model = torch.nn.Sequential(table, torch.nn.LayerNorm(8)).to(device)
    head.to(device)
    table.load_state_dict({"weight": torch.linspace(-1, 1, 128).reshape(16, 8)})
    with torch.inference_mode():
        return head(model(torch.arange(6, device=device))).softmax(-1)


def sound(device: str) -> Any:
    """Compute a spectrogram, clear half of its bands, and invert it."""
    import torch

    window = torch.hann_window(64, device=device)
    spectrum = torch.stft(torch.randn(400).to(device), 64, window=window, return_complex=True)
    spectrum[20:] = 0
    return torch.istft(spectrum.conj().resolve_conj(), 64, window=window)


def in_place(device: str) -> Any:
    """Change a tensor's values and shape in place, and use ``out=``."""
    import torch

    values = torch.arange(6.0, device=device)
    values.unsqueeze_(0).mul_(2).squeeze_(0)
    out = torch.empty(0, device=device)
    torch.cumsum(values.view(2, 3), 1, out=out)
    values[[0, 1]] = out[1, torch.tensor([0, 2])]
    return torch.remainder(values.to(torch.int32), 5).new_tensor([7]) + out.shape[0] + values


@pytest.mark.parametrize("program", [network, sound, in_place])
def test_results_equal_the_cpu(run_simulated: Callable[..., Any], program: Callable[[str], Any]) -> None:
    """Programs give exactly the results of the CPU, and the results are on ``mps:0``."""
    assert run_simulated(compare_devices, program) == (True, "mps:0")


def tied_parameters() -> tuple[bool, bool, bool]:
    """Return whether tied parameters of a moved module are tied, are parameters, and are counted once."""
    import torch

    first, second = torch.nn.Linear(2, 2), torch.nn.Linear(2, 2)
    second.weight = first.weight
    module = torch.nn.Sequential(first, second).to("mps")
    twin = copy.deepcopy(module)
    tied = module[0].weight is module[1].weight and twin[0].weight is twin[1].weight
    return tied, isinstance(first.weight, torch.nn.Parameter), len(list(module.parameters())) == 3


def test_tied_weights_are_still_tied_after_moving(run_simulated: Callable[..., Any]) -> None:
    """A module that moves to the device has the same parameters, and tied parameters are one object."""
    assert run_simulated(tied_parameters) == (True, True, True)


def error_of(program: Callable[[], Any]) -> tuple[str, str]:
    """Return the type and the message of the error that *program* raises."""
    try:
        program()
    except Exception as error:  # noqa: BLE001 - the error is the result
        return type(error).__name__, str(error)
    return "", ""


def to_float64() -> None:
    """Convert to float64, as whisper's alignment does."""
    import torch

    torch.ones(2, device="mps").double()


def make_float64() -> None:
    """Make a float64 tensor on the device."""
    import torch

    torch.zeros(2, dtype=torch.float64, device="mps")


def to_complex128() -> None:
    """Move a complex128 tensor."""
    import torch

    torch.ones(2, dtype=torch.complex128).to("mps")


def to_numpy() -> None:
    """Call ``numpy()``."""
    import torch

    torch.ones(2, device="mps").numpy()


def to_array() -> None:
    """Convert to an array with numpy."""
    import numpy as np
    import torch

    np.asarray(torch.ones(2, device="mps"))


def module_to_cuda() -> None:
    """Move a module to CUDA, as liquid-audio's detokenizer does."""
    import torch

    torch.nn.Linear(2, 2).eval().cuda()


def make_on_cuda() -> None:
    """Make a tensor on CUDA."""
    import torch

    torch.zeros(2, device="cuda")


def tensor_to_cuda() -> None:
    """Move a tensor from MPS to CUDA."""
    import torch

    torch.zeros(2, device="mps").to("cuda:0")


def mix_devices() -> None:
    """Multiply with a CPU tensor."""
    import torch

    torch.nn.Linear(2, 2).to("mps")(torch.ones(1, 2))


def mix_attention() -> None:
    """Compute attention with values on the CPU."""
    import torch

    query = torch.ones(1, 1, 2, 4, device="mps")
    torch.nn.functional.scaled_dot_product_attention(query, query, torch.ones(1, 1, 2, 4))


def call_missing_kernel() -> None:
    """Call an op without an MPS kernel."""
    import torch

    torch.mode(torch.eye(2, device="mps"))


@pytest.mark.parametrize(
    ("program", "kind", "expected"),
    [
        (to_float64, "TypeError", "Cannot convert a MPS Tensor to float64 dtype as the MPS framework doesn't support"),
        (
            make_float64,
            "TypeError",
            "Cannot convert a MPS Tensor to float64 dtype as the MPS framework doesn't support",
        ),
        (to_complex128, "TypeError", "Trying to convert ComplexDouble to the MPS backend"),
        (to_numpy, "TypeError", "can't convert mps:0 device type tensor to numpy. Use Tensor.cpu()"),
        (to_array, "TypeError", "can't convert mps:0 device type tensor to numpy. Use Tensor.cpu()"),
        (module_to_cuda, "AssertionError", "Torch not compiled with CUDA enabled"),
        (make_on_cuda, "AssertionError", "Torch not compiled with CUDA enabled"),
        (tensor_to_cuda, "AssertionError", "Torch not compiled with CUDA enabled"),
        (mix_devices, "RuntimeError", "Expected all tensors to be on the same device, but found at least two devices"),
        (
            mix_attention,
            "RuntimeError",
            "Expected all tensors to be on the same device, but found at least two devices",
        ),
        (call_missing_kernel, "NotImplementedError", "is not currently implemented for the MPS device"),
    ],
)
def test_errors_are_those_of_the_real_backend(
    run_simulated: Callable[..., Any], program: Callable[[], Any], kind: str, expected: str
) -> None:
    """The simulation raises the type and message of the real backend, marked as simulated."""
    raised, message = run_simulated(error_of, program)
    assert raised == kind
    assert expected in message
    assert message.endswith("(simulated)")


def sparse_indices() -> tuple[list[list[int]], bool, str]:
    """Move a module with a sparse buffer, as whisper's models have, and read the buffer."""
    import torch

    module = torch.nn.Module()
    module.register_buffer("heads", torch.eye(2, dtype=torch.bool).to_sparse(), persistent=False)
    module.to("mps")
    return module.heads.indices().T.tolist(), module.heads.is_sparse, str(module.heads.device)


def test_sparse_tensors_move_with_torch_2_9(run_simulated: Callable[..., Any]) -> None:
    """With torch 2.9 and later a sparse buffer moves to the device and its indices can be read."""
    assert run_simulated(sparse_indices) == ([[0, 0], [1, 1]], True, "mps:0")


def single_values() -> tuple[float, list[float], str, int]:
    """Read single values from tensors."""
    import torch

    values = torch.tensor([1.5, 2.0], device="mps")
    return float(values[0]), values.tolist(), f"{values[1]:.2f}", len(pickle.dumps(values)) and int(values.argmax())


def test_values_can_be_read(run_simulated: Callable[..., Any]) -> None:
    """Items, lists and formatted numbers are as on any device."""
    assert run_simulated(single_values) == (1.5, [1.5, 2.0], "2.00", 1)


def devices() -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return the devices that asrlab finds, and those that are simulated."""
    report = torch_devices()
    return report.available, report.simulated


def test_the_device_is_reported_as_simulated(run_simulated: Callable[..., Any]) -> None:
    """The device report has MPS, says that MPS is simulated, and has no CUDA."""
    assert run_simulated(devices) == (("cpu", "mps"), ("mps",))


def use_three_ops() -> None:
    """Add twice, move once, and call an op without a kernel once."""
    import torch

    tensor = torch.ones(2, 2).to("mps")
    tensor + tensor + tensor
    error_of(call_missing_kernel)


def test_the_report_counts_ops(simulated_mps_process: SimulatedProcess) -> None:
    """The report lists each op, its calls, and the ops without a kernel; a reset empties the report."""
    simulated_mps_process.reset()
    simulated_mps_process.run(use_three_ops)
    report = simulated_mps_process.report()
    counts = {use.op: (use.calls, use.route.value) for use in report.uses}
    assert counts["add.Tensor"] == (2, "kernel")
    assert counts["_to_copy"] == (1, "composite")
    assert [(use.op, use.calls) for use in report.without_kernel] == [("mode", 1)]
    assert "_to_copy" in {use.op for use in report.composites}
    assert report.table().splitlines()[0] == report.title
    assert report.title.startswith(f"simulated MPS, torch {report.torch}: {len(report.uses)} ops seen, 1 without")
    assert "mode" in report.table().splitlines()[1]
    assert report.as_dict()["simulated"] is True
    assert {"op": "add.Tensor", "calls": 2, "route": "kernel"} in report.as_dict()["ops"]
    simulated_mps_process.reset()
    assert simulated_mps_process.report() == KernelReport(torch=report.torch, uses=())


def always_on_cpu() -> list[str]:
    """Return the warnings of an op that MPS registers to run on the CPU."""
    import warnings

    import torch

    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        torch.embedding_renorm_(torch.eye(2, device="mps"), torch.tensor([0], device="mps"), 1.0, 2.0)
    return [str(warning.message) for warning in caught]


def test_an_op_that_always_falls_back_needs_no_variable(simulated_mps_process: SimulatedProcess) -> None:
    """``embedding_renorm_`` has no kernel and runs on the CPU with a warning, without PYTORCH_ENABLE_MPS_FALLBACK."""
    simulated_mps_process.reset()
    (warning,) = simulated_mps_process.run(always_on_cpu)
    assert "will fall back to run on the CPU" in warning
    assert warning.endswith("(simulated)")
    assert [use.route.value for use in simulated_mps_process.report().without_kernel] == ["fallback"]


def in_another_thread() -> tuple[bool, str]:
    """Use a tensor of the device, and make a tensor, in a thread that did not enter the simulation."""
    import torch

    tensor, results = torch.ones(2, device="mps"), []
    user = threading.Thread(target=lambda: results.append((tensor * 2).sum().item()))
    maker = threading.Thread(target=lambda: results.append(error_of(lambda: torch.ones(2, device="mps"))[0]))
    for thread in (user, maker):
        thread.start()
        thread.join()
    return results[0] == 4.0, results[1]


def test_other_threads_use_but_do_not_make_tensors(run_simulated: Callable[..., Any]) -> None:
    """A thread that did not enter can compute with the device's tensors; making a tensor fails as without MPS."""
    assert run_simulated(in_another_thread) == (True, "NotImplementedError")


def second_simulation() -> None:
    """Enter the simulation a second time."""
    with simulated_mps():
        pass


def test_a_second_simulation_is_refused(run_simulated: Callable[..., Any]) -> None:
    """A process can enter one simulation at a time."""
    with pytest.raises(DeviceUnavailableError, match="already simulates"):
        run_simulated(second_simulation)


def save(path: str) -> None:
    """Write a checkpoint."""
    import torch

    torch.save({"weight": torch.arange(3)}, path)


def load(path: str) -> tuple[str, bool]:
    """Load a checkpoint onto the device."""
    import torch

    state = torch.load(path, map_location="mps", weights_only=True)
    return str(state["weight"].device), bool((state["weight"].cpu() == torch.arange(3)).all())


def record_event(device: str) -> list[bool]:
    """Record an event after some work, and wait for the event."""
    import torch

    event = torch.Event(device=device, blocking=True)
    torch.ones(2, device=device).add_(1)
    event.record()
    event.synchronize()
    event.wait()
    return [event.query(), isinstance(event, torch.Event), event.device.type == device]


def test_an_event_is_complete_at_once(run_simulated: Callable[..., Any]) -> None:
    """A simulated op is complete when its call returns, so an event of the device is always complete."""
    assert run_simulated(record_event, "mps") == [True, True, True]


def test_checkpoints_load_onto_the_device(run_simulated: Callable[..., Any], tmp_path: Path) -> None:
    """``torch.load`` with ``map_location="mps"`` returns tensors on the device."""
    run_simulated(save, str(tmp_path / "a.pt"))
    assert run_simulated(load, str(tmp_path / "a.pt")) == ("mps:0", True)
