"""The simulated MPS device computes the CPU's numbers and fails as the real one does."""

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
def there(simulated_mps_process: SimulatedProcess) -> Callable[..., Any]:
    """Runs a function of this file in the process that simulates MPS, with a new report."""
    simulated_mps_process.reset()
    return simulated_mps_process.run


def both(program: Callable[[str], Any]) -> tuple[bool, str]:
    """Whether *program* gives the same on both devices, and the device of its result on MPS."""
    import torch

    torch.manual_seed(0)
    on_cpu = program("cpu")
    torch.manual_seed(0)
    on_mps = program("mps")
    return torch.equal(on_mps.cpu(), on_cpu), str(on_mps.device)


def network(device: str) -> Any:
    """A small network with tied weights, moved, loaded and run."""
    import torch

    table, head = torch.nn.Embedding(16, 8), torch.nn.Linear(8, 16, bias=False)
    head.weight = table.weight
    model = torch.nn.Sequential(table, torch.nn.LayerNorm(8)).to(device)
    head.to(device)
    table.load_state_dict({"weight": torch.linspace(-1, 1, 128).reshape(16, 8)})
    with torch.inference_mode():
        return head(model(torch.arange(6, device=device))).softmax(-1)


def sound(device: str) -> Any:
    """A spectrogram and back, in half of its bands."""
    import torch

    window = torch.hann_window(64, device=device)
    spectrum = torch.stft(torch.randn(400).to(device), 64, window=window, return_complex=True)
    spectrum[20:] = 0
    return torch.istft(spectrum.conj().resolve_conj(), 64, window=window)


def in_place(device: str) -> Any:
    """Ops that change a tensor's numbers and its shape in place, and ``out=``."""
    import torch

    values = torch.arange(6.0, device=device)
    values.unsqueeze_(0).mul_(2).squeeze_(0)
    out = torch.empty(0, device=device)
    torch.cumsum(values.view(2, 3), 1, out=out)
    values[[0, 1]] = out[1, torch.tensor([0, 2])]
    return torch.remainder(values.to(torch.int32), 5).new_tensor([7]) + out.shape[0] + values


@pytest.mark.parametrize("program", [network, sound, in_place])
def test_numbers_are_the_cpus(there: Callable[..., Any], program: Callable[[str], Any]) -> None:
    """Programs give on the simulated device exactly what they give on the CPU, and their results are on ``mps:0``."""
    assert there(both, program) == (True, "mps:0")


def ties() -> tuple[bool, bool, bool]:
    """Whether moving a module keeps parameters tied, and what they are."""
    import torch

    first, second = torch.nn.Linear(2, 2), torch.nn.Linear(2, 2)
    second.weight = first.weight
    module = torch.nn.Sequential(first, second).to("mps")
    twin = copy.deepcopy(module)
    tied = module[0].weight is module[1].weight and twin[0].weight is twin[1].weight
    return tied, isinstance(first.weight, torch.nn.Parameter), len(list(module.parameters())) == 3


def test_tied_weights_stay_tied(there: Callable[..., Any]) -> None:
    """A module that moves to the device keeps its parameters, tied ones as one."""
    assert there(ties) == (True, True, True)


def error_of(program: Callable[[], Any]) -> tuple[str, str]:
    """The error that *program* raises: its type and its words."""
    try:
        program()
    except Exception as error:  # noqa: BLE001 - it is what is looked at
        return type(error).__name__, str(error)
    return "", ""


def to_float64() -> None:
    """Ask for float64, as whisper's alignment does."""
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
    """Read the numbers in place."""
    import torch

    torch.ones(2, device="mps").numpy()


def to_array() -> None:
    """Let numpy read the numbers."""
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
    """Attend to values on the CPU."""
    import torch

    here = torch.ones(1, 1, 2, 4, device="mps")
    torch.nn.functional.scaled_dot_product_attention(here, here, torch.ones(1, 1, 2, 4))


def lack_kernel() -> None:
    """Call an op that MPS has no kernel for."""
    import torch

    torch.mode(torch.eye(2, device="mps"))


@pytest.mark.parametrize(
    ("program", "kind", "words"),
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
        (lack_kernel, "NotImplementedError", "is not currently implemented for the MPS device"),
    ],
)
def test_fails_as_the_real_backend(
    there: Callable[..., Any], program: Callable[[], Any], kind: str, words: str
) -> None:
    """What MPS refuses is refused with its error and its words, marked as simulated."""
    raised, message = there(error_of, program)
    assert raised == kind
    assert message.startswith(words) or words in message
    assert message.endswith("(simulated)")


def sparse_indices() -> tuple[list[list[int]], bool, str]:
    """Move the kind of buffer that whisper's models have, within a module, and read it."""
    import torch

    module = torch.nn.Module()
    module.register_buffer("heads", torch.eye(2, dtype=torch.bool).to_sparse(), persistent=False)
    module.to("mps")
    return module.heads.indices().T.tolist(), module.heads.is_sparse, str(module.heads.device)


