"""Tools for tests: a conformance kit for engines, simulated devices, and tiny checkpoints.

::

    from asrlab.testing import simulated_mps

    with simulated_mps() as simulation:
        model.to("mps")
        ...
        print(simulation.report().table())

Importing this package loads neither torch nor pytest. Each public name is imported when it is first used.
"""

from asrlab._lazy import attach

__getattr__, __dir__, __all__ = attach(
    __name__,
    {
        "asrlab.testing.conformance.kit": "TranscriberConformance",
        "asrlab.testing.conformance.target": "Target",
        "asrlab.testing.mps.ops": "KernelReport OpUse",
        "asrlab.testing.mps.simulation": "SimulatedProcess Simulation simulated_mps",
    },
)
