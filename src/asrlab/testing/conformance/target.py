"""The target of the conformance checks: a model, how to load it, and what it claims."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING

import attrs

from asrlab.errors import OptionError

if TYPE_CHECKING:
    from asrlab.audio import Audio
    from asrlab.engine.transcriber import Transcriber

SIMULATED_MPS = "mps-sim"
"""The device MPS, simulated on the CPU: for engines on PyTorch, on Linux."""

_DEVICES = re.compile(rf"cpu|mps|cuda(?::\d+)?|{SIMULATED_MPS}")


def _check_device(_target: Target, _field: attrs.Attribute[str], device: str) -> None:
    if not _DEVICES.fullmatch(device):
        raise OptionError(
            f"cannot run the conformance checks on device {device!r}; choose cpu, cuda, cuda:N, mps or {SIMULATED_MPS}",
            option="device",
        )


def _to_path(path: str | PathLike[str] | None) -> Path | None:
    return None if path is None else Path(path).expanduser().absolute()


def _to_pairs(reasons: Mapping[str, str] | Iterable[tuple[str, str]]) -> tuple[tuple[str, str], ...]:
    return tuple(reasons.items() if isinstance(reasons, Mapping) else reasons)


@attrs.frozen(kw_only=True)
class Target:
    """A model to check, how to load it, and what it claims.

    Attributes:
        model: The name for ``asrlab.load``, such as ``my-engine/small``.
        device: ``cpu``, ``cuda``, ``cuda:N``, ``mps``, or ``mps-sim`` for MPS simulated on the CPU.
        compute_type: The compute type for ``asrlab.load``.
        weights: A folder or file with the weights; None for the model's default weights.
        offline: True if loading must not use the network.
        deterministic: True if the same audio always gives the same transcript.
        speech: A recording of a few seconds that the model can transcribe; None for 3 s of English read speech.
        expected_failures: Names of checks that are known to fail, each with the reason. Such a check is skipped if it
            fails, and fails if it passes, as a strict ``xfail`` of pytest does.
        limit_s: Maximum seconds for a child process, including loading.

    Raises:
        OptionError: If the device is unknown.
    """

    model: str
    device: str = attrs.field(default="cpu", validator=_check_device)
    compute_type: str = "auto"
    weights: Path | None = attrs.field(default=None, converter=_to_path)
    offline: bool = True
    deterministic: bool = True
    speech: Path | None = attrs.field(default=None, converter=_to_path)
    expected_failures: tuple[tuple[str, str], ...] = attrs.field(default=(), converter=_to_pairs)
    limit_s: float = 600.0

    @property
    def simulated(self) -> bool:
        """True if the device is simulated."""
        return self.device == SIMULATED_MPS

    @property
    def load_device(self) -> str:
        """The device for ``asrlab.load``."""
        return "mps" if self.simulated else self.device

    def load(self, *, compute_type: str | None = None) -> Transcriber:
        """Load the model."""
        from asrlab.loading import load

        return load(
            self.model,
            device=self.load_device,
            compute_type=compute_type or self.compute_type,
            weights=self.weights,
            offline=self.offline,
        )

    def load_speech(self) -> Audio:
        """Decode the recording."""
        from asrlab.audio import load_audio
        from asrlab.evaluation.catalog import load_dataset

        clip = self.speech or next(clip.audio for clip in load_dataset("smoke") if clip.id.endswith("-0880"))
        return load_audio(clip)

    def __str__(self) -> str:
        return f"{self.model} on {self.device}"
