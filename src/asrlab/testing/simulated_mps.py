"""Runs a Python script on the simulated MPS device: ``python -m asrlab.testing.simulated_mps SCRIPT``.

This module is only for that command. `asrlab.testing.simulated_mps` is the context manager, which importing this module
would hide.
"""

from __future__ import annotations

import sys

if __name__ == "asrlab.testing.simulated_mps":
    raise ImportError("simulated_mps is no module to import; write: from asrlab.testing import simulated_mps")

if __name__ == "__main__":
    from asrlab.testing.mps.command import main

    sys.exit(main())
