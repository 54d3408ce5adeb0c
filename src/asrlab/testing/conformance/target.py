"""What is to be checked, and what it claims of itself."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from os import PathLike
from pathlib import Path

import attrs

from asrlab.errors import OptionError

SIMULATED_MPS = "mps-sim"
"""The device MPS, simulated on the CPU: for engines on PyTorch, on Linux."""

_DEVICES = re.compile(rf"cpu|mps|cuda(?::\d+)?|{SIMULATED_MPS}")


def _device(_subject: Target, _field: attrs.Attribute[str], device: str) -> None:
    if not _DEVICES.fullmatch(device):
        raise OptionError(
            f"the kit cannot check on device {device!r}; name one of cpu, cuda, cuda:N, mps, {SIMULATED_MPS}",
            option="device",
        )


def _path(path: str | PathLike[str] | None) -> Path | None:
    return None if path is None else Path(path).expanduser().absolute()


def _pairs(excuses: Mapping[str, str] | Iterable[tuple[str, str]]) -> tuple[tuple[str, str], ...]:
    return tuple(excuses.items() if isinstance(excuses, Mapping) else excuses)


@attrs.frozen(kw_only=True)
class Target:
    """A model to check, how to load it, and what it claims.

    Attributes:
        model: As ``asrlab.load`` takes it, such as ``my-engine/small``.
        device: ``cpu``, ``cuda``, ``cuda:N``, ``mps``, or ``mps-sim`` for MPS simulated on the CPU.
        compute_type: As ``asrlab.load`` takes it.
        weights: A folder or file to take the weights from; None for the model's own.
        offline: Whether nothing may be fetched over the network to load it.
        deterministic: Whether the same audio gives the same transcript every time.
        speech: A recording that it can transcribe, a few seconds long; None for a clip of English read speech, 3 s.
        excuses: Names of checks that are known to fail, each with the reason. An excused check that passes is a
            failure, so that no excuse outlives its cause.
        limit_s: Seconds that a process of the kit may take, loading included.

    Raises:
        OptionError: There is no such device.
    """

    model: str
    device: str = attrs.field(default="cpu", validator=_device)
    compute_type: str = "auto"
    weights: Path | None = attrs.field(default=None, converter=_path)
    offline: bool = True
    deterministic: bool = True
    speech: Path | None = attrs.field(default=None, converter=_path)
    excuses: tuple[tuple[str, str], ...] = attrs.field(default=(), converter=_pairs)
    limit_s: float = 600.0

    @property
    def simulated(self) -> bool:
        """Whether the device is only imitated."""
        return self.device == SIMULATED_MPS

    @property
    def load_device(self) -> str:
        """As ``asrlab.load`` takes it."""
        return "mps" if self.simulated else self.device

    def __str__(self) -> str:
        """Model and device."""
        return f"{self.model} on {self.device}"
