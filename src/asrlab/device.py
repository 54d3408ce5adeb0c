"""Devices: the requested one, and the one that an engine uses, with the reason."""

from __future__ import annotations

import re

import attrs

from asrlab.errors import DeviceUnavailableError

_NAME = re.compile(r"auto|cpu|mps|cuda(?::\d+)?")
_PREFERENCE = ("cuda", "mps", "cpu")


@attrs.frozen(kw_only=True)
class Device:
    """The device of a model.

    Attributes:
        requested: The requested device: ``auto``, ``cpu``, ``cuda``, ``cuda:1`` or ``mps``.
        resolved: The device that holds the model, such as ``cuda:0``.
        reason: Reason why the two differ; empty if they are the same.
        simulated: True if *resolved* is simulated on another device, as ``asrlab.testing.simulated_mps`` does. Such a
            result is no evidence of the real device's numbers, speed or memory.
    """

    requested: str
    resolved: str
    reason: str = ""
    simulated: bool = False

    def __str__(self) -> str:
        """Return the device in use, marked if it is simulated."""
        return f"{self.resolved} (simulated)" if self.simulated else self.resolved


@attrs.frozen(kw_only=True)
class DeviceReport:
    """The devices that an engine can use on this machine, as its library reports them.

    Attributes:
        available: Device names, such as ``cpu`` and ``cuda:0``.
        missing: Pairs of a kind of device that is not available and the reason.
        simulated: The simulated ones of *available*.
    """

    available: tuple[str, ...]
    missing: tuple[tuple[str, str], ...] = ()
    simulated: tuple[str, ...] = ()

    def best(self) -> str:
        """Return the first device of the fastest kind: cuda, then mps, then cpu."""
        return next((name for kind in _PREFERENCE for name in self.available if name.startswith(kind)), "cpu")

    def why_not(self, device: str) -> str:
        """Return the reason why *device* is not available."""
        return dict(self.missing).get(device.partition(":")[0], "not available")


def resolve(requested: str, report: DeviceReport, *, engine: str) -> Device:
    """Return the device that *engine* uses for *requested*. A device requested by name is never replaced by another.

    Raises:
        DeviceUnavailableError: If the name is unknown or the device is not available.
    """
    if not _NAME.fullmatch(requested):
        raise DeviceUnavailableError(
            f"there is no device {requested!r}; name one of auto, cpu, cuda, cuda:N, mps",
            device=requested,
            available=report.available,
        )
    if requested == "auto":
        best = report.best()
        missing = "; ".join(f"no {kind}: {why}" for kind, why in report.missing)
        return Device(
            requested="auto",
            resolved=best,
            reason=f"best of {', '.join(report.available)} ({missing or 'all kinds available'})",
            simulated=best in report.simulated,
        )
    if requested in report.available:
        return Device(requested=requested, resolved=requested, simulated=requested in report.simulated)
    if f"{requested}:0" in report.available:
        return Device(requested=requested, resolved=f"{requested}:0", reason=f"{requested} means {requested}:0")
    raise DeviceUnavailableError(
        f"engine {engine!r} cannot use device {requested!r} ({report.why_not(requested)}); "
        f"here it can use {', '.join(report.available)}: choose --device {report.best()}",
        device=requested,
        available=report.available,
    )


def torch_devices() -> DeviceReport:
    """Return the devices that the installed torch can use. Imports torch."""
    import torch

    available, missing, simulated = ["cpu"], [], False
    if torch.cuda.is_available():
        available += [f"cuda:{index}" for index in range(torch.cuda.device_count())]
    else:
        build = f"built for CUDA {torch.version.cuda}" if torch.version.cuda else "built without CUDA"
        missing.append(("cuda", f"torch {torch.__version__}, {build}, finds no CUDA device"))
    if torch.backends.mps.is_available():
        available.append("mps")
        simulated = getattr(torch.backends.mps.is_available, "simulated", False)
    else:
        built = "finds no Metal device" if torch.backends.mps.is_built() else "is built without MPS"
        missing.append(("mps", f"torch {torch.__version__} {built}"))
    return DeviceReport(available=tuple(available), missing=tuple(missing), simulated=("mps",) if simulated else ())
