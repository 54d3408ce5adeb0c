"""The machine that a record comes from, without the name of a host or a user."""

from __future__ import annotations

import platform
import sys

import attrs

from asrlab.machine import processor_name, usable_cores

__all__ = ["Machine", "backend", "this_machine"]


@attrs.frozen(kw_only=True)
class Machine:
    """A machine.

    Attributes:
        system: Such as ``Linux 6.8`` or ``macOS 15.1``.
        architecture: Such as ``x86_64`` or ``arm64``.
        processor: Its model's name; empty where the system does not tell.
        cores: Those that this process may use.
        python: Implementation and version.
    """

    system: str
    architecture: str
    processor: str
    cores: int
    python: str


def this_machine() -> Machine:
    """The one that this process runs on."""
    mac = platform.mac_ver()[0]
    return Machine(
        system=f"macOS {mac}" if mac else f"{platform.system()} {platform.release()}",
        architecture=platform.machine(),
        processor=processor_name(),
        cores=usable_cores(),
        python=f"{platform.python_implementation()} {platform.python_version()}",
    )


def backend(kind: str) -> str:
    """The build of torch in this process, and the device behind *kind*; empty if torch was not imported."""
    if "torch" not in sys.modules:
        return ""
    import torch

    simulated = getattr(torch.backends.mps.is_available, "simulated", False)
    builds = [
        f"CUDA {torch.version.cuda}" if torch.version.cuda else "no CUDA",
        "MPS" if torch.backends.mps.is_built() and not simulated else "no MPS",
    ]
    named = f"; {torch.cuda.get_device_name()}" if kind == "cuda" and torch.cuda.is_available() else ""
    return f"torch {torch.__version__} with {', '.join(builds)}{named}"
