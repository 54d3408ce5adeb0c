from asrlab.testing.conformance.kit import TranscriberConformance as TranscriberConformance
from asrlab.testing.conformance.target import Target as Target
from asrlab.testing.mps.ops import KernelReport as KernelReport, OpUse as OpUse
from asrlab.testing.mps.simulation import (
    SimulatedProcess as SimulatedProcess,
    Simulation as Simulation,
    simulated_mps as simulated_mps,
)
