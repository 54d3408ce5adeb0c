"""Whether a transcriber keeps to what asrlab's users may rely on: the checks, a pytest class, and a command.

A plugin's tests inherit `TranscriberConformance`; ``python -m asrlab.testing.conformance MODEL`` prints the same checks
as a table, without pytest.
"""

from asrlab.testing.conformance.check import Check, Verdict
from asrlab.testing.conformance.target import Target

__all__ = ["Check", "Target", "Verdict"]
