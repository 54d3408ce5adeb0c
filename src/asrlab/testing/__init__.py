"""What tests need: a conformance kit for engines, and devices and weights that are not here.

::

    from asrlab.testing import simulated_mps

    with simulated_mps() as simulation:
        model.to("mps")
        ...
        print(simulation.report().table())

Importing this package loads neither torch nor pytest; each name below is fetched when it is first used.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from asrlab.testing.conformance.kit import TranscriberConformance
    from asrlab.testing.conformance.target import Target
    from asrlab.testing.mps.process import SimulatedProcess
    from asrlab.testing.mps.report import KernelReport, OpUse
    from asrlab.testing.mps.simulation import Simulation, simulated_mps

_MODULES = {
    "KernelReport": "mps.report",
    "OpUse": "mps.report",
    "SimulatedProcess": "mps.process",
    "Simulation": "mps.simulation",
    "Target": "conformance.subject",
    "TranscriberConformance": "conformance.kit",
    "simulated_mps": "mps.simulation",
}

__all__ = [
    "KernelReport",
    "OpUse",
    "SimulatedProcess",
    "Simulation",
    "Target",
    "TranscriberConformance",
    "simulated_mps",
]


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module 'asrlab.testing' has no attribute {name!r}")
    value = getattr(import_module(f"asrlab.testing.{_MODULES[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