def test_sparse_tensors_move_where_torch_has_them(there: Callable[..., Any]) -> None:
    """With torch 2.9 and later a sparse buffer moves to the device and its indices can be read."""
    assert there(sparse_indices) == ([[0, 0], [1, 1]], True, "mps:0")


def single_numbers() -> tuple[float, list[float], str, int]:
    """Read numbers out of tensors."""
    import torch

    values = torch.tensor([1.5, 2.0], device="mps")
    return float(values[0]), values.tolist(), f"{values[1]:.2f}", len(pickle.dumps(values)) and int(values.argmax())


def test_numbers_can_be_read(there: Callable[..., Any]) -> None:
    """Items, lists and formatted numbers come out as on any device."""
    assert there(single_numbers) == (1.5, [1.5, 2.0], "2.00", 1)


def devices() -> tuple[tuple[str, ...], tuple[str, ...]]:
    """What asrlab finds: all devices, and those that are simulated."""
    report = torch_devices()
    return report.available, report.simulated


def test_the_device_is_said_to_be_simulated(there: Callable[..., Any]) -> None:
    """The look that asrlab takes at the devices finds MPS, no CUDA, and that MPS is simulated."""
    assert there(devices) == (("cpu", "mps"), ("mps",))


def use_three_ops() -> None:
    """Add twice, move once, and fail once."""
    import torch

    here = torch.ones(2, 2).to("mps")
    here + here + here
    error_of(lack_kernel)


def test_the_report_counts_ops(simulated_mps_process: SimulatedProcess) -> None:
    """The report tells each op, how often it was called, and which lack a kernel; a reset begins a new one."""
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
    """The warnings of an op that MPS registers to run on the CPU."""
    import warnings

    import torch

    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        torch.embedding_renorm_(torch.eye(2, device="mps"), torch.tensor([0], device="mps"), 1.0, 2.0)
    return [str(warning.message) for warning in caught]


def test_an_op_that_always_falls_back_needs_no_variable(simulated_mps_process: SimulatedProcess) -> None:
    """``embedding_renorm_`` has no kernel, yet runs on the CPU with a warning, whatever the environment says."""
    simulated_mps_process.reset()
    (warning,) = simulated_mps_process.run(always_on_cpu)
    assert "will fall back to run on the CPU" in warning
    assert warning.endswith("(simulated)")
    assert [use.route.value for use in simulated_mps_process.report().without_kernel] == ["fallback"]


def in_another_thread() -> tuple[bool, str]:
    """Use a tensor of the device, and make one, in a thread that did not enter the simulation."""
    import torch

    here, results = torch.ones(2, device="mps"), []
    thread = threading.Thread(target=lambda: results.append((here * 2).sum().item()))
    maker = threading.Thread(target=lambda: results.append(error_of(lambda: torch.ones(2, device="mps"))[0]))
    for one in (thread, maker):
        one.start()
        one.join()
    return results[0] == 4.0, results[1]


def test_other_threads_use_but_do_not_make_tensors(there: Callable[..., Any]) -> None:
    """A thread that did not enter can compute with the device's tensors; making one fails there as without MPS."""
    assert there(in_another_thread) == (True, "NotImplementedError")


def second_simulation() -> None:
    """Enter a second time."""
    with simulated_mps():
        pass


def test_a_second_simulation_is_refused(there: Callable[..., Any]) -> None:
    """One process simulates once at a time."""
    with pytest.raises(DeviceUnavailableError, match="already simulates"):
        there(second_simulation)


def save(path: str) -> None:
    """Write a checkpoint."""
    import torch

    torch.save({"weight": torch.arange(3)}, path)


def loaded(path: str) -> tuple[str, bool]:
    """Load a checkpoint onto the device."""
    import torch

    state = torch.load(path, map_location="mps", weights_only=True)
    return str(state["weight"].device), bool((state["weight"].cpu() == torch.arange(3)).all())


def waits(device: str) -> list[bool]:
    """Records an event behind some work, and waits for it."""
    import torch

    event = torch.Event(device=device, blocking=True)
    torch.ones(2, device=device).add_(1)
    event.record()
    event.synchronize()
    event.wait()
    return [event.query(), isinstance(event, torch.Event), event.device.type == device]


def test_an_event_has_nothing_to_wait_for(there: Callable[..., Any]) -> None:
    """What is simulated is done when its call returns, so an event of the device is always past."""
    assert there(waits, "mps") == [True, True, True]


def test_checkpoints_load_onto_the_device(there: Callable[..., Any], tmp_path: Path) -> None:
    """``torch.load`` with ``map_location="mps"`` gives tensors on the device."""
    there(save, str(tmp_path / "a.pt"))
    assert there(loaded, str(tmp_path / "a.pt")) == ("mps:0", True)
