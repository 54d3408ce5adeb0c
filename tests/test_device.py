"""Devices: what is asked for, what is used, and why they differ."""

from __future__ import annotations

import pytest

from asrlab.device import Device, DeviceReport, resolve, torch_devices
from asrlab.errors import DeviceUnavailableError

CPU_ONLY = DeviceReport(available=("cpu",), missing=(("cuda", "no driver"), ("mps", "no backend")))
TWO_GPUS = DeviceReport(available=("cpu", "cuda:0", "cuda:1"), missing=(("mps", "no backend"),))
MAC = DeviceReport(available=("cpu", "mps"), missing=(("cuda", "no driver"),))


@pytest.mark.parametrize(("report", "best"), [(CPU_ONLY, "cpu"), (TWO_GPUS, "cuda:0"), (MAC, "mps")])
def test_auto_takes_the_best_and_says_why(report: DeviceReport, best: str):
    """``auto`` gives the most capable device there is, with the reasons against the others."""
    device = resolve("auto", report, engine="e")
    assert (device.requested, device.resolved) == ("auto", best)
    assert all(why in device.reason for _, why in report.missing)


def test_a_named_device_is_never_replaced():
    """A device that was asked for and is not there is an error that lists what is there, and why."""
    with pytest.raises(DeviceUnavailableError, match=r"'e' cannot use device 'cuda' \(no driver\).*cpu") as caught:
        resolve("cuda", CPU_ONLY, engine="e")
    assert (caught.value.device, caught.value.available) == ("cuda", ("cpu",))


def test_cuda_means_the_first_one():
    """``cuda`` is ``cuda:0``, and says so."""
    assert resolve("cuda", TWO_GPUS, engine="e") == Device(
        requested="cuda", resolved="cuda:0", reason="cuda means cuda:0"
    )
    assert resolve("cuda:1", TWO_GPUS, engine="e") == Device(requested="cuda:1", resolved="cuda:1")


def test_a_gpu_that_is_not_there_is_refused():
    """A number beyond those there is not taken for another."""
    with pytest.raises(DeviceUnavailableError, match="cuda:0, cuda:1"):
        resolve("cuda:2", TWO_GPUS, engine="e")


@pytest.mark.parametrize("name", ["gpu", "", "cuda:", "cuda:x", "CPU", "mps:0"])
def test_a_name_that_is_no_device_is_refused(name: str):
    """The names there are stand in the message."""
    with pytest.raises(DeviceUnavailableError, match="auto, cpu, cuda, cuda:N, mps"):
        resolve(name, CPU_ONLY, engine="e")


def test_torch_says_what_it_has():
    """The report agrees with torch itself."""
    torch = pytest.importorskip("torch", reason="torch is not installed")
    report = torch_devices()
    assert ("cuda:0" in report.available) == torch.cuda.is_available()
    assert ("mps" in report.available) == torch.backends.mps.is_available()
    assert {kind for kind, _ in report.missing} == {"cuda", "mps"} - {n.partition(":")[0] for n in report.available}
