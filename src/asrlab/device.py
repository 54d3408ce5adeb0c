"""From the device a caller asks for to the one an engine really uses, with the reason."""

from __future__ import annotations

import re

import attrs

from asrlab.errors import DeviceUnavailableError

_NAME = re.compile(r"auto|cpu|mps|cuda(?::\d+)?")
_PREFERENCE = ("cuda", "mps", "cpu")


@attrs.frozen(kw_only=True)
class Device:
    """Where a model runs.

    Attributes:
        requested: What the caller asked for: ``auto``, ``cpu``, ``cuda``, ``cuda:1`` or ``mps``.
        resolved: Where the loaded model really is, in the same words.
        reason: Why the two differ; empty where they are the same.
        simulated: Whether *resolved* is only imitated on another device, as ``asrlab.testing.simulated_mps`` does; such
            a result says nothing of the real one's numbers, speed or memory.
    """

    requested: str
    resolved: str
    reason: str = ""
    simulated: bool = False

    def __str__(self) -> str:
        """The device in use, and that it is simulated if it is."""
        return f"{self.resolved} (simulated)" if self.simulated else self.resolved


@attrs.frozen(kw_only=True)
class DeviceReport:
    """What an engine can use on this machine, as its backend answers.

    Attributes:
        available: Device names, such as ``cpu`` and ``cuda:0``.
        missing: Pairs of a device kind that is not there and the reason.
        simulated: Those of *available* that are only imitated.
    """

    available: tuple[str, ...]
    missing: tuple[tuple[str, str], ...] = ()
    simulated: tuple[str, ...] = ()

    def best(self) -> str:
        """The first device of the most capable kind: cuda, then mps, then cpu."""
        ranked = (name for kind in _PREFERENCE for name in self.available if _kind(name) == kind)
        return next(ranked, "cpu")

    def why_not(self, device: str) -> str:
        """The backend's reason for lacking *device*."""
        return dict(self.missing).get(_kind(device), "not there")


def _kind(device: str) -> str:
    return device.partition(":")[0]


def resolve(requested: str, report: DeviceReport, *, engine: str) -> Device:
    """The device that *engine* will use for *requested*.

    Raises:
        DeviceUnavailableError: The name is unknown, or the device was asked for by name and is not there. A device that
            was named is never replaced by another.
    """
    if not _NAME.fullmatch(requested):
        raise DeviceUnavailableError(
            f"there is no device {requested!r}; name one of auto, cpu, cuda, cuda:N, mps",
            device=requested,
            available=report.available,
        )
    if requested == "auto":
        best = report.best()
        lacking = "; ".join(f"no {kind}: {why}" for kind, why in report.missing)
        return Device(
            requested="auto",
            resolved=best,
            reason=f"best of {', '.join(report.available)} ({lacking or 'all there'})",
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
    """What the installed torch can use. Imports torch."""
    import torch

    available, missing = ["cpu"], []
    simulated: tuple[str, ...] = ()
    if torch.cuda.is_available():
        available += [f"cuda:{index}" for index in range(torch.cuda.device_count())]
    else:
        build = f"built for CUDA {torch.version.cuda}" if torch.version.cuda else "built without CUDA"
        missing.append(("cuda", f"torch {torch.__version__}, {build}, finds no CUDA device"))
    if torch.backends.mps.is_available():
        available.append("mps")
        if getattr(torch.backends.mps.is_available, "simulated", False):
            simulated = ("mps",)
    else:
        built = "finds no Metal device" if torch.backends.mps.is_built() else "is built without MPS"
        missing.append(("mps", f"torch {torch.__version__} {built}"))
    return DeviceReport(available=tuple(available), missing=tuple(missing), simulated=simulated)
